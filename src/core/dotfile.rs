//! The grammar of `.awsprofile` (design section 4). Data only: nothing in it is executed or expanded.

use super::profile::{PermissionSet, is_account_id, is_name_character, is_role_name};
use std::fmt;

/// The name looked for in each directory.
pub(crate) const FILE_NAME: &str = ".awsprofile";

/// Bytes that a dotfile may have at most; the shells read no more than that.
pub(crate) const MAX_BYTES: usize = 4096;

/// Characters that a profile's name may have at most: it stands in prompts.
const MAX_NAME: usize = 255;
/// Characters that a region's name may have at most: it becomes part of a host's name.
const MAX_REGION: usize = 63;

/// What a directory asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dotfile {
    pub(crate) selection: Selection,
    /// Wins over the profile's own region.
    pub(crate) region: Option<String>,
    pub(crate) credentials: Option<CredentialsMode>,
    pub(crate) login: Option<LoginMode>,
}

/// The role that a directory asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// A profile of the person's own config, by its name there.
    Profile(String),
    /// A role that needs no profile, the same for everybody who has the directory.
    PermissionSet(PermissionSet),
}

impl Selection {
    /// The profile's name; of a permission set, `account/permission-set`.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Profile(name) => name.clone(),
            Self::PermissionSet(permission_set) => permission_set.label(),
        }
    }
}

/// Which variables carry the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialsMode {
    /// Role credentials beside `AWS_PROFILE`.
    Env,
    /// `AWS_PROFILE` and the region only; the SDKs find the role credentials themselves.
    None,
    /// Role credentials without `AWS_PROFILE`; `AWS_SSO_PROFILE` names it for prompts.
    Only,
}

impl CredentialsMode {
    pub(crate) const WORDS: &str = "`env`, `none` or `only`";

    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "env" => Some(Self::Env),
            "none" => Some(Self::None),
            "only" => Some(Self::Only),
            _ => None,
        }
    }
}

/// What a stale session does in an interactive shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginMode {
    Auto,
    Ask,
    Never,
}

impl LoginMode {
    pub(crate) const WORDS: &str = "`auto`, `ask` or `never`";

    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "ask" => Some(Self::Ask),
            "never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// Why a dotfile is not one, and where (both counted from 1; columns in characters).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DotfileError {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) problem: String,
}

impl fmt::Display for DotfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

fn error<T>(line: usize, column: usize, problem: impl Into<String>) -> Result<T, DotfileError> {
    Err(DotfileError { line, column, problem: problem.into() })
}

/// Reads a dotfile's bytes. Pass all of it, or at least one byte more than [`MAX_BYTES`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Dotfile, DotfileError> {
    if bytes.len() > MAX_BYTES {
        return error(1, 1, format!("it is larger than {MAX_BYTES} bytes"));
    }
    let text = decode(bytes)?;
    let lines: Vec<(usize, &str)> = text
        .split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.strip_suffix('\r').unwrap_or(line)))
        .collect();
    for (number, line) in &lines {
        let control = |c: char| c.is_control() && c != '\t';
        if let Some(column) = line.chars().position(control) {
            return error(*number, column + 1, "a control character");
        }
    }
    let mut statements = lines.iter().copied().filter(|(_, line)| is_statement(line));
    let Some((number, first)) = statements.next() else {
        return error(1, 1, "it names no profile");
    };
    if !first.contains('=') {
        let selection = Selection::Profile(name(number, first, 0)?);
        let dotfile = Dotfile { selection, region: None, credentials: None, login: None };
        return match statements.next() {
            None => Ok(dotfile),
            Some((number, line)) => {
                error(number, column_of(line), "a second line after the bare name of a profile; use `key = value`")
            }
        };
    }
    key_form(std::iter::once((number, first)).chain(statements))
}

/// Whether a line says anything: it is neither blank nor a comment.
pub(crate) fn is_statement(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with(['#', ';'])
}

