//! How the binaries are linked: as static position-independent executables wherever that can be had. The dynamic
//! linker costs more than all that a hook does (`docs/performance.md`).
//!
//! - For musl, Rust links statically by itself; here the relocations are only packed.
//! - For glibc, Cargo has no way to say so for binaries alone (`-C target-feature=+crt-static` breaks procedural macros),
//!   so in release builds the linker is shown a folder in which the C library's shared names lead to its archives.
//!   A program made that way is linked and run first; where that fails (no `libc.a`, another linker) the binaries are
//!   linked dynamically, as usual.

#![allow(clippy::disallowed_methods, reason = "a build script is told everything by its environment")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Links a program, starts it and has it look up a name. Prints the number of addresses.
const PROBE: &str = r#"
fn main() {
    let found = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").map_or(0, |found| found.count());
    std::thread::spawn(move || print!("linked {}", found.min(1))).join().unwrap();
}
"#;

/// Relocations as a map of bits: a word for each 63 pointers, not three for each one.
const PACKED: &str = "-Wl,-z,pack-relative-relocs";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(static_glibc)");
    let set = |name| env::var(name).unwrap_or_default();
    let native = set("HOST") == set("TARGET");
    let crt_static = set("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    match (set("CARGO_CFG_TARGET_OS").as_str(), set("CARGO_CFG_TARGET_ENV").as_str()) {
        ("linux", "musl") => println!("cargo::rustc-link-arg-bins={PACKED}"),
        ("linux", "gnu") if crt_static => println!("cargo::rustc-cfg=static_glibc"),
        ("linux", "gnu") if native && set("PROFILE") == "release" => {
            let folder = PathBuf::from(set("OUT_DIR")).join("static");
            let packed = |arguments: &[String]| [arguments, &[PACKED.to_owned()]].concat();
            let found = archives(&folder).map(Vec::from).unwrap_or_default();
            // Not every C library relocates itself by packed relocations.
            let mut choices = [packed(&found), found.clone()].into_iter().filter(|_| !found.is_empty());
            if let Some(arguments) = choices.find(|arguments| probe(&folder, arguments)) {
                println!("cargo::rustc-cfg=static_glibc");
                for argument in arguments {
                    println!("cargo::rustc-link-arg-bins={argument}");
                }
            }
        }
        _ => {}
    }
}

/// Fills `folder` with links from the names of shared libraries to archives, and returns what to tell the linker.
fn archives(folder: &Path) -> Option<[String; 2]> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).ok()?;
    // Those that Rust's standard library asks for. The older half of them is part of libc since glibc 2.34.
    let names = ["c", "m", "dl", "pthread", "rt", "util"].map(|name| (name, name));
    for (shared, archive) in names.into_iter().chain([("gcc_s", "gcc_eh")]) {
        let archive = format!("lib{archive}.a");
        let found = Command::new(linker()).arg(format!("-print-file-name={archive}")).output().ok()?;
        let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
        // Where there is no such file, its bare name comes back.
        if !path.is_absolute() {
            return None;
        }
        std::os::unix::fs::symlink(path, folder.join(format!("lib{shared}.so"))).ok()?;
    }
    Some([format!("-L{}", folder.display()), "-static-pie".to_owned()])
}

fn probe(folder: &Path, arguments: &[String]) -> bool {
    let (source, program) = (folder.join("probe.rs"), folder.join("probe"));
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "-Cpanic=abort", "-Copt-level=s"]).arg(format!("-Clinker={}", linker()));
    rustc.args(arguments.iter().map(|argument| format!("-Clink-arg={argument}")));
    fs::write(&source, PROBE).is_ok()
        && rustc.arg("-o").arg(&program).arg(&source).output().is_ok_and(|made| made.status.success())
        && Command::new(&program).output().is_ok_and(|run| run.status.success() && run.stdout == b"linked 1")
}

fn linker() -> String {
    env::var("RUSTC_LINKER").unwrap_or_else(|_| "cc".to_owned())
}
