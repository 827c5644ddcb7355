//! One integration binary: every promise to users is kept by running the real binaries in a sandbox.

mod identity_center;
mod sandbox;
mod terminal;
