//! The reader of `~/.aws/config` and `~/.aws/credentials`.
//!
//! The language is the one of the AWS SDKs, as `aws-runtime`'s `env_config` reads it: the tests
//! run the SDKs' own parser cases and compare with that crate on generated files. (The AWS CLI
//! reads a slightly different one, with Python's `configparser`.)
//!
//! Two layers. [`sections`] is the grammar: it checks every line once and finds the sections,
//! whatever they are called; a section's properties are cut out only when they are asked for.
//! [`AwsConfig`] is what the names mean to AWS: which sections are profiles, and how the two files
//! merge. awsdir's own settings file is read with the first layer alone.
//!
//! Nothing here reads a file. As in the SDKs, a missing file counts as empty, and so does one that
//! is not UTF-8.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::iter;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2, memchr2_iter, memchr3_iter};
use zeroize::Zeroizing;

/// One of the two files of the AWS configuration. Where both say something, the credentials file
/// wins, key by key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// `~/.aws/config`, or what `AWS_CONFIG_FILE` names.
    Config,
    /// `~/.aws/credentials`, or what `AWS_SHARED_CREDENTIALS_FILE` names.
    Credentials,
}

/// What is wrong with a line. Any of these makes the whole file unusable, as it does in the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// A property or an indented line before the first header; a byte order mark counts as one.
    #[error("expected a section header in brackets first")]
    NoSection,
    /// A header that does not end with its bracket.
    #[error("the section header does not end with `]`")]
    OpenHeader,
    /// An indented line directly under a header.
    #[error("an indented line continues a property, and there is none above it")]
    NothingToContinue,
    /// A property line without `=`.
    #[error("expected `=` between a key and its value")]
    NoEquals,
    /// A property line that begins with `=`.
    #[error("the key before `=` is missing")]
    NoKey,
    /// A line without `=` in a nested block.
    #[error("expected `=` between a nested key and its value")]
    NestedNoEquals,
    /// A line that begins with `=` in a nested block.
    #[error("the nested key before `=` is missing")]
    NestedNoKey,
}

/// The first line that breaks the grammar of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub(crate) struct SyntaxError {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong with that line.
    pub(crate) problem: Problem,
}

/// A [`SyntaxError`] and the file it is in; the caller knows that file's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {problem}")]
pub(crate) struct ParseError {
    /// Which of the two files.
    pub(crate) file: File,
    /// Counted from 1.
    pub(crate) line: usize,
    /// What is wrong with that line.
    pub(crate) problem: Problem,
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            File::Config => "AWS config file",
            File::Credentials => "AWS credentials file",
        })
    }
}

// ---------------------------------------------------------------------------------- the grammar

/// A section as it stands in a text.
#[derive(Clone, Copy)]
pub(crate) struct RawSection<'a> {
    /// What stands between the brackets, untouched.
    pub(crate) title: &'a str,
    /// The header's line, counted from 1.
    pub(crate) line: usize,
    /// The lines between this header and the next.
    body: &'a str,
}

/// A key and its value.
pub(crate) struct Property<'a> {
    /// As written; to be compared without regard to ASCII case.
    pub(crate) key: &'a str,
    /// Without its comment. Indented lines below the property belong to it, each trimmed and after
    /// a newline; a nested block is such a value with nothing on its first line.
    pub(crate) value: Cow<'a, str>,
    /// The line of the key, counted from 1.
    pub(crate) line: usize,
}

/// The sections of a text in their order, after a check of every line.
///
/// # Errors
/// The first line that is not blank, a comment, a header, a property or a continuation.
pub(crate) fn sections(text: &str) -> Result<Vec<RawSection<'_>>, SyntaxError> {
    let mut sections: Vec<RawSection<'_>> = Vec::new();
    let mut body = 0;
    let mut property = None;
    for (number, line) in (1..).zip(lines(text)) {
        let at = |problem| SyntaxError { line: number, problem };
        let kind = Line::of(line);
        match (kind, sections.last_mut()) {
            (Line::Empty, _) => {}
            (Line::Header, last) => {
                let title = title(line).ok_or(at(Problem::OpenHeader))?;
                let range = range_in(text, line);
                if let Some(last) = last {
                    last.body = &text[body..range.start];
                }
                sections.push(RawSection { title, line: number, body: "" });
                body = range.end;
                property = None;
            }
            (_, None) => return Err(at(Problem::NoSection)),
            (Line::Property, _) => {
                split_property(line).map_err(at)?;
                property = Some(line);
            }
            (Line::Continuation, _) => {
                let property = property.ok_or(at(Problem::NothingToContinue))?;
                let nested = split_property(property).is_ok_and(|(_, value)| value_of(value).is_empty());
                if nested {
                    split_property(trim(line)).map_err(|problem| {
                        at(match problem {
                            Problem::NoKey => Problem::NestedNoKey,
                            _ => Problem::NestedNoEquals,
                        })
                    })?;
                }
            }
        }
    }
    if let Some(last) = sections.last_mut() {
        last.body = &text[body..];
    }
    Ok(sections)
}

