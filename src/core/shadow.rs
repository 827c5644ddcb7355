//! What in an AWS config or credentials file would come before role credentials that a command gets from elsewhere.

/// Keys by which a profile has credentials of its own. Any of them in the default profile, and the SDKs never ask an
/// endpoint (`protocol.md` 7).
const CREDENTIAL_KEYS: [&str; 20] = [
    "aws_access_key_id",
    "aws_account_id",
    "aws_secret_access_key",
    "aws_security_token",
    "aws_session_token",
    "credential_process",
    "credential_source",
    "duration_seconds",
    "external_id",
    "login_session",
    "mfa_serial",
    "role_arn",
    "role_session_name",
    "source_profile",
    "sso_account_id",
    "sso_region",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
];

/// The text of a config or credentials file in which the default profile has `own` lines in place of the credentials that
/// it had; all else is as it was.
///
/// Several readers with grammars of their own look at these files (`protocol.md` 1.2), so that more is taken for the
/// default profile than any of them does.
pub(crate) fn with_default(text: &[u8], own: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len() + own.len());
    let (mut in_default, mut dropping) = (false, false);
    let mut own = Some(own).filter(|own| !own.is_empty());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if let Some(title) = title(line) {
            (in_default, dropping) = (is_default(title), false);
            kept.extend_from_slice(line);
            if title.trim_ascii() == b"default"
                && let Some(own) = own.take()
            {
                end_line(&mut kept);
                kept.extend_from_slice(own);
            }
            continue;
        }
        let continues = line.first().is_some_and(u8::is_ascii_whitespace) && !line.trim_ascii().is_empty();
        dropping = in_default && if continues { dropping } else { is_credential(line) };
        if !dropping {
            kept.extend_from_slice(line);
        }
    }
    if let Some(own) = own {
        end_line(&mut kept);
        kept.extend_from_slice(b"[default]\n");
        kept.extend_from_slice(own);
    }
    kept
}

fn end_line(text: &mut Vec<u8>) {
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
}

fn title(line: &[u8]) -> Option<&[u8]> {
    let rest = line.trim_ascii_start().strip_prefix(b"[")?;
    Some(rest.split(|byte| *byte == b']').next().unwrap_or(rest))
}

fn is_default(title: &[u8]) -> bool {
    let name = title.trim_ascii();
    let name = name.strip_prefix(b"profile").map_or(name, <[u8]>::trim_ascii);
    // In Python's reader what `[DEFAULT]` says holds for every section.
    name.iter().copied().filter(|byte| !b"'\"".contains(byte)).map(|byte| byte.to_ascii_lowercase()).eq(*b"default")
}

fn is_credential(line: &[u8]) -> bool {
    let key = line.split(|byte| b"=:".contains(byte)).next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
    CREDENTIAL_KEYS.iter().any(|name| name.as_bytes() == key)
}

#[cfg(test)]
mod tests {
    use super::with_default;

    #[test]
    fn the_default_profile_loses_its_credentials_and_nothing_else_changes() {
        let own = "credential_process = x\n";
        #[rustfmt::skip]
        let table = [
            // text, without, with lines of our own
            ("", "", "[default]\ncredential_process = x\n"),
            ("[a]\naws_access_key_id = 1", "[a]\naws_access_key_id = 1",
             "[a]\naws_access_key_id = 1\n[default]\ncredential_process = x\n"),
            ("[default]", "[default]", "[default]\ncredential_process = x\n"),
            ("[default]\nregion = r\naws_access_key_id = 1\n# c\nAWS_Secret_Access_Key: 2\noutput = json\n[b]\nsso_session = s\n",
             "[default]\nregion = r\n# c\noutput = json\n[b]\nsso_session = s\n",
             "[default]\ncredential_process = x\nregion = r\n# c\noutput = json\n[b]\nsso_session = s\n"),
            ("[profile \"default\"] # c\r\nrole_arn = r\r\nsource_profile = s\r\n", "[profile \"default\"] # c\r\n",
             "[profile \"default\"] # c\r\n[default]\ncredential_process = x\n"),
            ("[default]\ncredential_process = a\n  b\n\ts = 1\ns3 =\n  role_arn = nested\n[ DEFAULT ]\nsso_session=s\n",
             "[default]\ns3 =\n  role_arn = nested\n[ DEFAULT ]\n",
             "[default]\ncredential_process = x\ns3 =\n  role_arn = nested\n[ DEFAULT ]\n"),
            ("[profile default]\nsso_session = s\n[sso-session s]\nsso_region = r\n",
             "[profile default]\n[sso-session s]\nsso_region = r\n",
             "[profile default]\n[sso-session s]\nsso_region = r\n[default]\ncredential_process = x\n"),
            ("[profile defaults]\nsso_session = s\n", "[profile defaults]\nsso_session = s\n",
             "[profile defaults]\nsso_session = s\n[default]\ncredential_process = x\n"),
        ];
        for (text, without, with) in table {
            let shown = |own: &str| String::from_utf8(with_default(text.as_bytes(), own.as_bytes())).unwrap();
            assert_eq!(shown(""), without, "{text}");
            assert_eq!(shown(own), with, "{text}");
        }
    }
}
