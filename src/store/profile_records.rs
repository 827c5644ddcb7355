//! What profiles came to when they were last read: nobody reads ten thousand profiles to learn of one.
//!
//! A record stands for the two AWS config files as long as they are the ones that were read: the same device, inode, size
//! and times of change, to the nanosecond. It holds no secret and can be removed at any time. One value a line; whoever
//! changes that changes [`VERSION`].

use super::files;
use crate::context::{Context, join};
use crate::core::hex::hex;
use crate::core::profile::{DEEPEST, OtherKind, OtherProfile, Profile, RoleProfile, Source, SsoProfile, SsoSession};
use crate::error::Result;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::fs;
use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const VERSION: u8 = 2;

/// The last line, without which a record is not whole: nobody waits for the disk when one is written.
const END: &str = "\nend\n";

/// Seconds that a file must have been left alone before its times can tell it from its next version: as long as the
/// coarsest file systems count.
const SETTLED: i64 = 2;

/// Which version of the two files it is.
pub(super) struct Fingerprint {
    digest: String,
    /// When one of them changed last, in seconds since 1970.
    newest: i64,
}

impl Fingerprint {
    /// Take it before the files are read: what changes in between is noticed by the next to look.
    pub(super) fn of(files: [&Path; 2]) -> Self {
        // All numbers at once: a hook does this at every `cd`.
        let mut numbers = [0; 1 + 2 * 7];
        numbers[0] = i64::from(VERSION);
        let mut newest = i64::MIN;
        for (path, numbers) in files.into_iter().zip(numbers[1..].chunks_exact_mut(7)) {
            let Ok(file) = fs::metadata(path) else { continue };
            let [device, inode, size] = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
            let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
            numbers[..3].copy_from_slice(&[device, inode, size]);
            numbers[3..].copy_from_slice(&times);
            newest = newest.max(file.mtime()).max(file.ctime());
        }
        let mut hash = SipHasher13::new();
        hash.write(numbers.map(i64::to_ne_bytes).as_flattened());
        Self { digest: digest(hash), newest }
    }
}

/// The profile by its name, or what else it goes by, as the files of this `fingerprint` have it, if it is on record.
pub(super) fn read(context: &Context, files: [&Path; 2], fingerprint: &Fingerprint, key: &str) -> Option<Profile> {
    let text = fs::read_to_string(path(context, files, key).ok()?).ok()?;
    let (digest, lines) = text.split_once('\n')?;
    if digest == fingerprint.digest { from_lines(lines) } else { None }
}

/// Puts a profile on record, if a later change of the files is sure to show. Failing to is no failure: they are read
/// again. A permission set by itself is on record all the same, not to be read again but for [`permission_sets`].
pub(super) fn write(context: &Context, files: [&Path; 2], fingerprint: &Fingerprint, key: &str, profile: &Profile) {
    let settled = context.now.epoch().saturating_sub(fingerprint.newest) >= SETTLED;
    let digest = if settled { &fingerprint.digest } else { "unsettled" };
    let wanted = settled || !profile.is_in_config();
    if let (true, Some(lines), Ok(path)) = (wanted, to_lines(profile), path(context, files, key)) {
        let _ = files::replace_unsynced(&path, format!("{digest}\n{lines}").as_bytes());
    }
}

/// The permission sets by themselves that were ever asked for: no config tells of them.
pub(crate) fn permission_sets(context: &Context) -> Vec<SsoProfile> {
    let folder = context.state_directory().ok().and_then(|state| fs::read_dir(join(state, ["profiles"])).ok());
    let records = folder.into_iter().flatten().flatten();
    let profile = |record: fs::DirEntry| match from_lines(fs::read_to_string(record.path()).ok()?.split_once('\n')?.1)?
    {
        Profile::Sso(profile) if !profile.is_in_config => Some(profile),
        _ => None,
    };
    records.filter_map(profile).collect()
}

/// The record's values in their order; `None` if one of them has lines of its own.
pub(crate) fn to_lines(profile: &Profile) -> Option<String> {
    let mut values = Vec::new();
    push(profile, &mut values);
    values.iter().all(|value| !value.contains('\n')).then(|| values.join("\n") + END)
}

/// A profile's values, and then those of its source.
fn push(profile: &Profile, values: &mut Vec<String>) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut add = |more: &[&str]| values.extend(more.iter().copied().map(str::to_owned));
    let region = profile.region().unwrap_or_default();
    match profile {
        Profile::Sso(SsoProfile { name, is_in_config, session, account_id, role_name, cache_file, .. }) => {
            let kind = if *is_in_config { "sso" } else { "permission set" };
            add(&[kind, name, region, account_id, role_name, cache_file, &text(&session.name)]);
            add(&[&session.start_url, &session.region, &session.scopes.join(",")]);
        }
        Profile::Role(role) => {
            add(&["role", &role.name, region, &role.role_arn, &text(&role.session_name), &text(&role.external_id)]);
            let duration = role.duration_seconds.map(|seconds| seconds.to_string());
            add(&[&text(&role.mfa_serial), &text(&duration), &role.cache_file]);
            match &role.source {
                Source::Profile(source) => {
                    add(&["profile"]);
                    push(source, values);
                }
                Source::Environment => add(&["environment"]),
                Source::EcsContainer => add(&["container"]),
                Source::Ec2InstanceMetadata => add(&["instance"]),
                Source::WebIdentity { token_file } => add(&["web identity", token_file]),
            }
        }
        Profile::Other(OtherProfile { name, kind, .. }) => {
            let kind = match kind {
                OtherKind::Keys => "keys",
                OtherKind::Process => "process",
                OtherKind::Nothing => "nothing",
            };
            add(&[kind, name, region]);
        }
    }
}