fn key_form<'a>(statements: impl Iterator<Item = (usize, &'a str)>) -> Result<Dotfile, DotfileError> {
    let (mut profile, mut region, mut credentials, mut login) = (None, None, None, None);
    let mut permission_set = PERMISSION_SET.map(|key| (key, None));
    let mut last = 1;
    for (number, line) in statements {
        last = number;
        let Some((key, value)) = line.split_once('=') else {
            return error(number, column_of(line), format!("`{}` has no `=`", shown(line.trim())));
        };
        let value_at = key.len() + 1;
        let column = |at: usize| line[..at].chars().count() + 1;
        let value_column = column(value_at + value.len() - value.trim_start().len());
        let word = value.trim();
        let duplicate = match key.trim() {
            "profile" => profile.replace(name(number, line, value_at)?).is_some(),
            "region" => region.replace(region_name(number, value_column, word)?).is_some(),
            "credentials" => match CredentialsMode::parse(word) {
                Some(mode) => credentials.replace(mode).is_some(),
                None => return not_one_of(number, value_column, "credentials", word, CredentialsMode::WORDS),
            },
            "login" => match LoginMode::parse(word) {
                Some(mode) => login.replace(mode).is_some(),
                None => return not_one_of(number, value_column, "login", word, LoginMode::WORDS),
            },
            other => {
                let Some((key, known)) = permission_set.iter_mut().find(|(key, _)| *key == other) else {
                    return error(
                        number,
                        column_of(line),
                        format!(
                            "unknown key `{}`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`",
                            shown(other)
                        ),
                    );
                };
                known
                    .replace((number, value_column, part_of_permission_set(key, number, value_column, word)?))
                    .is_some()
            }
        };
        if duplicate {
            return error(number, column_of(line), format!("`{}` is given twice", key.trim()));
        }
    }
    let selection = match (profile, permission_set.iter().find_map(|(key, value)| Some((key, value.as_ref()?)))) {
        (Some(profile), None) => Selection::Profile(profile),
        (Some(_), Some((key, (number, ..)))) => {
            return error(*number, 1, format!("`{key}` beside `profile`: it is one or the other"));
        }
        (None, None) => return error(last, 1, "it has no `profile`"),
        (None, Some(_)) => {
            if let Some((key, _)) = permission_set.iter().find(|(_, value)| value.is_none()) {
                return error(last, 1, format!("it has no `{key}`"));
            }
            let [start_url, sso_region, account_id, role_name] =
                permission_set.map(|(_, value)| value.map(|(.., text)| text).unwrap_or_default());
            Selection::PermissionSet(PermissionSet { start_url, sso_region, account_id, role_name })
        }
    };
    Ok(Dotfile { selection, region, credentials, login })
}

