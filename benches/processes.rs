//! Whole processes: what awsdir starts on the way to a prompt, against `/bin/true`.

use crate::paired::{Candidate, paired};
use crate::sandbox::{CONFIG, ROLE_FILE, Sandbox, from_now};
use crate::table::Row;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

const TRUE: &str = " × `/bin/true`";

/// A HOME as a person has it in the middle of a day: `profiles` profiles, a token, role credentials as long as real ones,
/// a project whose dotfile is allowed.
pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    directory: PathBuf,
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
        sandbox.write(".aws/config", config);
        sandbox.plant_role_credentials(&from_now(3600));
        let credentials = sandbox.read(ROLE_FILE).replace("planted/token", &"IQoJb3JpZ2lu".repeat(80));
        sandbox.write(ROLE_FILE, credentials);
        sandbox.plant_token(&from_now(3600), true);
        let project = sandbox.allowed_project("work/app", "read-only\n");
        let directory = project.join("src/deep");
        std::fs::create_dir_all(&directory).unwrap();
        let world = Self { sandbox, directory };
        // Profiles go on record once the config has been left alone for a while.
        crate::sandbox::eventually("the profile's record", || {
            world.command(Path::new(env!("CARGO_BIN_EXE_awsdir")), &["hook", "bash"]).output().unwrap();
            world.sandbox.path(".local/state/awsdir/profiles").exists()
        });
        world
    }

    /// A program started two directories deep in the project.
    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(program);
        command.args(arguments).env("PWD", &self.directory).current_dir(&self.directory);
        command
    }
}

/// What is run, and its budget against `/bin/true`: of the release artifact, and of `cargo build --release`.
struct Task {
    name: &'static str,
    arguments: &'static [&'static str],
    budget: f64,
    from_source: f64,
}

const TASKS: [Task; 5] = [
    Task { name: "`awsdir hook bash`", arguments: &["hook", "bash"], budget: 0.75, from_source: 1.35 },
    Task {
        name: "`awsdir export P --format env`",
        arguments: &["export", "read-only", "--format", "env"],
        budget: 0.82,
        from_source: 1.5,
    },
    Task { name: "`awsdir prompt`", arguments: &["prompt"], budget: 2.0, from_source: 2.0 },
    Task { name: "`awsdir status`", arguments: &["status"], budget: 2.0, from_source: 2.0 },
    Task {
        name: "`awsdir exec P -- /bin/true`",
        arguments: &["exec", "read-only", "--", "/bin/true"],
        budget: 1.6,
        from_source: 2.4,
    },
];

/// The rows of one build. `artifact` says that it is the one that is released.
pub(crate) fn rows(label: &str, program: &Path, artifact: bool) -> Vec<Row> {
    let (few, many) = (World::new(10), World::new(10_000));
    let mut rows = Vec::new();
    let mut candidates = vec![baseline(&few)];
    for task in &TASKS {
        candidates.push(Candidate::new(task.name, || few.command(program, task.arguments)));
    }
    candidates.push(Candidate::new("env", || few.command(Path::new("env"), &["A=B", "/bin/true"])));
    candidates.push(Candidate::new("with-aws", || {
        few.command(&program.with_file_name("with-aws"), &["read-only", "--", "/bin/true"])
    }));
    candidates.push(Candidate::new("many", || many.command(program, &["hook", "bash"])));
    let runs = paired(400, candidates);
    let [truth, of_tasks @ .., env, with_aws, hook_of_many] = runs.as_slice() else { unreachable!() };
    for (task, runs) in TASKS.iter().zip(of_tasks) {
        let budget = if artifact { task.budget } else { task.from_source };
        rows.push(Row::at_most(format!("{}, {label}", task.name), runs.ratio(truth), budget, TRUE));
    }
    let budget = if artifact { 1.6 } else { 2.4 };
    rows.push(Row::at_most(format!("`with-aws P -- /bin/true`, {label}"), with_aws.ratio(truth), budget, TRUE));
    rows.push(Row::plain("… `env A=B /bin/true`", env.ratio(truth), TRUE));
    let hook = &of_tasks[0];
    let times = " × the hook with 10 profiles";
    rows.push(Row::at_most(
        format!("`awsdir hook bash` with 10,000 profiles, {label}"),
        hook_of_many.ratio(hook),
        1.1,
        times,
    ));
    rows.extend(reading(&many, label, program, artifact));
    rows
}

fn baseline(world: &World) -> Candidate<'_> {
    Candidate::new("true", || world.command(Path::new("/bin/true"), &[]))
}

