//! Instructions, counted by callgrind: the same number for the same binary, whatever else the machine does. They are held
//! against `benches/instructions.json`; what grew is named by function.
//!
//! `cargo bench -- instructions` needs valgrind, and the release artifact with its names:
//! `cargo build --profile profiling --target x86_64-unknown-linux-musl`. `--record` writes the file anew.

use crate::processes::World;
use crate::table::Row;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is counted: the program, its arguments, and the budget of `docs/performance.md` where there is one.
const COUNTED: [(&str, &str, &[&str], Option<u64>); 3] = [
    ("hook", "awsdir", &["hook", "bash"], Some(160_000)),
    ("export", "awsdir", &["export", "read-only", "--format", "env"], None),
    ("with-aws", "with-aws", &["read-only", "--", "/bin/true"], None),
];

/// How far a total may be above its record, in parts of a hundred: processors differ in what libraries choose for them.
const TOLERANCE: u64 = 2;

/// Functions with fewer instructions of their own are not recorded.
const WORTH_NOTING: u64 = 200;

/// Instructions by function, their callees' not counted.
type Profile = BTreeMap<String, u64>;

/// Counts, and compares with the record or replaces it. An error says what grew.
pub(crate) fn check(record: bool) -> Result<Vec<Row>, String> {
    let folder = manifest().join("target/x86_64-unknown-linux-musl/profiling");
    let world = World::new(10);
    let path = manifest().join("benches/instructions.json");
    let known: Value = std::fs::read_to_string(&path).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
    let (mut rows, mut records, mut complaints) = (Vec::new(), Map::new(), String::new());
    for (name, program, arguments, budget) in COUNTED {
        let profile = count(&world, &folder.join(program), arguments);
        let total: u64 = profile.values().sum();
        let what = format!("instructions of {program} {}", arguments.join(" "));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        rows.push(match budget {
            Some(budget) => Row::at_most(what, total as f64, budget as f64, ""),
            None => Row::plain(what, total as f64, ""),
        });
        let before = &known[name];
        let limit = before["total"].as_u64().map(|total| total + total * TOLERANCE / 100);
        if !record && limit.is_none_or(|limit| total > limit) {
            let _ = writeln!(complaints, "{name}: {total} instructions, {} on record", before["total"]);
            for (function, growth) in growth(&profile, &before["functions"]) {
                let _ = writeln!(complaints, "  {growth:+} {function}");
            }
        }
        let worth_noting: Profile = profile.into_iter().filter(|(_, own)| *own >= WORTH_NOTING).collect();
        records.insert(name.to_owned(), json!({ "total": total, "functions": worth_noting }));
    }
    if record {
        std::fs::write(path, format!("{:#}\n", Value::Object(records))).unwrap();
    }
    if complaints.is_empty() { Ok(rows) } else { Err(complaints) }
}

/// The ten functions that grew most.
fn growth(now: &Profile, before: &Value) -> Vec<(String, i64)> {
    let signed = |count: u64| i64::try_from(count).unwrap();
    let mut growth: Vec<(String, i64)> = now
        .iter()
        .map(|(name, own)| (name.clone(), signed(*own) - signed(before[name].as_u64().unwrap_or_default())))
        .filter(|(_, growth)| *growth > 0)
        .collect();
    growth.sort_by_key(|(_, growth)| -growth);
    growth.truncate(10);
    growth
}

fn count(world: &World, program: &Path, arguments: &[&str]) -> Profile {
    let output = world.sandbox.path("callgrind.out");
    // A program that becomes another is counted up to that point: then the first of two files has it.
    let mut command = world.command(Path::new("valgrind"), &["--tool=callgrind", "--quiet", "--dump-before=execve"]);
    command.arg(format!("--callgrind-out-file={}", output.display())).arg(program).args(arguments);
    let run = command.output().expect("valgrind is installed");
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    let at_execve = output.with_extension("out.1");
    let profile = if at_execve.exists() { at_execve } else { output };
    own_costs(&std::fs::read_to_string(profile).unwrap())
}

/// Reads callgrind's profile format: a name is given a number at its first mention, a line of numbers after `calls=` is
/// what the callee cost.
fn own_costs(profile: &str) -> Profile {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs = Profile::new();
    let (mut function, mut is_call) = ("", false);
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if line.starts_with("fn=") {
                function = names.get(number).copied().unwrap_or_default();
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            if !is_call {
                let cost: u64 = line.rsplit(' ').next().and_then(|cost| cost.parse().ok()).unwrap_or_default();
                // Recursion's levels count as one, and so do functions without a name.
                let name = function.split('\'').next().unwrap_or_default();
                let name = if name.starts_with("0x") { "(without a name)" } else { name };
                *costs.entry(name.to_owned()).or_default() += cost;
            }
            is_call = false;
        }
    }
    costs
}

fn manifest() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether valgrind can be run here.
pub(crate) fn available() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}
