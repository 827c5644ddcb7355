//! Whole processes: what awsdir starts on the way to a prompt, against `/bin/true`.

use crate::paired::{Candidate, Runs, paired};
use crate::sandbox::{CONFIG, Sandbox, from_now};
use crate::table::Row;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A HOME as a person has it an hour after the first sign-in: `profiles` profiles, a token, role credentials of the real
/// thing's length, a project whose dotfile is allowed.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    project: PathBuf,
}

impl World {
    pub(crate) fn new(profiles: usize) -> Self {
        let sandbox = Sandbox::new();
        let mut config = CONFIG.to_owned();
        for number in CONFIG.matches("[profile ").count()..profiles {
            let _ = write!(
                config,
                "\n[profile team-{number:05}]\nsso_session = corp\nsso_account_id = {number:012}\n\
                 sso_role_name = ReadOnly\nregion = eu-west-1\noutput = json\n"
            );
        }
        let config = sandbox.write(".aws/config", config);
        // A config that was edited this very moment is read again and again.
        let long_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
        std::fs::File::options().write(true).open(config).unwrap().set_modified(long_ago).unwrap();
        sandbox.plant_role_credentials(&from_now(3600));
        let credentials = sandbox.read(crate::sandbox::ROLE_FILE).replace("planted/token", &"IQoJb3JpZ2lu".repeat(80));
        sandbox.write(crate::sandbox::ROLE_FILE, credentials);
        sandbox.plant_token(&from_now(3600), true);
        let project = sandbox.allowed_project("work/app", "read-only\n");
        std::fs::create_dir_all(project.join("src/deep")).unwrap();
        Self { sandbox, project }
    }

    /// A program started four directories deep in the project.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, program: &Path, arguments: &[A]) -> Command {
        let mut command = self.sandbox.command(program);
        let directory = self.project.join("src/deep");
        command.args(arguments).env("PWD", &directory).current_dir(directory);
        command
    }
}

/// What is run, with its budget against `/bin/true`: of the release artifact, and of `cargo build --release`.
const COMMANDS: [(&str, &[&str], f64, f64); 6] = [
    ("hook", &["hook", "bash"], 0.75, 1.35),
    ("export", &["export", "read-only", "--format", "env"], 0.82, 1.5),
    ("prompt", &["prompt"], 2.0, 2.0),
    ("status", &["status"], 2.0, 2.0),
    ("exec", &["exec", "read-only", "--", "/bin/true"], 1.6, 2.4),
    ("version", &["--version"], f64::NAN, f64::NAN),
];

pub(crate) fn rows(label: &str, program: &Path, artifact: bool) -> Vec<Row> {
    let (small, large) = (World::new(10), World::new(10_000));
    let candidates = |world| {
        let mut all = vec![Candidate::new("true", move || World::command::<&str>(world, Path::new("/bin/true"), &[]))];
        for (name, arguments, ..) in COMMANDS {
            all.push(Candidate::new(name, move || world.command(program, arguments)));
        }
        all
    };
    let (small, large) = (paired(300, candidates(&small)), paired(300, candidates(&large)));
    let mut rows = Vec::new();
    for (index, (name, _, budget, budget_from_source)) in COMMANDS.into_iter().enumerate() {
        let of = |runs: &[Runs]| runs[index + 1].ratio(&runs[0]);
        let budget = if artifact { budget } else { budget_from_source };
        rows.push(Row::at_most(format!("{label}: {name}, 10 profiles"), of(&small), budget, " × `/bin/true`"));
        rows.push(Row::plain(format!("{label}: {name}, 10,000 profiles"), of(&large), " × `/bin/true`"));
        rows.push(Row::plain(format!("{label}: {name}, page faults"), small[index + 1].faults(), ""));
        rows.push(Row::plain(format!("{label}: {name}, KiB resident"), small[index + 1].resident() as f64, ""));
    }
    rows
}
