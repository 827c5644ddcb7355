//! The rules: plain data in, plain data out.
//!
//! Nothing here reads a file, a clock, the environment or the network; what a rule needs is an argument.

pub(crate) mod credentials;
pub(crate) mod decision;
pub(crate) mod dotfile;
pub(crate) mod environment;
pub(crate) mod hex;
pub(crate) mod near;
pub(crate) mod profile;
pub(crate) mod segment;
pub(crate) mod shadow;
pub(crate) mod timestamp;