/// The keys that select a role, in one way or the other.
pub(crate) const SELECTION: [&str; 5] = ["profile", "sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];

/// The keys of a role that needs no profile, as in the AWS config.
const PERMISSION_SET: [&str; 4] = ["sso_start_url", "sso_region", "sso_account_id", "sso_role_name"];

fn part_of_permission_set(key: &str, number: usize, column: usize, word: &str) -> Result<String, DotfileError> {
    let (fits, what) = match key {
        "sso_start_url" => (is_start_url(word), "a start URL, such as `https://acme.awsapps.com/start`"),
        "sso_region" => return region_name(number, column, word),
        "sso_account_id" => (is_account_id(word), "an account id of twelve digits"),
        _ => (is_role_name(word), "the name of a permission set"),
    };
    if !fits {
        return error(number, column, format!("`{key}` is {what}, not `{}`", shown(word)));
    }
    Ok(word.to_owned())
}

/// What a person is sent to must be a page of `https`, and say where it is by its host alone.
fn is_start_url(word: &str) -> bool {
    let Some(rest) = word.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let in_host = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    let in_url = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    !host.is_empty() && host.chars().all(in_host) && rest.chars().all(in_url)
}

fn decode(bytes: &[u8]) -> Result<&str, DotfileError> {
    std::str::from_utf8(bytes).or_else(|e| {
        let good = std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default();
        let line = good.matches('\n').count() + 1;
        let column = good.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        error(line, column, "a byte that is not UTF-8")
    })
}

/// The profile's name in `line` from byte `from` on.
fn name(number: usize, line: &str, from: usize) -> Result<String, DotfileError> {
    let value = line[from..].trim();
    let start = line[..from].chars().count() + column_of(&line[from..]);
    if value.is_empty() {
        return error(number, start, "the profile's name is empty");
    }
    match value.chars().position(|c| !is_name_character(c)) {
        None if value.len() > MAX_NAME => {
            error(number, start, format!("the profile's name is longer than {MAX_NAME} characters"))
        }
        None => Ok(value.to_owned()),
        Some(at) => error(
            number,
            start + at,
            format!(
                "`{}` cannot be in the name of a profile",
                value.chars().nth(at).unwrap_or_default().escape_debug()
            ),
        ),
    }
}

fn region_name(number: usize, column: usize, word: &str) -> Result<String, DotfileError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if word.is_empty() || word.len() > MAX_REGION || !word.chars().all(fits) {
        return error(number, column, format!("`{}` is not the name of a region", shown(word)));
    }
    Ok(word.to_owned())
}