impl<'a> RawSection<'a> {
    /// The title's first word, if there are more, and the rest: `[profile dev]` is
    /// `(Some("profile"), "dev")`, `[dev]` is `(None, "dev")`.
    #[must_use]
    pub(crate) fn name(&self) -> (Option<&'a str>, &'a str) {
        let title = trim(self.title);
        match title.bytes().position(is_blank) {
            Some(blank) => (Some(trim_wide(&title[..blank])), trim_wide(&title[blank + 1..])),
            None => (None, trim_wide(title)),
        }
    }

    /// The properties in their order, a repeated key as often as it is there.
    #[must_use]
    pub(crate) fn properties(&self) -> Vec<Property<'a>> {
        properties(self.line, self.body)
    }
}

/// The properties in the lines of `body`, which begins with the end of the header's own line.
fn properties(header: usize, body: &str) -> Vec<Property<'_>> {
    let mut properties: Vec<Property<'_>> = Vec::new();
    for (number, line) in (header..).zip(lines(body)) {
        match Line::of(line) {
            Line::Property => {
                properties.extend(split_property(line).ok().map(|(key, value)| Property {
                    key: trim(key),
                    value: Cow::Borrowed(value_of(value)),
                    line: number,
                }));
            }
            Line::Continuation => {
                if let Some(property) = properties.last_mut() {
                    let value = property.value.to_mut();
                    value.push('\n');
                    value.push_str(trim(line));
                }
            }
            Line::Header | Line::Empty => {}
        }
    }
    properties
}

/// What a line is, told by how it begins.
#[derive(Clone, Copy)]
enum Line {
    /// Blank, or a comment; only a mark in the first column makes a line a comment.
    Empty,
    Header,
    Property,
    Continuation,
}

impl Line {
    fn of(line: &str) -> Self {
        match line.as_bytes().first() {
            None | Some(b'#' | b';') => Line::Empty,
            Some(b'[') => Line::Header,
            Some(b' ' | b'\t') if trim(line).is_empty() => Line::Empty,
            Some(b' ' | b'\t') => Line::Continuation,
            Some(_) => Line::Property,
        }
    }
}

/// What `str::lines` yields, in less time.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let Some(end) = memchr(b'\n', rest.as_bytes()) else {
            start = text.len();
            return Some(rest);
        };
        start += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix('\r').unwrap_or(line))
    })
}

/// What a header has between its brackets. A comment needs no blank before it here, so a title
/// cannot contain its marks.
fn title(line: &str) -> Option<&str> {
    let end = memchr2(b'#', b';', line.as_bytes()).unwrap_or(line.len());
    trim(&line[..end]).strip_prefix('[')?.strip_suffix(']')
}

/// What is left and right of the `=` of a line that begins with no blank: the key, to be trimmed,
/// and what [`value_of`] makes the value.
fn split_property(line: &str) -> Result<(&str, &str), Problem> {
    for at in memchr3_iter(b'=', b'#', b';', line.as_bytes()) {
        match line.as_bytes()[at] {
            b'=' if at == 0 => return Err(Problem::NoKey),
            b'=' => return Ok((&line[..at], &line[at + 1..])),
            // The rest is a comment, and a `=` in it does not count.
            _ if is_comment(line, at) => break,
            _ => {}
        }
    }
    Err(Problem::NoEquals)
}

/// The value without its comment.
fn value_of(text: &str) -> &str {
    let comment = memchr2_iter(b'#', b';', text.as_bytes()).find(|&at| is_comment(text, at));
    trim(&text[..comment.unwrap_or(text.len())])
}

/// Whether the mark at that place begins a comment: if white space is before it (any of Unicode's).
fn is_comment(text: &str, mark: usize) -> bool {
    text[..mark].ends_with(char::is_whitespace)
}

