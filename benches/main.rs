//! `cargo bench`: the budgets of `docs/performance.md`, measured here and now, beside `/bin/true` and the peers that are
//! installed. `cargo bench -- WORD` prints only the rows of the part of that name.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench fails by panicking, prints its table, and has an environment of its own"
)]

#[path = "../tests/identity_center/mod.rs"]
mod identity_center;
mod paired;
mod processes;
#[path = "../tests/sandbox.rs"]
mod sandbox;
mod table;
#[path = "../tests/terminal.rs"]
mod terminal;

fn main() {
    let artifact = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/x86_64-unknown-linux-musl/release/awsdir");
    println!("{}", table::markdown("artifact", &processes::rows("artifact", &artifact, true)));
    println!("{}", table::markdown("clone", &processes::rows("clone", std::path::Path::new(env!("CARGO_BIN_EXE_awsdir")), false)));
}
