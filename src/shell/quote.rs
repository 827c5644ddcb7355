//! One function per dialect. The result is one line of printable ASCII, so that nothing in a value can end a
//! statement, whatever the locale of the shell that reads it.

use std::io::Write as _;

/// For bash (3.2 and later) and zsh: single quotes; `$'…'` with octal escapes where a byte is not printable ASCII.
/// `!` is inert within both, and so is everything else.
pub(super) fn posix(text: &mut Vec<u8>, value: &[u8]) {
    if is_plain(value) {
        text.push(b'\'');
        text.extend_from_slice(value);
    } else if value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        text.push(b'\'');
        for byte in value {
            match byte {
                b'\'' => text.extend_from_slice(br"'\''"),
                byte => text.push(*byte),
            }
        }
    } else {
        text.extend_from_slice(b"$'");
        for byte in value {
            match byte {
                b'\'' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
                b' '..=b'~' => text.push(*byte),
                // Writing to memory does not fail.
                byte => drop(write!(text, "\\{byte:03o}")),
            }
        }
    }
    text.push(b'\'');
}

/// For fish (3.4 and later): single quotes, in which only `\'` and `\\` are escapes; `\X..` outside of them for a byte
/// that is not printable ASCII.
pub(super) fn fish(text: &mut Vec<u8>, value: &[u8]) {
    text.push(b'\'');
    if is_plain(value) {
        text.extend_from_slice(value);
    } else {
        for byte in value {
            match byte {
                b'\'' | b'\\' => text.extend_from_slice(&[b'\\', *byte]),
                b' '..=b'~' => text.push(*byte),
                byte => drop(write!(text, "'\\X{byte:02x}'")),
            }
        }
    }
    text.push(b'\'');
}

/// For PowerShell: single quotes, doubled within. What is not printable ASCII is added by its number: PowerShell takes
/// typographic quotes for quotes, evaluates a program's output line by line, and reads it in a code page.
pub(super) fn powershell(text: &mut Vec<u8>, value: &str) {
    text.push(b'\'');
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\'') => text.extend_from_slice(b"''"),
            Ok(byte @ b' '..=b'~') => text.push(byte),
            _ => drop(write!(text, "'+[char]{unit}+'")),
        }
    }
    text.push(b'\'');
}