/// Whether it is one of the two blanks that the grammar knows; a few rules say otherwise where they
/// stand.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The text without the blanks around it.
fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    let start = bytes.iter().take_while(|&&byte| is_blank(byte)).count();
    let end = bytes.iter().rposition(|&byte| !is_blank(byte));
    &text[start..end.map_or(start, |last| last + 1)]
}

/// The text without any of Unicode's white space around it, told at once where there is none.
fn trim_wide(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Where `part` is in `text`, which it must be a slice of.
fn range_in(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

// ---------------------------------------------------------------------------- the AWS meaning

/// The two files, merged. Sections of one name count as one, in the order of the files, however the
/// blanks in their headers are spelt (`aws-runtime` merges two spellings in the order of a hash map).
/// There is no `Debug`: the texts may hold secret access keys.
pub(crate) struct AwsConfig {
    texts: Texts,
    /// In the order of the files.
    entries: Vec<Entry>,
}

struct Texts {
    config: String,
    /// May hold secret access keys.
    credentials: Zeroizing<String>,
}

/// A section that means something to AWS, as places in its file's text.
struct Entry {
    kind: Kind,
    name: Range<usize>,
    file: File,
    line: usize,
    body: Range<usize>,
}

/// What a section stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Profile,
    SsoSession,
    Services,
}

/// A profile, an sso-session or a services section: all sections of its name as one.
pub(crate) struct Section<'a> {
    header: (File, usize),
    /// The last one of a key counts.
    properties: Vec<(File, Property<'a>)>,
}

impl Texts {
    fn of(&self, file: File) -> &str {
        match file {
            File::Config => &self.config,
            File::Credentials => &self.credentials,
        }
    }

    fn name(&self, entry: &Entry) -> &str {
        &self.of(entry.file)[entry.name.clone()]
    }
}

impl AwsConfig {
    /// Checks and indexes the two texts.
    ///
    /// # Errors
    /// The first broken line of the config file, else of the credentials file.
    pub(crate) fn parse(config: String, credentials: String) -> Result<Self, ParseError> {
        let credentials = Zeroizing::new(credentials);
        let texts = Texts { config, credentials };
        let mut entries = Vec::new();
        for file in [File::Config, File::Credentials] {
            index(file, texts.of(file), &mut entries).map_err(|error| ParseError {
                file,
                line: error.line,
                problem: error.problem,
            })?;
        }
        Ok(AwsConfig { texts, entries })
    }

    /// The profile of that name, from both files.
    #[must_use]
    pub(crate) fn profile(&self, name: &str) -> Option<Section<'_>> {
        self.section(Kind::Profile, name)
    }

    /// The names of the profiles, each once, in the order of the files.
    pub(crate) fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.names(Kind::Profile)
    }

    /// The section `[sso-session NAME]`, which only the config file can have.
    #[must_use]
    pub(crate) fn sso_session(&self, name: &str) -> Option<Section<'_>> {
        self.section(Kind::SsoSession, name)
    }

    /// The names of the sso-sessions, each once, in the order of the file.
    pub(crate) fn sso_session_names(&self) -> impl Iterator<Item = &str> {
        self.names(Kind::SsoSession)
    }

    /// The section `[services NAME]`, which only the config file can have.
    #[must_use]
    pub(crate) fn services(&self, name: &str) -> Option<Section<'_>> {
        self.section(Kind::Services, name)
    }

    fn section(&self, kind: Kind, name: &str) -> Option<Section<'_>> {
        let same = |entry: &&Entry| entry.kind == kind && self.texts.name(entry) == name;
        let mut entries = self.entries.iter().filter(same).peekable();
        let header = entries.peek().map(|entry| (entry.file, entry.line))?;
        let properties = entries.flat_map(|entry| {
            let body = &self.texts.of(entry.file)[entry.body.clone()];
            let properties = properties(entry.line, body).into_iter();
            properties.map(|property| (entry.file, property))
        });
        // A key that could not be a name is passed over, as a section with such a name is.
        let properties = properties.filter(|(_, property)| is_identifier(property.key));
        is_identifier(name).then(|| Section { header, properties: properties.collect() })
    }

    fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let entries = self.entries.iter().filter(move |entry| entry.kind == kind);
        let names = entries.map(|entry| self.texts.name(entry)).filter(|name| is_identifier(name));
        let mut seen = HashSet::new();
        names.filter(move |name| seen.insert(*name))
    }
}

