//! What profiles came to when they were last read: nobody reads ten thousand profiles to learn of one.
//!
//! A record stands for the two AWS config files as long as they are the ones that were read: the same device, inode, size
//! and times of change, to the nanosecond. It holds no secret and can be removed at any time. One value a line; whoever
//! changes that changes [`VERSION`].

use super::files;
use crate::context::{Context, join};
use crate::core::hex::hex;
use crate::core::profile::{Profile, SsoProfile, SsoSession};
use crate::error::Result;
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::fs;
use std::hash::Hasher as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const VERSION: u8 = 1;

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
        let mut hash = SipHasher13::new();
        let mut newest = i64::MIN;
        hash.write_u8(VERSION);
        for path in files {
            let Ok(file) = fs::metadata(path) else {
                hash.write_u8(0);
                continue;
            };
            for number in [file.dev(), file.ino(), file.size()] {
                hash.write_u64(number);
            }
            for number in [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()] {
                hash.write_i64(number);
            }
            newest = newest.max(file.mtime()).max(file.ctime());
        }
        Self { digest: digest(hash), newest }
    }
}

/// The profile `name` as the files of this `fingerprint` have it, if it is on record.
pub(super) fn read(context: &Context, files: [&Path; 2], fingerprint: &Fingerprint, name: &str) -> Option<Profile> {
    let text = fs::read_to_string(path(context, files, name).ok()?).ok()?;
    let (digest, lines) = text.split_once('\n')?;
    if digest == fingerprint.digest { from_lines(lines) } else { None }
}

/// Puts a profile on record, if a later change of the files is sure to show. Failing to is no failure: they are read
/// again.
pub(super) fn write(context: &Context, files: [&Path; 2], fingerprint: &Fingerprint, profile: &Profile) {
    let settled = context.now.epoch().saturating_sub(fingerprint.newest) >= SETTLED;
    if let (true, Some(lines), Ok(path)) = (settled, to_lines(profile), path(context, files, profile.name())) {
        let _ = files::replace_unsynced(&path, format!("{}\n{lines}", fingerprint.digest).as_bytes());
    }
}

/// The record's values in their order; `None` if one of them has lines of its own.
pub(crate) fn to_lines(profile: &Profile) -> Option<String> {
    let region = profile.region().unwrap_or_default();
    let scopes;
    let values = match profile {
        Profile::Other { name, .. } => vec!["other", name, region],
        Profile::Sso(SsoProfile { name, session, account_id, role_name, cache_file, .. }) => {
            scopes = session.scopes.join(",");
            let session_name = session.name.as_deref().unwrap_or_default();
            vec![
                "sso",
                name,
                region,
                account_id,
                role_name,
                cache_file,
                session_name,
                &session.start_url,
                &session.region,
                &scopes,
            ]
        }
    };
    values.iter().all(|value| !value.contains('\n')).then(|| values.join("\n") + END)
}

pub(crate) fn from_lines(lines: &str) -> Option<Profile> {
    let mut lines = lines.strip_suffix(END)?.split('\n');
    let kind = lines.next()?;
    let mut next = || lines.next().map(str::to_owned);
    // An empty value counts as none in a config.
    let some = |value: String| (!value.is_empty()).then_some(value);
    let (name, region) = (next()?, some(next()?));
    match kind {
        "other" => Some(Profile::Other { name, region }),
        "sso" => {
            let (account_id, role_name, cache_file, session_name) = (next()?, next()?, next()?, some(next()?));
            let (start_url, session_region, scopes) = (next()?, next()?, next()?);
            let scopes = scopes.split(',').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
            let session = SsoSession { name: session_name, start_url, region: session_region, scopes };
            Some(Profile::Sso(SsoProfile { name, session, account_id, role_name, region, cache_file }))
        }
        _ => None,
    }
}

fn path(context: &Context, files: [&Path; 2], name: &str) -> Result<PathBuf> {
    let mut hash = SipHasher13::new();
    for part in [files[0].as_os_str().as_bytes(), files[1].as_os_str().as_bytes(), name.as_bytes()] {
        hash.write(part);
        hash.write_u8(0);
    }
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

    proptest! {
        #[test]
        fn a_record_gives_back_the_profile(
            name in value(), region in proptest::option::of(value()), role in (value(), value()), session in session(),
        ) {
            let other = Profile::Other { name: name.clone(), region: region.clone() };
            let (account_id, role_name) = role;
            let cache_file = "x.json".to_owned();
            let sso = Profile::Sso(SsoProfile { name, session, account_id, role_name, region, cache_file });
            for profile in [other, sso] {
                let lines = to_lines(&profile).unwrap();
                let read = from_lines(&lines);
                prop_assert_eq!(read.as_ref(), Some(&profile));
                let torn = (0..lines.len()).filter_map(|length| lines.get(..length));
                prop_assert!(torn.map(from_lines).all(|read| read.is_none()));
            }
        }

        #[test]
        fn never_panics(text in "(sso|other|\n|x|,){0,12}") {
            let _ = from_lines(&text);
        }
    }

    #[test]
    fn a_value_with_lines_of_its_own_is_not_recorded() {
        assert_eq!(to_lines(&Profile::Other { name: "a".into(), region: Some("b\nc".into()) }), None);
    }
}
