//! A directory that somebody else has filled: whatever lies in it, nothing runs, no account is switched, nothing is
//! waited for, and nothing but us speaks for us.

use super::{APP, Session, Shell, in_each_shell, world};
use crate::sandbox::Sandbox;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

in_each_shell! {
    whatever_lies_there_the_prompt_comes_back,
    an_allowed_file_turns_into_something_else,
    a_directorys_name_does_not_speak_for_us,
    the_longest_paths,
    a_link_shows_no_secret,
}

/// No prompt takes that long, on the busiest machine; to read gigabytes, or what never ends, does.
const PROMPTLY: Duration = Duration::from_secs(5);

/// What to lay where a dotfile would be, and what is said of it at most once; nothing, if it is passed by.
type Trap = (&'static str, fn(&Path), &'static str);

const REFUSED: &str = "is refused: it is a link, and to nothing that names a profile of yours";

const TRAPS: [Trap; 15] = [
    ("gigabytes of nothing", |path| sparse(path, b""), "line 1, column 1: it is larger than 4096 bytes"),
    ("gigabytes behind a name", |path| sparse(path, b"static\n"), "line 1, column 1: it is larger than 4096 bytes"),
    ("a page of nothing", |path| fs::write(path, [0; 4096]).unwrap(), "line 1, column 1: a control character"),
    ("a name and nothing", |path| fs::write(path, b"static\n\0\0\0").unwrap(), "line 2, column 1: a control character"),
    ("a link to gigabytes", |path| linked(path, |target| sparse(target, b"static\n")), REFUSED),
    ("a device", |path| symlink("/dev/zero", path).unwrap(), ""),
    ("a terminal", |path| symlink("/dev/tty", path).unwrap(), ""),
    ("a loop", |path| symlink(".awsprofile", path).unwrap(), ""),
    ("a dangling link", |path| symlink("nowhere", path).unwrap(), ""),
    ("a fifo", |path| mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap(), ""),
    ("a link to a fifo", |path| linked(path, |to| mknodat(CWD, to, FileType::Fifo, Mode::RWXU, 0).unwrap()), ""),
    ("a folder", |path| fs::create_dir(path).unwrap(), ""),
    ("a socket", |path| drop(UnixListener::bind(path).unwrap()), ""),
    // Regular files to `-f`, of no size and without an end; to who is not root they are shut.
    ("our own memory", |path| symlink("/proc/self/mem", path).unwrap(), "could not read"),
    ("our own environment", |path| symlink("/proc/self/environ", path).unwrap(), ".awsprofile` "),
];

fn sparse(path: &Path, beginning: &[u8]) {
    fs::write(path, beginning).unwrap();
    File::options().write(true).open(path).unwrap().set_len(8 << 30).unwrap();
}

fn linked(path: &Path, make: impl FnOnce(&Path)) {
    make(&path.with_file_name("target"));
    symlink("target", path).unwrap();
}

fn whatever_lies_there_the_prompt_comes_back(shell: Shell) {
    let mut world = world();
    // So that trust is not what holds it back.
    world.set("AWSDIR_TRUST", world.home());
    let mut session = Session::open(shell, &world);
    for (number, (what, lay, expected)) in TRAPS.into_iter().enumerate() {
        let directory = world.path(format!("trap{number}"));
        fs::create_dir(&directory).unwrap();
        lay(&directory.join(".awsprofile"));
        session.quietly(["cd ~/app"]);
        let began = Instant::now();
        let said = session.run(format!("cd ~/trap{number}"));
        assert!(said.contains(expected) && said.lines().count() == usize::from(!expected.is_empty()), "{what}: {said}");
        session.quietly([":", ":"]);
        assert!(began.elapsed() < PROMPTLY, "{what}: {:?}", began.elapsed());
        assert_eq!(session.aws(), "", "{what}");
        session.quietly(["cd ~/app"]);
        assert_eq!(session.aws(), APP, "after {what}");
    }
}