impl Section<'_> {
    /// The value of a key, which is sought in any case; see [`Property::value`].
    #[must_use]
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|(_, property)| &*property.value)
    }

    /// The value of `sub_key` in the nested block of `key`. In there case counts, and what looks like a
    /// comment is part of the value.
    #[must_use]
    pub(crate) fn sub(&self, key: &str, sub_key: &str) -> Option<&str> {
        let pairs = self.get(key)?.split('\n').filter_map(|line| line.split_once('='));
        let mut trimmed = pairs.map(|(key, value)| (trim(key), trim(value)));
        trimmed.rfind(|(key, _)| *key == sub_key).map(|(_, value)| value)
    }

    /// Where the value of a key comes from: the file, and the line counted from 1.
    #[must_use]
    pub(crate) fn line(&self, key: &str) -> Option<(File, usize)> {
        self.find(key).map(|(file, property)| (*file, property.line))
    }

    /// Where the section begins first: the file, and the line counted from 1.
    #[must_use]
    pub(crate) fn header(&self) -> (File, usize) {
        self.header
    }

    fn find(&self, key: &str) -> Option<&(File, Property<'_>)> {
        self.properties.iter().rfind(|(_, property)| property.key.eq_ignore_ascii_case(key))
    }
}

/// Adds a file's entries. A section that means nothing to AWS is passed over.
fn index(file: File, text: &str, entries: &mut Vec<Entry>) -> Result<(), SyntaxError> {
    let (mut prefixed_default, mut plain_defaults) = (false, Vec::new());
    for section in sections(text)? {
        let (word, name) = section.name();
        let Some(kind) = kind(file, word, name) else { continue };
        if file == File::Config && kind == Kind::Profile && name == "default" {
            match word {
                Some(_) => prefixed_default = true,
                None => plain_defaults.push(section.line),
            }
        }
        entries.push(Entry {
            kind,
            name: range_in(text, name),
            file,
            line: section.line,
            body: range_in(text, section.body),
        });
    }
    // In the config file `[profile default]` puts every `[default]` out of force, wherever it is.
    if prefixed_default {
        entries.retain(|entry| plain_defaults.binary_search(&entry.line).is_err());
    }
    Ok(())
}

/// What a section of that title means to AWS, if anything: its first word, and the rest.
fn kind(file: File, word: Option<&str>, name: &str) -> Option<Kind> {
    match (file, word) {
        (File::Config, Some("profile")) | (File::Credentials, None) => Some(Kind::Profile),
        (File::Config, None) if name == "default" => Some(Kind::Profile),
        (File::Config, Some("sso-session")) => Some(Kind::SsoSession),
        (File::Config, Some("services")) => Some(Kind::Services),
        _ => None,
    }
}

/// What the sections of one kind are called, by their headers alone: no other line is looked at.
pub(crate) fn names(file: File, of: Kind, text: &str) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let begins_line = move |at: &usize| *at == 0 || bytes[at - 1] == b'\n';
    memchr_iter(b'[', bytes).filter(begins_line).filter_map(move |at| {
        let line = lines(&text[at..]).next()?;
        let (word, name) = RawSection { title: title(line)?, line: 0, body: "" }.name();
        (kind(file, word, name) == Some(of) && is_identifier(name)).then_some(name)
    })
}

