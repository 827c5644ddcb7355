//! `cargo bench`: the budgets of `docs/performance.md`, measured here and now, beside `/bin/true` and the peers that are
//! installed. `cargo bench -- PART …` measures some parts only: processes, network, shells, peers,
//! footprint, instructions.
//!
//! It ends with status 1 where a budget does not hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, prints its table, and has an environment of its own"
)]

// What the tests run in is what is measured in; some of it is needed by them alone.
#[allow(unused_imports)]
#[path = "../tests/identity_center/mod.rs"]
mod identity_center;
mod instructions;
mod network;
mod paired;
mod processes;
#[allow(dead_code)]
#[path = "../tests/sandbox.rs"]
mod sandbox;
mod shells;
mod table;
#[allow(dead_code)]
#[path = "../tests/terminal.rs"]
mod terminal;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::Row;

/// What the build that is released is called in the table.
const RELEASED: &str = "release artifact";

/// What `cargo build --release --target x86_64-unknown-linux-musl` makes.
const ARTIFACT: &str = "target/x86_64-unknown-linux-musl/release/awsdir";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // Started again by ourselves, to be measured as a process.
        Some("raw-tls") => {
            network::raw_client(arguments[1..].iter().cloned());
            return ExitCode::SUCCESS;
        }
        Some(processes::RUST_INI) => {
            processes::read_with_rust_ini(&arguments[1]);
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    // Cargo itself adds `--bench`.
    let parts: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    let wanted = |part: &str| parts.is_empty() || parts.contains(&part);
    let from_source = ("`cargo build --release`", PathBuf::from(env!("CARGO_BIN_EXE_awsdir")));
    let artifact = (RELEASED, Path::new(env!("CARGO_MANIFEST_DIR")).join(ARTIFACT));
    let programs: Vec<(&str, PathBuf)> = if artifact.1.exists() {
        vec![artifact, from_source]
    } else {
        println!("There is no {ARTIFACT}: the release artifact is not measured.\n");
        vec![from_source]
    };

    println!("{}", machine());
    let mut holds = true;
    let mut show = |heading: &str, rows: Vec<Row>| {
        holds &= rows.iter().all(|row| row.holds);
        println!("{}", table::markdown(heading, &rows));
    };
    if wanted("processes") {
        for (label, program) in &programs {
            show(&format!("Processes: {label}"), processes::rows(label, program, *label == RELEASED));
        }
    }
    if wanted("network") {
        show("Stale role credentials, 40 ms away", network::rows(&programs));
    }
    if wanted("shells") {
        show("In the shells", shells::rows());
    }
    if wanted("peers") {
        show("Peers", processes::peers(&programs[0].1));
    }
    if let (true, Some((_, artifact))) = (wanted("footprint"), programs.iter().find(|(label, _)| *label == RELEASED)) {
        show("Footprint of the release artifact", processes::footprint(artifact));
    }
    if wanted("instructions") && (!parts.is_empty() || instructions::available()) {
        match instructions::check(arguments.iter().any(|word| word == "--record")) {
            Ok(rows) => show("Instructions", rows),
            Err(complaints) => {
                eprintln!("Instructions above the record (benches/instructions.json):\n{complaints}");
                holds = false;
            }
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the figures were measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).unwrap_or_default().1;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores of {model}, Linux {}\n", read("/proc/sys/kernel/osrelease").trim())
}