/// What must read ten thousand profiles: their files changed just now, and will have for the next hour.
fn reading(many: &World, label: &str, program: &Path, artifact: bool) -> Vec<Row> {
    let config = many.sandbox.path(".aws/config");
    let future = SystemTime::now() + Duration::from_hours(1);
    File::options().write(true).open(&config).unwrap().set_modified(future).unwrap();
    let this = std::env::current_exe().unwrap();
    let candidates = vec![
        baseline(many),
        Candidate::new("export", || many.command(program, &["export", "read-only"])),
        Candidate::new("completion", || {
            let mut command = many.command(program, &["--", "awsdir", "export", "team-0999"]);
            command.env("AWSDIR_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "2");
            command
        }),
        Candidate::new("rust-ini", || {
            let mut command = many.command(&this, &[RUST_INI]);
            command.arg(&config);
            command
        }),
    ];
    let runs = paired(40, candidates);
    let [truth, export, completion, rust_ini] = runs.as_slice() else { unreachable!() };
    let mut rows = vec![
        Row::at_most(format!("a command that reads 10,000 profiles, {label}"), export.ratio(truth), 12.0, TRUE),
        Row::at_most(format!("completion among 10,000 profiles, {label}"), completion.ratio(truth), 5.0, TRUE),
    ];
    if artifact {
        rows.push(Row::at_least("… rust-ini reading the same file", rust_ini.ratio(export), 8.0, " × our command"));
    }
    rows
}

/// The word by which this program, started again, reads a file with rust-ini.
pub(crate) const RUST_INI: &str = "rust-ini";

pub(crate) fn read_with_rust_ini(path: &str) {
    let options = ini::ParseOption { enabled_quote: false, enabled_escape: false, ..ini::ParseOption::default() };
    let config = ini::Ini::load_from_file_opt(path, options).unwrap();
    assert!(config.section(Some("profile team-09999")).is_some());
}

/// What does not depend on how busy the machine is: page faults and resident memory of the hook, the size on disk.
pub(crate) fn footprint(program: &Path) -> Vec<Row> {
    let world = World::new(10);
    let hook = paired(20, vec![Candidate::new("hook", || world.command(program, &["hook", "bash"]))]);
    let mut rows = vec![Row::at_most("page faults of the hook", hook[0].faults(), 75.0, "")];
    // A child is charged with what its parent had at the moment of the fork: a small parent has to start it.
    let mut command = world.command(Path::new("/usr/bin/time"), &["--format=%M", "--quiet"]);
    command.arg(program).args(["hook", "bash"]).stdout(Stdio::null());
    let resident = command.output().ok().and_then(|output| String::from_utf8(output.stderr).ok()?.trim().parse().ok());
    rows.extend(resident.map(|kib: f64| Row::at_most("resident memory of the hook", kib / 1024.0, 3.0, " MiB")));
    #[expect(clippy::cast_precision_loss, reason = "megabytes of a file")]
    let size = std::fs::metadata(program).unwrap().len() as f64 / 1e6;
    rows.push(Row::at_most("size of `awsdir`", size, 5.0, " MB"));
    rows
}

/// The peers that are installed, each doing nothing new: `direnv export bash`, starship's aws module, the AWS CLI.
pub(crate) fn peers(program: &Path) -> Vec<Row> {
    let world = World::new(10);
    let installed = |name: &str| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok();
    let mut rows = Vec::new();
    let mut candidates = vec![baseline(&world)];
    if installed("direnv") {
        candidates
            .push(Candidate::new("`direnv export bash`", || world.command(Path::new("direnv"), &["export", "bash"])));
    }
    if installed("starship") {
        candidates.push(Candidate::new("`starship module aws`", || {
            let mut command = world.command(Path::new("starship"), &["module", "aws"]);
            command.env("AWS_PROFILE", "read-only");
            command
        }));
    }
    let runs = paired(40, candidates);
    rows.extend(runs[1..].iter().map(|peer| Row::plain(peer.name.clone(), peer.ratio(&runs[0]), TRUE)));
    if let Some(aws) = aws_cli() {
        let candidates = vec![
            Candidate::new("ours", || world.command(program, &["export", "read-only"])),
            Candidate::new("aws", || {
                world.command(&aws, &["configure", "export-credentials", "--profile", "read-only"])
            }),
        ];
        let runs = paired(8, candidates);
        let what = "`aws configure export-credentials` of AWS CLI v2";
        rows.push(Row::at_least(what, runs[1].ratio(&runs[0]), 1000.0, " × `awsdir export P`"));
    }
    rows
}

/// The AWS CLI v2, on the path or where the tests have put it.
fn aws_cli() -> Option<PathBuf> {
    let of_tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/aws");
    let candidates = [of_tests, PathBuf::from("aws")];
    candidates.into_iter().find(|aws| {
        let version = Command::new(aws).arg("--version").output();
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).starts_with("aws-cli/2"))
    })
}
