//! The programs of the sandbox: cargo builds no binaries for an example.

use crate::Result;
use serde_json::Value;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) struct Programs {
    pub(crate) awsdir: PathBuf,
    pub(crate) with_aws: PathBuf,
    /// This program.
    pub(crate) sandbox: PathBuf,
}

impl Programs {
    /// Has cargo build what is missing or old, where and how this program was built: with the example named beside
    /// them, the binaries share all of its dependencies.
    pub(crate) fn build() -> Result<Self> {
        let sandbox = std::env::current_exe()?;
        let of_profile = sandbox.ancestors().nth(2).unwrap_or(Path::new("target/debug"));
        let target = of_profile.parent().unwrap_or(Path::new("target"));
        let profile = match of_profile.file_name() {
            Some(name) if name != "debug" => name.to_owned(),
            _ => OsString::from("dev"),
        };
        eprintln!("sandbox: cargo build --bins");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        // Set by `cargo run`, and watched by build scripts: dependencies would be built again, here and the next time.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                cargo.env_remove(name);
            }
        }
        let built = cargo
            .args(["build", "--quiet", "--bins", "--example", "sandbox", "--message-format=json-render-diagnostics"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .arg("--profile")
            .arg(profile)
            .arg("--target-dir")
            .arg(target)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cargo cannot be run: {error}"))?;
        let messages = String::from_utf8(built.stdout)?;
        let executable = |name: &str| {
            let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut of_name = messages.filter(|message| message["target"]["name"] == name);
            let path = of_name.find_map(|message| message["executable"].as_str().map(PathBuf::from));
            path.ok_or_else(|| format!("cargo did not build `{name}`"))
        };
        Ok(Self { awsdir: executable("awsdir")?, with_aws: executable("with-aws")?, sandbox })
    }
}