pub(crate) fn from_lines(lines: &str) -> Option<Profile> {
    let mut lines = lines.strip_suffix(END)?.split('\n');
    let profile = pull(&mut lines, 0)?;
    lines.next().is_none().then_some(profile)
}

fn pull<'a>(lines: &mut impl Iterator<Item = &'a str>, above: usize) -> Option<Profile> {
    let kind = lines.next().filter(|_| above < DEEPEST)?;
    let mut next = || lines.next().map(str::to_owned);
    // An empty value counts as none in a config.
    let some = |value: String| (!value.is_empty()).then_some(value);
    let (name, region) = (next()?, some(next()?));
    let other = |kind| Profile::Other(OtherProfile { name: name.clone(), region: region.clone(), kind });
    Some(match kind {
        "keys" => other(OtherKind::Keys),
        "process" => other(OtherKind::Process),
        "nothing" => other(OtherKind::Nothing),
        "sso" | "permission set" => {
            let (account_id, role_name, cache_file, session_name) = (next()?, next()?, next()?, some(next()?));
            let (start_url, session_region, scopes) = (next()?, next()?, next()?);
            let scopes = scopes.split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
            let session = SsoSession { name: session_name, start_url, region: session_region, scopes };
            let is_in_config = kind == "sso";
            Profile::Sso(SsoProfile { name, is_in_config, session, account_id, role_name, region, cache_file })
        }
        "role" => {
            let (role_arn, session_name, external_id) = (next()?, some(next()?), some(next()?));
            let (mfa_serial, duration, cache_file, source) = (some(next()?), some(next()?), next()?, next()?);
            let duration_seconds = match duration {
                Some(seconds) => Some(seconds.parse().ok()?),
                None => None,
            };
            let source = match source.as_str() {
                "environment" => Source::Environment,
                "container" => Source::EcsContainer,
                "instance" => Source::Ec2InstanceMetadata,
                "web identity" => Source::WebIdentity { token_file: next()? },
                "profile" => Source::Profile(Box::new(pull(lines, above + 1)?)),
                _ => return None,
            };
            Profile::Role(RoleProfile {
                name,
                region,
                role_arn,
                source,
                session_name,
                external_id,
                mfa_serial,
                duration_seconds,
                cache_file,
            })
        }
        _ => return None,
    })
}

fn path(context: &Context, files: [&Path; 2], key: &str) -> Result<PathBuf> {
    let mut hash = SipHasher13::new();
    hash.write(&[files[0].as_os_str().as_bytes(), files[1].as_os_str().as_bytes(), key.as_bytes()].join(&0));
    Ok(join(context.state_directory()?, ["profiles/", &digest(hash)]))
}

fn digest(hash: SipHasher13) -> String {
    hex(&hash.finish128().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = String> {
        "[^\n]{1,12}"
    }

    fn session() -> impl Strategy<Value = SsoSession> {
        let scopes = proptest::collection::vec("[a-z:]{1,9}", 0..4);
        (proptest::option::of(value()), value(), value(), scopes)
            .prop_map(|(name, start_url, region, scopes)| SsoSession { name, start_url, region, scopes })
    }

    fn profile() -> impl Strategy<Value = Profile> {
        let some = || proptest::option::of(value());
        let other =
            (value(), some(), proptest::sample::select(vec![OtherKind::Keys, OtherKind::Process, OtherKind::Nothing]))
                .prop_map(|(name, region, kind)| Profile::Other(OtherProfile { name, region, kind }));
        let sso = (value(), any::<bool>(), session(), value(), value(), some()).prop_map(
            |(name, is_in_config, session, account_id, role_name, region)| {
                let cache_file = "x.json".to_owned();
                Profile::Sso(SsoProfile { name, is_in_config, session, account_id, role_name, region, cache_file })
            },
        );
        let plain = prop_oneof![other, sso];
        plain.prop_recursive(3, 3, 1, move |inner| {
            let source = prop_oneof![
                Just(Source::Environment),
                Just(Source::EcsContainer),
                Just(Source::Ec2InstanceMetadata),
                value().prop_map(|token_file| Source::WebIdentity { token_file }),
                inner.prop_map(|profile| Source::Profile(Box::new(profile))),
            ];
            let texts = (value(), value(), some(), some(), some(), some());
            (texts, proptest::option::of(any::<u32>()), source).prop_map(|(texts, duration_seconds, source)| {
                let (name, role_arn, region, session_name, external_id, mfa_serial) = texts;
                let cache_file = "y.json".to_owned();
                Profile::Role(RoleProfile {
                    name,
                    region,
                    role_arn,
                    source,
                    session_name,
                    external_id,
                    mfa_serial,
                    duration_seconds,
                    cache_file,
                })
            })
        })
    }

    proptest! {
        #[test]
        fn a_record_gives_back_the_profile(profile in profile()) {
            let lines = to_lines(&profile).unwrap();
            let read = from_lines(&lines);
            prop_assert_eq!(read.as_ref(), Some(&profile));
            let torn = (0..lines.len()).filter_map(|length| lines.get(..length));
            prop_assert!(torn.map(from_lines).all(|read| read.is_none()));
        }

        #[test]
        fn never_panics(text in "(sso|role|keys|profile|environment|\n|x|,|7|end){0,24}") {
            let _ = from_lines(&text);
        }
    }

    #[test]
    fn a_value_with_lines_of_its_own_is_not_recorded() {
        let region = Some("b\nc".into());
        assert_eq!(to_lines(&Profile::Other(OtherProfile { name: "a".into(), region, kind: OtherKind::Keys })), None);
    }
}
