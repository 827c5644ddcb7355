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

mod paired;
mod table;

fn main() {}
