//! One integration binary: every promise to users is kept by running the real binaries in a sandbox, every promise
//! about shells in each real shell at a pseudo-terminal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says what it skips, and has an environment of its own"
)]

mod identity_center;
mod sandbox;
mod terminal;

mod caches;
mod clients;
mod commands;
mod completions;
mod exec;
mod faults;
mod homes;
mod hook;
mod hook_contract;
mod interruptions;
mod kill_anywhere;
mod kinds;
mod layering;
mod loopback;
mod permission_sets;
mod races;
mod renew;
mod sign_in;
mod status;
mod tls;
mod tools;
mod trust;