/// Whether profiles, sessions and keys may be called that. Nothing at all is a name to the SDKs.
fn is_identifier(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
    use aws_runtime::env_config::property::PropertiesKey;
    use aws_runtime::env_config::section::EnvConfigSections;
    use aws_runtime::env_config::source;
    use aws_types::os_shim_internal::{Env, Fs};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    type Named = BTreeMap<String, BTreeMap<String, String>>;

    fn parse(config: &str, credentials: &str) -> Result<AwsConfig, ParseError> {
        AwsConfig::parse(config.to_owned(), credentials.to_owned())
    }

    /// All that some sections hold.
    fn all<'a>(names: impl Iterator<Item = &'a str>, section: impl Fn(&str) -> Option<Section<'a>>) -> Named {
        let pairs = |name: &str| {
            let section = section(name).unwrap();
            let keys = section.properties.iter().map(|(_, property)| property.key);
            keys.map(|key| (key.to_ascii_lowercase(), section.get(key).unwrap().to_owned())).collect()
        };
        names.map(|name| (name.to_owned(), pairs(name))).collect()
    }

    /// What the SDKs say of a problem.
    fn sdk_words(problem: Problem) -> &'static str {
        match problem {
            Problem::NoSection => "Expected a profile definition",
            Problem::OpenHeader => "Profile definition must end with ']'",
            Problem::NothingToContinue => "Expected a property definition, found continuation",
            Problem::NoEquals => "Expected an '=' sign defining a property",
            Problem::NoKey => "Property did not have a name",
            Problem::NestedNoEquals => "Expected an '=' sign defining a sub-property",
            Problem::NestedNoKey => "Sub-property did not have a name",
        }
    }

    #[test]
    fn the_parser_cases_of_the_sdks() {
        let cases: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/data/profile-parser-tests.json")).unwrap();
        let cases = cases["tests"].as_array().unwrap();
        assert_eq!(cases.len(), 65);
        for case in cases {
            let text = |name: &str| case["input"][name].as_str().unwrap_or_default();
            let expected = &case["output"];
            let named = |name: &str| match expected["config"].get(name) {
                Some(sections) => serde_json::from_value(sections.clone()).unwrap(),
                None => Named::new(),
            };
            match parse(text("configFile"), text("credentialsFile")) {
                Ok(config) => {
                    assert!(expected["errorContaining"].is_null(), "no error: {case}");
                    let (profiles, sessions) = (config.profile_names(), config.sso_session_names());
                    assert_eq!(all(profiles, |name| config.profile(name)), named("profiles"), "{case}");
                    assert_eq!(all(sessions, |name| config.sso_session(name)), named("sso_sessions"), "{case}");
                }
                Err(error) => {
                    let words = expected["errorContaining"].as_str().expect("an error is expected");
                    assert!(sdk_words(error.problem).contains(words), "{error}: {case}");
                    // The cases name no line; in each of them the last one is at fault.
                    assert_eq!(error.line, text("configFile").lines().count(), "{case}");
                }
            }
        }
    }

    const CONFIG: &str = "\
# mine
[profile prod]
sso_session = corp
region = us-east-1 # nearest

[sso-session corp]
sso_start_url = https://corp.awsapps.com/start#/

[default]
region = eu-west-1
[services local]
sso =
  endpoint_url = http://127.0.0.1:8080
  Timeout=1
