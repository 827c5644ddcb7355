//! Any bytes: in paths, in values that stood there before, in profile names. They arrive intact and nothing runs.

use super::{APP, Bash, Fish, Session, Shell, Start, Zsh, in_each_shell, world};
use crate::sandbox::skipped;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::process::Command;

in_each_shell! {
    paths_of_any_bytes_arrive_in_the_mark,
    in_any_locale_too,
    values_of_any_bytes_come_back,
    a_profile_name_runs_nothing,
    the_segment_in_each_state,
    the_segment_cannot_inject,
}

/// Directory names that a shell could trip over.
const NAMES: [&[u8]; 8] = [
    b"it's \"quoted\"",
    b"$(cd;touch ran) `cd;touch ran` ${HOME} $HOME",
    b"two\nlines\n",
    b"back\\slash\\n \\' end\\",
    b"not \xff\xfe utf-8 \xe9",
    b"-n *?[a] {b,c} ~ #! & | ; < > %d %n %%",
    b"tab\tbell\x07escape\x1b[31m",
    "größe ⟦☃⟧".as_bytes(),
];

fn paths_of_any_bytes_arrive_in_the_mark(shell: Shell) {
    walk_through_odd_places(shell, &[]);
}

fn in_any_locale_too(shell: Shell) {
    let locales = tempfile::tempdir().unwrap();
    let latin = locales.path().join("latin");
    let made = Command::new("localedef").args(["-i", "en_US", "-f", "ISO-8859-1"]).arg(&latin).output();
    let path = locales.path().to_str().unwrap();
    for locale in [
        [("LANG", ""), ("LC_ALL", "")],
        [("LANG", "C.UTF-8"), ("LC_ALL", "C")],
        [("LOCPATH", path), ("LC_ALL", "latin")],
    ] {
        if locale[1].1 == "latin" && !latin.join("LC_CTYPE").exists() {
            assert!(std::env::var_os("AWSDIR_REQUIRE_SHELLS").is_none(), "localedef: {made:?}");
            skipped("localedef cannot make a locale here");
        } else {
            walk_through_odd_places(shell, &locale);
        }
    }
}

fn walk_through_odd_places(shell: Shell, variables: &[(&str, &str)]) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    for (name, value) in variables {
        world.set(name, value);
    }
    let mut session = Session::open(shell, &world);
    for (at, name) in NAMES.into_iter().enumerate() {
        let directory = world.project(&format!("odd{at}"), "static\n");
        let odd = world.home().join(OsStr::from_bytes(name));
        std::fs::rename(&directory, &odd).unwrap();
        std::fs::create_dir(odd.join("below")).unwrap();
        session.quietly([&format!("cd ~/{}/below", glob_of(name))]);
        let mark = session.environment().remove(OsStr::new("AWSDIR")).unwrap_or_else(|| panic!("{name:?}"));
        let dotfile = mark.as_bytes().splitn(6, |byte| *byte == b' ').last().unwrap();
        assert_eq!(PathBuf::from(OsStr::from_bytes(dotfile)), odd.join(".awsprofile"), "{name:?}");
        assert_eq!(session.profile(), "static");
        session.quietly([":", "cd ~"]);
        assert_eq!(session.aws(), "");
        std::fs::remove_dir_all(odd).unwrap();
    }
    assert!(!world.path("ran").exists());
}

/// A pattern for the one name: letters as they are.
fn glob_of(name: &[u8]) -> String {
    let start: String = name.iter().map(|byte| *byte as char).take_while(char::is_ascii_lowercase).collect();
    if name[0] == b'-' {
        "-n*".to_owned()
    } else if start.is_empty() {
        "\\$*".to_owned()
    } else {
        start + "*"
    }
}

fn values_of_any_bytes_come_back(shell: Shell) {
    let world = world();
    for value in NAMES {
        // A newline at the end too, and nothing at all.
        for value in [value.to_vec(), [value, b"\n"].concat(), Vec::new()] {
            let value = OsString::from_vec(value);
            let mut session = Start::new(shell, &world).env("AWS_PROFILE", &value).env("AWS_VAULT", &value).open();
            session.quietly(["cd app"]);
            assert_eq!(session.aws(), APP);
            session.quietly(["cd .."]);
            let environment = session.environment();
            assert_eq!(environment.get(OsStr::new("AWS_PROFILE")), Some(&value));
            assert_eq!(environment.get(OsStr::new("AWS_VAULT")), Some(&value));
        }
    }
    assert!(!world.path("ran").exists());
}

fn a_profile_name_runs_nothing(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    let mut session = Session::open(shell, &world);
    for name in
        ["$(touch ~/ran)", "`touch ~/ran`", "'; touch ~/ran; '", "\\$(touch ~/ran)", "%n%1(l.x.y)${HOME}", "\"x\""]
    {
        let config = format!("{}[profile {name}]\nregion = eu-west-1\n", crate::sandbox::CONFIG);
        world.write(".aws/config", config);
        world.project("odd", format!("profile = {name}\n"));
        // Whatever becomes of it: set as it is, or refused.
        session.run("cd ~/odd");
        session.run(":");
        let profile = session.profile();
        assert!(profile == name || profile.is_empty(), "{profile}");
        session.run("cd ~");
        assert!(!world.path("ran").exists(), "{name}");
    }
}

fn the_segment_in_each_state(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.path("trusted"));
    world.project("trusted/static", "static\n");
    world.project("trusted/stale", "profile = legacy\nlogin = never\n");
    world.project("other", "prod-admin\n");
    let mut session = Session::open(shell, &world);
    for (line, segment) in [
        (":", ""),
        ("cd ~/app", "read-only 1h00m"),
        ("cd ~/prod", "prod-admin! 1h00m"),
        ("cd ~/trusted/static", "static"),
        ("cd ~/trusted/stale", "legacy expired"),
        ("cd ~/other", "prod-admin! not allowed"),
        ("cd ~", ""),
    ] {
        session.run(line);
        assert_eq!(session.segment, segment, "{line}");
        // The function says the same, without a newline.
        assert_eq!(session.run("awsdir_prompt; echo"), segment, "{line}");
    }
    for (seconds, segment) in
        [(7500 + 59, "read-only 2h05m"), (42 * 60 + 59, "read-only 42m"), (16 * 60 + 59, "read-only 16m")]
    {
        super::plant(&world, seconds);
        session.quietly(["cd ~/app"]);
        assert_eq!(session.segment, segment);
        session.quietly(["cd ~"]);
    }
}

fn the_segment_cannot_inject(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    world.write(".config/awsdir/config", "[prompt]\nformat = 100% $(touch ~/ran) `touch ~/ran` %n {profile}\n");
    let mut session = Session::open(shell, &world);
    session.quietly(["cd app"]);
    assert_eq!(session.segment, "100% $(touch ~/ran) `touch ~/ran` %n read-only");
    if shell == Zsh {
        session.quietly(["PROMPT='⟩%?|$(awsdir_prompt)⟩ '"]);
        assert_eq!(session.segment, "100% $(touch ~/ran) `touch ~/ran` %n read-only");
    } else if shell == Bash {
        session.quietly(["PS1='⟩$?|$(awsdir_prompt)⟩ '"]);
        assert_eq!(session.segment, "100% $(touch ~/ran) `touch ~/ran` %n read-only");
    } else {
        assert_eq!(shell, Fish);
    }
    assert!(!world.path("ran").exists());
}
