//! The network: renewing and signing in. The only code that knows tokio or the AWS SDKs.
//!
//! [`portal`] says what the services do, [`aws`] has the SDKs do it over [`http`], [`flow`] climbs the ladder of design
//! section 7, [`interrupts`] say what may stop it, [`sign_in`] and [`browser`] deal with the person.

pub(crate) mod aws;
mod browser;
mod flow;
mod http;
mod interrupts;
pub(crate) mod loopback;
pub(crate) mod portal;
mod retry;
mod sign_in;

pub(crate) use flow::{Ladder, Limits, logout, role_credentials, token};
pub(crate) use sign_in::{How, Purpose};
