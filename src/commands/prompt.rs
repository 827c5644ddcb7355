//! `awsdir prompt`: the segment, for prompts that must call a program. Never the network, never a word on stderr.

use super::gather::{self, Directory, Standing};
use super::print;
use crate::cli::Prompt;
use crate::context::Context;
use crate::core::decision::{Decision, Goal};
use crate::core::environment::Mark;
use crate::core::segment::{Segment, State};
use crate::core::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::shell::Shell;
use crate::store::profiles;
use crate::store::settings::Settings;

pub(super) fn run(context: &Context, arguments: &Prompt) -> Result<()> {
    let text = segment(context).text(context.now);
    print(&match arguments.shell {
        // zsh expands `%` in prompts.
        Some(Shell::Zsh) => text.replace('%', "%%"),
        _ => text,
    })
}

/// What the environment says is in force; without that, whether the directory would like to be.
fn segment(context: &Context) -> Segment {
    let style = Settings::load(context).unwrap_or_default().style;
    let region = context.var("AWS_REGION");
    match Mark::in_force(context.uid, |name| context.var_os(name)) {
        Some(mark) => Segment::new(&style, &mark.profile, region.as_deref(), state(context, &mark)),
        None => match gather::dotfile_path(context).map(|path| Directory::read(context, path)) {
            Some(Err(Error::NotAllowed { profile, .. })) => Segment::new(&style, &profile, None, State::NotAllowed),
            _ => Segment::default(),
        },
    }
}

fn state(context: &Context, mark: &Mark) -> State {
    if context.var("AWS_ACCESS_KEY_ID").is_some() {
        let expires_at = context.var("AWS_CREDENTIAL_EXPIRATION").and_then(|text| Timestamp::parse(&text));
        return expires_at.map_or(State::InForce, State::Until);
    }
    if mark.dotfile.is_none() {
        // A child of `with-aws --renew`: its role credentials are renewed for it.
        return State::InForce;
    }
    // What has no session needs no person that a prompt could know of.
    let standing = profiles::profile(context, &mark.profile)
        .and_then(|profile| Standing::of(context, &profile, Goal::AccessToken, false));
    match standing.map(|standing| standing.decision) {
        Ok(Decision::Renew) => State::Renewable,
        Ok(Decision::SignIn | Decision::Blocked(_)) => State::SignInNeeded,
        Ok(Decision::Use | Decision::UseAndRenew) | Err(_) => State::InForce,
    }
}
