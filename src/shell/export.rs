//! `awsdir export`: the formats of `aws configure export-credentials` (`protocol.md` 6), byte for byte for ordinary
//! values; unlike there, any other value is quoted.

use super::quote;
use crate::core::credentials::Exported;
use crate::core::timestamp::Timestamp;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// JSON, as `credential_process` wants it
    Process,
    /// `export NAME=value`, for POSIX shells
    Env,
    /// `NAME=value`, for env files
    EnvNoExport,
    /// `set -gx NAME "value"`
    Fish,
    /// `$Env:NAME="value"`
    Powershell,
    /// `set NAME=value`
    WindowsCmd,
}

/// The credentials in `format`, ending in a newline. What they do not have gets no line.
pub(crate) fn export(credentials: Exported<'_>, format: Format) -> Vec<u8> {
    let Exported { access_key_id, secret_access_key, session_token, expires_at } = credentials;
    let values = [
        Some(access_key_id.to_owned()),
        Some(secret_access_key.expose().to_owned()),
        session_token.map(|token| token.expose().to_owned()),
        expires_at.map(Timestamp::with_numeric_offset),
    ]
    .map(|value| value.map(Zeroizing::new));
    if format == Format::Process {
        let keys = ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"];
        let mut document = Map::from_iter([("Version".to_owned(), 1.into())]);
        let set = keys.into_iter().zip(&values).filter_map(|(key, value)| Some((key, value.as_ref()?)));
        document.extend(set.map(|(key, value)| (key.to_owned(), Value::from(value.as_str()))));
        return format!("{:#}\n", Value::from(document)).into_bytes();
    }
    let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"];
    let mut text = Vec::with_capacity(4096);
    for (name, value) in names.into_iter().zip(&values) {
        if let Some(value) = value {
            line(&mut text, name, value, format);
            text.push(b'\n');
        }
    }
    text
}

fn line(text: &mut Vec<u8>, name: &str, value: &str, format: Format) {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./+=:,@".contains(&byte));
    let (before, between) = match (format, plain) {
        (Format::Env, _) => ("export ", "="),
        (Format::Fish, _) => ("set -gx ", " "),
        (Format::Powershell, _) => ("$Env:", "="),
        (Format::WindowsCmd, true) => ("set ", "="),
        // Quotes around the whole make `&|<>^` inert; `%` has no quoting in an interactive cmd.exe.
        (Format::WindowsCmd, false) => ("set \"", "="),
        // An env file has no quoting: docker takes what stands there.
        (Format::EnvNoExport | Format::Process, _) => ("", "="),
    };
    for part in [before, name, between] {
        text.extend_from_slice(part.as_bytes());
    }
    match (format, plain) {
        (Format::Env, false) => quote::posix(text, value.as_bytes()),
        (Format::Fish, false) => quote::fish(text, value.as_bytes()),
        (Format::Powershell, false) => quote::powershell(text, value),
        (Format::Fish | Format::Powershell, true) => {
            text.push(b'"');
            text.extend_from_slice(value.as_bytes());
            text.push(b'"');
        }
        // These two cannot hold every value. No role credentials have what is left out, and it could begin a statement.
        (Format::WindowsCmd, false) => {
            text.extend(value.replace(|c: char| c.is_control() || c == '"', "").into_bytes());
            text.push(b'"');
        }
        (Format::EnvNoExport, false) => text.extend(value.replace(char::is_control, "").into_bytes()),
        _ => text.extend_from_slice(value.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::credentials::{RoleCredentials, Secret};
    use crate::core::timestamp::Timestamp;

    fn exported(secret: &str, format: Format) -> String {
        let credentials = RoleCredentials {
            access_key_id: "ASIAFAKE".into(),
            secret_access_key: Secret::new(secret),
            session_token: Secret::new("t//k++=="),
            expires_at: Timestamp::from_epoch(1_795_366_800),
        };
        String::from_utf8(export((&credentials).into(), format)).unwrap()
    }

    #[test]
    fn ordinary_values_look_as_the_aws_cli_prints_them() {
        insta::assert_snapshot!(exported("s+/1", Format::Env), @r"
        export AWS_ACCESS_KEY_ID=ASIAFAKE
        export AWS_SECRET_ACCESS_KEY=s+/1
        export AWS_SESSION_TOKEN=t//k++==
        export AWS_CREDENTIAL_EXPIRATION=2026-11-22T17:00:00+00:00
        ");
        insta::assert_snapshot!(exported("s+/1", Format::Process), @r#"
        {
          "Version": 1,
          "AccessKeyId": "ASIAFAKE",
          "SecretAccessKey": "s+/1",
          "SessionToken": "t//k++==",
          "Expiration": "2026-11-22T17:00:00+00:00"
        }
        "#);
        let second = |format| exported("s+/1", format).lines().nth(1).unwrap().to_owned();
        assert_eq!(second(Format::EnvNoExport), "AWS_SECRET_ACCESS_KEY=s+/1");
        assert_eq!(second(Format::Fish), "set -gx AWS_SECRET_ACCESS_KEY \"s+/1\"");
        assert_eq!(second(Format::Powershell), "$Env:AWS_SECRET_ACCESS_KEY=\"s+/1\"");
        assert_eq!(second(Format::WindowsCmd), "set AWS_SECRET_ACCESS_KEY=s+/1");
    }

    #[test]
    fn what_is_not_there_has_no_line() {
        let secret_access_key = Secret::new("s");
        let keys = Exported {
            access_key_id: "AKIA",
            secret_access_key: &secret_access_key,
            session_token: None,
            expires_at: None,
        };
        let shown = |format| String::from_utf8(export(keys, format)).unwrap();
        assert_eq!(shown(Format::EnvNoExport), "AWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY=s\n");
        let document = "{\n  \"Version\": 1,\n  \"AccessKeyId\": \"AKIA\",\n  \"SecretAccessKey\": \"s\"\n}\n";
        assert_eq!(shown(Format::Process), document);
    }

    #[test]
    fn anything_else_is_quoted() {
        for format in [Format::EnvNoExport, Format::WindowsCmd, Format::Powershell, Format::Env, Format::Fish] {
            assert_eq!(exported("a\"\r\nb=c\n", format).lines().count(), 4, "{format:?}");
        }
        assert!(exported("a\"\n& calc", Format::WindowsCmd).contains("set \"AWS_SECRET_ACCESS_KEY=a& calc\"\n"));
        let second = |format| exported("a'b $(c)", format).lines().nth(1).unwrap().to_owned();
        assert_eq!(second(Format::Env), r"export AWS_SECRET_ACCESS_KEY='a'\''b $(c)'");
        assert_eq!(second(Format::Fish), r"set -gx AWS_SECRET_ACCESS_KEY 'a\'b $(c)'");
        assert_eq!(second(Format::Powershell), "$Env:AWS_SECRET_ACCESS_KEY='a''b $(c)'");
        assert_eq!(second(Format::WindowsCmd), "set \"AWS_SECRET_ACCESS_KEY=a'b $(c)\"");
    }
}