[ profile\tprod ]
REGION = eu-north-1
";
    const CREDENTIALS: &str = "[other]\n[prod]\naws_access_key_id = AKIA\nregion = eu-south-1\n";

    #[test]
    fn names_come_once_and_in_the_order_of_the_files() {
        let config = parse(CONFIG, CREDENTIALS).unwrap();
        assert_eq!(config.profile_names().collect::<Vec<_>>(), ["prod", "default", "other"]);
        assert_eq!(config.sso_session_names().collect::<Vec<_>>(), ["corp"]);
        for name in ["", "corp", "local", "PROD", "profile prod"] {
            assert!(config.profile(name).is_none(), "{name}");
        }
        assert!(config.sso_session("prod").is_none());
    }

    #[test]
    fn values_say_where_they_stand() {
        let config = parse(CONFIG, CREDENTIALS).unwrap();
        let prod = config.profile("prod").unwrap();
        assert_eq!(prod.header(), (File::Config, 2));
        assert_eq!((prod.get("sso_session"), prod.line("SSO_Session")), (Some("corp"), Some((File::Config, 3))));
        assert_eq!((prod.get("region"), prod.line("region")), (Some("eu-south-1"), Some((File::Credentials, 4))));
        assert_eq!((prod.get("output"), prod.line("output")), (None, None));
        let prod = parse(CONFIG, "").unwrap();
        let prod = prod.profile("prod").unwrap();
        assert_eq!((prod.get("region"), prod.line("region")), (Some("eu-north-1"), Some((File::Config, 16))));
        let config = parse(CONFIG, CREDENTIALS).unwrap();
        assert_eq!(config.profile("other").unwrap().header(), (File::Credentials, 1));
        let corp = config.sso_session("corp").unwrap();
        assert_eq!(corp.get("sso_start_url"), Some("https://corp.awsapps.com/start#/"));
    }

    #[test]
    fn nested_blocks_are_read_by_key_and_sub_key() {
        let config = parse(CONFIG, CREDENTIALS).unwrap();
        let services = config.services("local").unwrap();
        assert_eq!(services.get("sso"), Some("\nendpoint_url = http://127.0.0.1:8080\nTimeout=1"));
        assert_eq!(services.sub("SSO", "endpoint_url"), Some("http://127.0.0.1:8080"));
        assert_eq!(services.sub("sso", "Timeout"), Some("1"));
        assert_eq!(services.sub("sso", "timeout"), None);
        assert_eq!(services.sub("sts", "endpoint_url"), None);
        assert!(config.services("prod").is_none());
    }

    #[test]
    fn a_broken_line_is_named() {
        let error = |config, credentials| parse(config, credentials).err().unwrap().to_string();
        assert_eq!(
            error("\n[default]\r\n\r\n k = v", "k"),
            "AWS config file, line 4: an indented line continues a property, and there is none above it"
        );
        assert_eq!(
            error("", "[a]\n\naws_access_key_id: AKIA"),
            "AWS credentials file, line 3: expected `=` between a key and its value"
        );
        assert_eq!(
            error("\u{feff}[default]", ""),
            "AWS config file, line 1: expected a section header in brackets first"
        );
    }

    #[test]
    fn sections_of_any_title_can_be_read() {
        let text =
            "[awsdir]\nlogin = ask\n\n[ session  work ] # c\r\nflow = device\r\nport =\n[prompt]\nformat = a\n  b\n";
        let sections = sections(text).unwrap();
        let names: Vec<_> = sections.iter().map(|section| (section.line, section.name())).collect();
        assert_eq!(names, [(1, (None, "awsdir")), (4, (Some("session"), "work")), (7, (None, "prompt"))]);
        assert_eq!(sections[1].title, " session  work ");
        let properties = sections.iter().flat_map(RawSection::properties);
        let properties: Vec<_> = properties.map(|found| (found.line, found.key, found.value)).collect();
        let expected = [(2, "login", "ask"), (5, "flow", "device"), (6, "port", ""), (8, "format", "a\nb")];
        assert_eq!(properties, expected.map(|(line, key, value)| (line, key, value.into())));
        assert_eq!(super::sections("[a]\nk").err(), Some(SyntaxError { line: 2, problem: Problem::NoEquals }));
    }

    #[test]
    fn lines_are_those_of_the_standard_library() {
        for text in ["", "\n", "\r\n", "a", "a\n", "a\r\nb", "a\r", "\r\r\n", "a\n\n\r\nb\r", "é\r\n\n\r"] {
            assert_eq!(lines(text).collect::<Vec<_>>(), text.lines().collect::<Vec<_>>(), "{text:?}");
        }
    }

    // The pieces of which the compared files are made, parted by bars.

    const NAMES: &str = "default|profile default|profile a|profile b|profile a.b|profile B|a|b|DEFAULT|\
        sso-session s|sso-session a|sso-sesion s|services v|services a|profile \"q\"|profile a b|\
        profile é|profilea|profile||sso-session|other x";
    const KEYS: &str = "k|K|s3|sso|sso_account_id|in valid|clé|a#b|a;|\"k\"|x.y|x:y";
    const TEXTS: &str = "|v|v#w|v;w|v # c|v\t; c|# c|; c|#|;|'q'|\"q # c\"|a = b|a=b # c|a= # c|= b|=| |\t|\
        [profile z]|\\n|%(x)s|ü 😂|v\u{a0}# c|\u{a0}|\u{3000};|A = 1|endpoint_url = http://x?y=z|v\r|x = y ; c";
    const NESTED: &str = "a = 1|A=2|a= # c|a =|x = y ; c|x\t=\ty  |endpoint_url = http://x?y=z|\
        in valid = v|é#=é|[x] = y";
    const SUB_KEYS: &str = "a|A|x|endpoint_url||http://x?y|in valid|é#|[x]|\u{a0}";
    const INDENTS: &str = "\n |\n\t|\n    |\n \t |\n\n  |\n#c\n ";
    const IDLE: &str = "| |\t |#|# c|;c = d|#[profile z]";
    const BROKEN: &str = "k|k : v|= v|[profile a|[profile a] b|[pro#file a]|[profile a]]| [profile a]|\u{a0}|\r|\
        k # = v|k;=v|# =|\u{feff}[profile a]|a ;= b| a";

    fn parts(list: &'static str) -> Vec<&'static str> {
        list.split('|').collect()
    }

    fn one_of(list: &'static str) -> impl Strategy<Value = String> + Clone {
        select(parts(list)).prop_map(str::to_owned)
    }

    #[derive(Debug, Clone)]
    enum Piece {
        /// The number of a name, and what stands after the bracket.
        Header(usize, String),
        Text(String),
    }

    fn piece() -> impl Strategy<Value = Piece> {
        let soup: Vec<char> = "a=#; \t[]\"'\r\u{a0}é:".chars().collect();
        let soup = prop::collection::vec(select(soup), 0..8).prop_map(String::from_iter);
        let text = prop_oneof![6 => one_of(TEXTS), 1 => soup].boxed();
        let indented = |text: BoxedStrategy<String>, count| {
            let line = (one_of(INDENTS), text).prop_map(|(indent, text)| indent + &text);
            prop::collection::vec(line, count).prop_map(|lines| lines.concat())
        };
        let header = (0..parts(NAMES).len(), one_of("||| | # c|; c|#|\t;]"));
        let more = prop_oneof![3 => Just(String::new()), 1 => indented(text.clone(), 1..4)];
        let property = (one_of(KEYS), one_of("=| = |\t=\t| =|= "), text, more);
        let nested = indented(one_of(NESTED).boxed(), 1..5);
        let block = (one_of(KEYS), one_of("=| = |= # c| =\t;"), nested);
        prop_oneof![
            24 => header.prop_map(|(name, tail)| Piece::Header(name, tail)),
            40 => property.prop_map(|(key, sign, value, more)| {
                // Nothing but nested pairs may follow an empty value.
                let more = if value_of(&value).is_empty() { "" } else { &more };
                Piece::Text(format!("{key}{sign}{value}{more}"))
            }),
            16 => block.prop_map(|(key, sign, nested)| Piece::Text(key + &sign + &nested)),
            10 => one_of(IDLE).prop_map(Piece::Text),
            1 => one_of(BROKEN).prop_map(Piece::Text),
        ]
    }

    /// A file. Each name has one spelling in it: with two, `aws-runtime`'s answer is left to chance.
    fn file() -> impl Strategy<Value = String> {
        let after = prop_oneof![6 => one_of("|| |\t"), 1 => Just("\u{a0}".to_owned())];
        let spelling = (one_of("|| |\t| \t"), one_of(" | |\t|  |\u{a0} "), after);
        let spellings = prop::collection::vec(spelling, parts(NAMES).len());
        let first = prop_oneof![
            30 => (0..parts(NAMES).len()).prop_map(|name| Piece::Header(name, String::new())),
            1 => one_of("\u{feff}|k = v|").prop_map(Piece::Text),
        ];
        let rest = prop::collection::vec((piece(), any::<bool>()), 0..25);
        let end = prop_oneof![9 => one_of("\n|\r\n"), 1 => one_of("\n\n|\r\r\n")];
        (spellings, first, rest, end, any::<bool>()).prop_map(|(spellings, first, rest, end, ended)| {
            let pieces = iter::once((first, true)).chain(rest);
            let lines = pieces.map(|(piece, own_end)| match piece {
                Piece::Header(name, tail) => {
                    let (before, between, after) = &spellings[name];
                    let name = parts(NAMES)[name].replacen(' ', between, 1);
                    format!("[{before}{name}{after}]{tail}{end}")
                }
                Piece::Text(text) => text + if own_end { &end } else { "\n" },
            });
            let text: String = lines.collect();
            if ended { text } else { text.trim_end_matches('\n').to_owned() }
        })
    }

    /// What `aws-runtime` makes of the files.
    fn by_sdk(config: &str, credentials: &str) -> Result<EnvConfigSections, String> {
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, config)
            .with_contents(EnvConfigFileKind::Credentials, credentials)
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let source = runtime.block_on(source::load(&Env::from_slice(&[]), &Fs::from_slice(&[]), &files)).unwrap();
        EnvConfigSections::parse(source).map_err(|error| error.to_string())
    }

    /// Compares the two readings. `aws-runtime` cannot list keys: it is asked for those that files are
    /// made of, and for all that ours found.
    fn compare(config: &str, credentials: &str) -> Result<(), TestCaseError> {
        let (ours, theirs) = match (parse(config, credentials), by_sdk(config, credentials)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(ours), Err(theirs)) => {
                let words = format!("line {}:\n  {}", ours.line, sdk_words(ours.problem));
                prop_assert!(theirs.ends_with(&words), "{ours} is not {theirs}");
                return Ok(());
            }
            (ours, theirs) => {
                let only = format!("ours {:?}, theirs {:?}", ours.err(), theirs.err());
                return Err(TestCaseError::fail(only));
            }
        };
        let names = |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect::<BTreeSet<_>>();
        prop_assert_eq!(names(&mut ours.profile_names()), names(&mut theirs.profiles()));
        prop_assert_eq!(names(&mut ours.sso_session_names()), names(&mut theirs.sso_sessions()));
        let mut quick = super::names(File::Config, Kind::Profile, config).chain(super::names(
            File::Credentials,
            Kind::Profile,
            credentials,
        ));
        prop_assert_eq!(names(&mut quick), names(&mut ours.profile_names()));
        let mut quick = super::names(File::Config, Kind::SsoSession, config);
        prop_assert_eq!(names(&mut quick), names(&mut ours.sso_session_names()));
        for name in ours.profile_names() {
            let (ours, theirs) = (ours.profile(name).unwrap(), theirs.get_profile(name).unwrap());
            for key in keys(&ours) {
                prop_assert_eq!(ours.get(key), theirs.get(key), "[{}] {}", name, key);
            }
        }
        for name in ours.sso_session_names() {
            let (ours, theirs) = (ours.sso_session(name).unwrap(), theirs.sso_session(name).unwrap());
            for key in keys(&ours) {
                prop_assert_eq!(ours.get(key), theirs.get(key), "[sso-session {}] {}", name, key);
            }
        }
        for (name, key) in ["v", "a"].iter().flat_map(|name| parts(KEYS).into_iter().map(move |key| (name, key))) {
            let ours = ours.services(name);
            for sub_key in parts(SUB_KEYS) {
                let ours = ours.as_ref().and_then(|section| section.sub(key, sub_key));
                let asked = PropertiesKey::builder()
                    .section_key("services")
                    .section_name(*name)
                    .property_name(key.to_ascii_lowercase())
                    .sub_property_name(sub_key);
                let theirs = theirs.other_sections().get(&asked.build().unwrap());
                prop_assert_eq!(ours, theirs.map(String::as_str), "[services {}] {}.{}", name, key, sub_key);
            }
        }
        Ok(())
    }

    fn keys<'a>(section: &'a Section<'_>) -> impl Iterator<Item = &'a str> {
        parts(KEYS).into_iter().chain(section.properties.iter().map(|(_, property)| property.key))
    }

    /// At least 512; more where `PROPTEST_CASES` asks for more.
    fn cases() -> ProptestConfig {
        let config = ProptestConfig::default();
        ProptestConfig { cases: config.cases.max(512), failure_persistence: None, ..config }
    }

    /// Whatever the grammar turns upon, in any order.
    fn soup() -> impl Strategy<Value = String> {
        let bits = "profile |sso-session |services |default|[|]|[|]|\n|\n|\n|\r\n|\r|=|=| |\t|#|;|a|B|k|\"|é|\u{a0}|\u{3000}|\
            \u{feff}|\u{85}|\u{2028}|\u{b}|\u{c}|\0|[profile a]\n|[default]\n|k = v\n|\n  |x =\n  y = z\n";
        prop::collection::vec(one_of(bits), 0..40).prop_map(|bits| bits.concat())
    }

    /// A [`file`] with a bit of [`soup`] somewhere in it.
    fn spoilt() -> impl Strategy<Value = String> {
        (file(), any::<prop::sample::Index>(), soup()).prop_map(|(mut file, at, soup)| {
            let places: Vec<usize> = file.char_indices().map(|(at, _)| at).chain([file.len()]).collect();
            file.insert_str(places[at.index(places.len())], &soup);
            file
        })
    }

    /// Whether a section has two spellings in a file: then `aws-runtime`'s answer is left to chance.
    fn is_ambiguous(file: File, text: &str) -> bool {
        let mut spellings = BTreeMap::new();
        sections(text).unwrap_or_default().iter().any(|section| {
            let (word, name) = section.name();
            let kind = kind(file, word, name).map(|kind| kind as u8);
            *spellings.entry((kind, word, name)).or_insert(section.title) != section.title
        })
    }

    fn compare_unless_ambiguous(config: &str, credentials: &str) -> Result<(), TestCaseError> {
        if is_ambiguous(File::Config, config) || is_ambiguous(File::Credentials, credentials) {
            return Ok(());
        }
        compare(config, credentials)
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn reads_as_the_sdk_reads(config in file(), credentials in file()) {
            compare(&config, &credentials)?;
        }

        #[test]
        fn reads_anything_as_the_sdk_reads_it(
            config in prop_oneof![soup(), spoilt()], credentials in prop_oneof![soup(), spoilt()],
        ) {
            compare_unless_ambiguous(&config, &credentials)?;
        }
    }

    #[test]
    fn reads_the_corpus_as_the_sdk_reads_it() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/aws_config");
        for entry in std::fs::read_dir(corpus).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let text = |half: Option<&[u8]>| String::from_utf8(half.unwrap_or_default().to_vec()).unwrap_or_default();
            let mut halves = bytes.splitn(2, |byte| *byte == 0);
            let (config, credentials) = (text(halves.next()), text(halves.next()));
            compare_unless_ambiguous(&config, &credentials)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}