/// Whether all of it is printable ASCII (`' '..='~'`) and none of it an escape or quote to anybody: neither `'` nor `\`.
/// Told eight bytes at a time: session tokens are long, and the hook does this at every `cd`.
fn is_plain(value: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGH: u64 = ONES * 0x80;
    /// The high bit of a byte comes out set where the byte is smaller than `limit` (at most 0x80).
    fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(ONES * u64::from(limit)) & !word
    }
    let (words, rest) = value.as_chunks();
    let word_is_plain = |bytes: &[u8; 8]| {
        let word = u64::from_ne_bytes(*bytes);
        let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        // DEL comes out set by adding one, what is not ASCII by itself.
        let special = below(word, b' ') | word.wrapping_add(ONES) | word | is(b'\'') | is(b'\\');
        special & HIGH == 0
    };
    words.iter().all(word_is_plain)
        && rest.iter().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\'))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test has an environment of its own")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};

    fn quoted(quote: impl Fn(&mut Vec<u8>, &[u8]), value: &[u8]) -> String {
        let mut text = Vec::new();
        quote(&mut text, value);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn forms() {
        let posix = |value| quoted(posix, value);
        let fish = |value| quoted(fish, value);
        let powershell = |value| quoted(|text, value| powershell(text, std::str::from_utf8(value).unwrap()), value);
        assert_eq!(posix(b""), "''");
        assert_eq!(posix(b"it's $(x) `y` \\n !z"), r"'it'\''s $(x) `y` \n !z'");
        assert_eq!(posix(b"a\n'\\\xff1"), r"$'a\012\'\\\3771'");
        assert_eq!(fish(b"it's $(x) \\"), r"'it\'s $(x) \\'");
        assert_eq!(fish(b"\xc3\xa9\n1"), r"''\Xc3''\Xa9''\X0a'1'");
        assert_eq!(powershell(b"a'b$c"), "'a''b$c'");
        assert_eq!(powershell("a’\n😀".as_bytes()), "'a'+[char]8217+''+[char]10+''+[char]55357+''+[char]56832+''");
    }

    #[test]
    fn eight_bytes_at_a_time_is_one_at_a_time() {
        for position in 0..19 {
            for byte in 0..=255u8 {
                let mut value = *b"0123456789 abcdef ~";
                value[position] = byte;
                let plain = (b' '..=b'~').contains(&byte) && byte != b'\'' && byte != b'\\';
                assert_eq!(is_plain(&value), plain, "{byte:#04x} at {position}");
            }
        }
        assert!(is_plain(b"") && is_plain(&[b'~'; 64]) && !is_plain(&[b'\n'; 8]));
    }

    /// Every byte but NUL, alone and beside characters that make escapes longer, and whole lines of trouble.
    fn trouble() -> Vec<Vec<u8>> {
        let mut values: Vec<Vec<u8>> = (1..=255u8).map(|byte| vec![byte]).collect();
        values.extend((1..=255u8).map(|byte| vec![byte, b'7', b'a', b'\'', byte, b'f']));
        values.push((1..=255).collect());
        values.extend(
            ["", "-n", "$(touch x)", "`id`", "${HOME}", "!!", "a\r\nb", "~", "*", "é€😀", "\u{85}\u{2028}", "\\", "'"]
                .iter()
                .map(|text| text.as_bytes().to_vec()),
        );
        values
    }

    /// Has the real shell evaluate assignments of `values` and report the bytes that `env` then sees.
    fn round_trip(shell: &[&str], quote: fn(&mut Vec<u8>, &[u8]), set: &str, values: &[Vec<u8>]) {
        let mut script = String::new();
        for (index, value) in values.iter().enumerate() {
            script.push_str(&set.replace("NAME", &format!("V{index}")).replace("VALUE", &quoted(quote, value)));
            script.push('\n');
        }
        assert!(script.is_ascii());
        script.push_str("env -0\n");
        for locale in ["C", "C.UTF-8"] {
            let child = Command::new(shell[0])
                .args(&shell[1..])
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .env("HOME", "/nonexistent")
                .env("LC_ALL", locale)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn();
            let Ok(mut child) = child else {
                assert!(std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_none(), "{} is missing", shell[0]);
                skipped(shell[0]);
                return;
            };
            let mut stdin = child.stdin.take().unwrap();
            let writer = std::thread::spawn({
                let script = script.clone();
                move || stdin.write_all(script.as_bytes())
            });
            let output = child.wait_with_output().unwrap();
            writer.join().unwrap().unwrap();
            for (index, value) in values.iter().enumerate() {
                let name = format!("V{index}=");
                let seen = output.stdout.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(name.as_bytes()));
                let shown = std::ffi::OsStr::from_bytes(value);
                assert_eq!(seen, Some(value.as_slice()), "{} {locale} {shown:?}", shell[0]);
            }
        }
    }

    /// Says so once, past the test harness, which shows nothing of tests that pass.
    fn skipped(shell: &str) {
        static SAID: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
        let mut said = SAID.lock().unwrap();
        if !said.iter().any(|one| one == shell) {
            said.push(shell.to_owned());
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: {shell} is not installed");
        }
    }

    const BASH: &[&str] = &["bash", "--noprofile", "--norc"];
    const ZSH: &[&str] = &["zsh", "-f"];
    const FISH: &[&str] = &["fish", "--no-config"];

    #[test]
    fn every_byte_arrives_in_bash() {
        round_trip(BASH, posix, "NAME=VALUE; \\export NAME", &trouble());
    }

    #[test]
    fn every_byte_arrives_in_zsh() {
        round_trip(ZSH, posix, "\\typeset -gx NAME=VALUE", &trouble());
    }

    #[test]
    fn every_byte_arrives_in_fish() {
        round_trip(FISH, fish, "set -gx NAME VALUE", &trouble());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn arbitrary_bytes_arrive(values in proptest::collection::vec(proptest::collection::vec(1u8..=255, 0..60), 1..40)) {
            round_trip(BASH, posix, "NAME=VALUE; \\export NAME", &values);
            round_trip(ZSH, posix, "\\typeset -gx NAME=VALUE", &values);
            round_trip(FISH, fish, "set -gx NAME VALUE", &values);
        }
    }
}
