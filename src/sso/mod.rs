//! The network: renewing, signing in, and handing out what is renewed. The only code that knows tokio or the AWS SDKs.
//!
//! [`portal`] says what the services do, [`aws`] has the SDKs do it over [`http`], [`flow`] climbs the ladder of design
//! section 7, [`interrupts`] say what may stop it, [`sign_in`], [`browser`] and [`redirect`] deal with the person.
//! [`chain`] goes from there to profiles of every kind: by [`sts`], with codes of [`mfa`] devices, by a [`process`], by the
//! [`metadata`] of a machine.
//! [`renewal`] keeps role credentials fresh while a command runs, [`endpoint`] hands them to it. What listens on this
//! machine does so by [`loopback`].

pub(crate) mod aws;
mod browser;
mod chain;
pub(crate) mod endpoint;
mod flow;
mod http;
mod interrupts;
pub(crate) mod loopback;
mod metadata;
mod mfa;
pub(crate) mod portal;
mod process;
pub(crate) mod redirect;
mod renewal;
mod retry;
mod sign_in;
pub(crate) mod sts;

use crate::core::credentials::Secret;
use crate::error::{Error, Result};
use base64_simd::URL_SAFE_NO_PAD;

pub(crate) use chain::credentials;
pub(crate) use flow::{Ladder, Limits, logout, token};
pub(crate) use renewal::{NotRenewed, Renewal, keep};
pub(crate) use sign_in::{How, Purpose};

/// 256 random bits as text: a `state`, a bearer token, or a code verifier of 43 characters (RFC 7636 section 4.1).
fn random_text() -> Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::System {
        doing: "get random numbers",
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode_to_string(bytes)))
}