fn an_allowed_file_turns_into_something_else(shell: Shell) {
    let world = world();
    let path = world.path("app/.awsprofile");
    let mut session = Session::open(shell, &world);
    for (what, lay, expected) in TRAPS {
        fs::write(&path, "read-only\n").unwrap();
        session.quietly(["cd ~/app"]);
        assert_eq!(session.aws(), APP);
        fs::remove_file(&path).unwrap();
        lay(&path);
        let began = Instant::now();
        let said = session.run(":");
        assert!(said.contains(expected) && said.lines().count() == usize::from(!expected.is_empty()), "{what}: {said}");
        session.quietly([":"]);
        assert!(began.elapsed() < PROMPTLY, "{what}: {:?}", began.elapsed());
        assert_eq!(session.aws(), "", "{what}");
        session.quietly(["cd ~"]);
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
        let _ = fs::remove_file(path.with_file_name("target"));
    }
}

fn a_directorys_name_does_not_speak_for_us(shell: Shell) {
    let world = world();
    let names: [&[u8]; 4] = [
        b"w\nawsdir: sign-in to `corp` needed; run: cd;touch ran\n",
        b"x\r\x1b[2Kawsdir: run: cd;touch ran\x1b]0;title\x07\x1b[8m",
        b"y$(cd;touch ran)`cd;touch ran`'; cd; touch ran; '\"; cd; touch ran; \"",
        b"z\xc2\x9b31m\xff",
    ];
    let mut session = Session::open(shell, &world);
    for name in names {
        // Not allowed, then broken: both are said, with the path.
        for content in ["prod-admin\n", "a b\n"] {
            let directory = world.home().join(OsStr::from_bytes(name));
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join(".awsprofile"), content).unwrap();
            let before = session.terminal.screen().len();
            let said = session.run(format!("cd ~/{}*", char::from(name[0])));
            assert!(said.starts_with("awsdir: `[HOME]/") && said.lines().count() == 1, "{said}");
            let raw = session.terminal.screen().split_off(before);
            for sequence in ["\x1b[2K", "\x1b]0;title", "\x1b[8m", "\u{9b}"] {
                assert!(!raw.contains(sequence), "{raw:?}");
            }
            session.quietly([":", "cd ~"]);
            assert_eq!(session.aws(), "");
            fs::remove_dir_all(directory).unwrap();
        }
    }
    assert!(!world.path("ran").exists());
}

fn the_longest_paths(shell: Shell) {
    let mut world = world();
    world.set("AWSDIR_TRUST", world.home());
    let mut session = Session::open(shell, &world);
    // As long as a dotfile's path can be, and a directory's in which there can be none.
    for (length, profile) in [(4095 - "/.awsprofile".len(), "static"), (4095, "")] {
        let directory = of_length(&world, length);
        // Its own path may be too long to be written to.
        let made = fs::write(directory.join(".awsprofile"), "static\n").is_ok();
        assert_eq!(made, !profile.is_empty());
        let depth = directory.strip_prefix(world.home()).unwrap().components().count();
        session.run(format!("cd ~{}", "/long*".repeat(depth)));
        session.quietly([":"]);
        assert_eq!(session.profile(), profile, "{length}");
        session.run("cd ~");
        session.quietly([":"]);
        assert_eq!(session.aws(), "");
        fs::remove_dir_all(world.home().join(directory.strip_prefix(world.home()).unwrap().iter().next().unwrap()))
            .unwrap();
    }
}

/// A directory in the HOME whose path has so many bytes.
fn of_length(world: &Sandbox, length: usize) -> std::path::PathBuf {
    let mut directory = world.home();
    while directory.as_os_str().len() < length {
        let left = length - directory.as_os_str().len() - 1;
        let size = if left > 240 { 200 } else { left };
        directory.push(format!("long{}", "x".repeat(size - 4)));
    }
    assert_eq!(directory.as_os_str().len(), length);
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn a_link_shows_no_secret(shell: Shell) {
    let mut world = world();
    world.write("token", "ghp_sEcReT0123456789\n");
    world.write("key", "sEcReT0123456789abcdefABCDEF0123456789abcde=\n");
    for (name, trusted) in [("token", false), ("key", false), ("token", true), ("key", true)] {
        let directory = format!("{name}-{trusted}");
        fs::create_dir(world.path(&directory)).unwrap();
        symlink(world.path(name), world.path(&directory).join(".awsprofile")).unwrap();
        if trusted {
            world.set("AWSDIR_TRUST", world.home());
        }
        let mut session = Session::open(shell, &world);
        let said = session.run(format!("cd {directory}"));
        assert!(said.ends_with(REFUSED) && said.lines().count() == 1, "{said}");
        session.quietly([":"]);
        assert_eq!(session.segment, "");
        assert!(!session.terminal.screen().contains("sEcReT"));
    }
}