/// The beginning of what a line says, for a message.
fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut shown: String = text.chars().take(LIMIT).map(|c| if c == '\t' { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

fn not_one_of<T>(number: usize, column: usize, key: &str, word: &str, words: &str) -> Result<T, DotfileError> {
    error(number, column, format!("`{key}` is {words}, not `{}`", shown(word)))
}

/// The column of the first character that is not blank.
fn column_of(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bare(profile: &str) -> Dotfile {
        Dotfile { selection: Selection::Profile(profile.into()), region: None, credentials: None, login: None }
    }

    #[test]
    fn both_forms() {
        for text in ["read-only", "read-only\n", "  read-only \r\n", "# why\n\nread-only\n; end", "profile=read-only"] {
            assert_eq!(parse(text.as_bytes()), Ok(bare("read-only")), "{text:?}");
        }
        let text =
            "profile = a/b.c@d:e+f_g%h\r\n# note\r\nregion=us-gov-west-1\r\ncredentials = only\r\nlogin\t=\tnever\r\n";
        assert_eq!(
            parse(text.as_bytes()),
            Ok(Dotfile {
                selection: Selection::Profile("a/b.c@d:e+f_g%h".into()),
                region: Some("us-gov-west-1".into()),
                credentials: Some(CredentialsMode::Only),
                login: Some(LoginMode::Never),
            })
        );
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases: [(&[u8], &str); 25] = [
            (b"", "line 1, column 1: it names no profile"),
            (b"# only a comment\n", "line 1, column 1: it names no profile"),
            (b"a b", "line 1, column 2: ` ` cannot be in the name of a profile"),
            (b"$(touch x)", "line 1, column 1: `$` cannot be in the name of a profile"),
            (b"a\nb", "line 2, column 1: a second line after the bare name of a profile; use `key = value`"),
            (
                b"a\nregion = us-east-1",
                "line 2, column 1: a second line after the bare name of a profile; use `key = value`",
            ),
            (b"region = us-east-1", "line 1, column 1: it has no `profile`"),
            (b"profile =", "line 1, column 10: the profile's name is empty"),
            (b"profile = a\n\n profile = b", "line 3, column 2: `profile` is given twice"),
            (
                b"profile = a\nendpoint_url = http://x",
                "line 2, column 1: unknown key `endpoint_url`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`",
            ),
            (
                b"Profile = a",
                "line 1, column 1: unknown key `Profile`; the keys are `profile` or the four `sso_` keys, `region`, `credentials` and `login`",
            ),
            (b"profile = a\nregion", "line 2, column 1: `region` has no `="),
            (b"profile = a\nregion = US East", "line 2, column 10: `US East` is not the name of a region"),
            (
                b"profile = a\ncredentials = all",
                "line 2, column 15: `credentials` is `env`, `none` or `only`, not `all`",
            ),
            (b"profile = a\nlogin = ", "line 2, column 9: `login` is `auto`, `ask` or `never`, not ``"),
            (b"profile = a # prod", "line 1, column 12: ` ` cannot be in the name of a profile"),
            (b"read\x1b[31m-only", "line 1, column 5: a control character"),
            (b"read\0only", "line 1, column 5: a control character"),
            (b"x\n\xc3\xa9\xff", "line 2, column 2: a byte that is not UTF-8"),
            (b"sso_region = us-east-1", "line 1, column 1: it has no `sso_start_url`"),
            (b"profile = a\nsso_region = us-east-1", "line 2, column 1: `sso_region` beside `profile`"),
            (
                b"sso_account_id = 1234",
                "line 1, column 18: `sso_account_id` is an account id of twelve digits, not `1234`",
            ),
            (b"sso_role_name = a b", "line 1, column 17: `sso_role_name` is the name of a permission set, not `a b`"),
            (
                b"sso_start_url = http://a.awsapps.com/start",
                "line 1, column 17: `sso_start_url` is a start URL, such as",
            ),
            (b"sso_start_url = https://a@b/start", "line 1, column 17: `sso_start_url` is a start URL, such as"),
        ];
        for (bytes, expected) in cases {
            let shown = parse(bytes).unwrap_err().to_string();
            assert!(shown.starts_with(expected), "{}: {shown}", bytes.escape_ascii());
        }
        assert_eq!(parse(&[b'a'; MAX_BYTES + 1]).unwrap_err().problem, "it is larger than 4096 bytes");
        assert!(parse(&[&b"a\n"[..], &[b'#'; MAX_BYTES - 2]].concat()).is_ok());
    }

    #[test]
    fn a_role_that_needs_no_profile() {
        let text = "sso_start_url  = https://acme.awsapps.com/start#/\nsso_region     = us-east-1\n\
            sso_account_id = 012345678901\nsso_role_name  = ReadOnly\nregion = eu-west-1\n";
        let dotfile = parse(text.as_bytes()).unwrap();
        let permission_set = PermissionSet {
            start_url: "https://acme.awsapps.com/start#/".into(),
            sso_region: "us-east-1".into(),
            account_id: "012345678901".into(),
            role_name: "ReadOnly".into(),
        };
        assert_eq!(dotfile.selection.label(), "012345678901/ReadOnly");
        assert_eq!(dotfile.selection, Selection::PermissionSet(permission_set));
        assert_eq!(dotfile.region.as_deref(), Some("eu-west-1"));
    }

    #[test]
    fn names_and_what_messages_quote_are_bounded() {
        let region = |length| parse(format!("profile = a\nregion = {}", "r".repeat(length)).as_bytes());
        assert!(parse(&[b'a'; MAX_NAME]).is_ok() && region(MAX_REGION).is_ok());
        assert_eq!(
            parse(&[b'a'; MAX_NAME + 1]).unwrap_err().problem,
            "the profile's name is longer than 255 characters"
        );
        assert_eq!(
            region(MAX_REGION + 1).unwrap_err().problem,
            format!("`{}…` is not the name of a region", "r".repeat(60))
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_yields_only_plain_names(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(dotfile) = parse(&bytes) {
                let label = dotfile.selection.label();
                prop_assert!(label.chars().all(|c| is_name_character(c) || "=,".contains(c)), "{label}");
            }
        }

        #[test]
        fn near_misses_never_panic(text in "(profile|region|login|credentials|x|é| |\t|=|#|;|\n|\r|env|a){0,20}") {
            let _ = parse(text.as_bytes());
        }
    }
}
