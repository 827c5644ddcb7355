//! The shape of the source: imports run one way (design section 10), and what is written twice is the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What each part may use. `context` and `error` are the crate's own words and may be used wherever there is I/O.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("lib", &["arena", "cli", "commands", "context", "core", "error", "name_service", "shell", "sso", "store"]),
    // For tests and fuzzing alone; nobody uses it.
    ("hostile", &["cli", "context", "core", "error", "shell", "sso", "store"]),
    ("arena", &[]),
    ("cli", &["shell"]),
    ("context", &["core", "error", "name_service"]),
    ("error", &["core"]),
    ("name_service", &[]),
    ("commands", &["cli", "context", "core", "error", "shell", "sso", "store"]),
    ("sso", &["context", "core", "error", "name_service", "store"]),
    ("store", &["context", "core", "error"]),
    ("shell", &["core"]),
    ("core", &[]),
];

/// The Rust files under a folder of the package, by their paths in it.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(ROOT).join(folder), &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(ROOT).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|path| (name(path), code(&fs::read_to_string(path).unwrap()))).collect()
}

/// A source without its line comments.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The top-level part that a file of `src/` belongs to.
fn part(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap();
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The first names of all paths that begin with `crate::`, groups in braces included.
fn used_parts(source: &str) -> BTreeSet<String> {
    let identifier = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut used = BTreeSet::new();
    for rest in source.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth < 0
                });
                let mut depth = 0;
                let items = group[..end.unwrap()].split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                });
                used.extend(items.map(|item| identifier(item.trim())));
            }
            None => {
                used.insert(identifier(rest));
            }
        }
    }
    used.remove("");
    used
}

#[test]
fn imports_run_one_way() {
    let files: Vec<_> = sources("src").into_iter().filter(|(path, _)| !matches!(part(path), "main" | "bin")).collect();
    assert!(files.len() > 30, "the source was found");
    let mut wrong = Vec::new();
    for (path, source) in &files {
        let own = part(path);
        let (_, allowed) =
            MAY_USE.iter().find(|(part, _)| *part == own).unwrap_or_else(|| panic!("{path}: a new part"));
        let used = used_parts(source);
        wrong.extend(
            used.iter()
                .filter(|used| *used != own && !allowed.contains(&used.as_str()))
                .map(|used| format!("{path} uses {used}")),
        );
        if source.contains("super::super::") {
            wrong.push(format!("{path} climbs with super::super"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let groups = "use crate::{core::{a, b}, store}; crate::error::X; use crate::sso::{self, c};";
    assert_eq!(
        used_parts(groups).into_iter().collect::<Vec<_>>(),
        ["core", "error", "sso", "store"],
        "the reader reads"
    );
}

/// Where `unsafe` stands, `docs/security.md` says why.
#[test]
fn unsafe_code_is_where_it_is_argued() {
    let argued = fs::read_to_string(Path::new(ROOT).join("docs/security.md")).unwrap();
    let with_unsafe: Vec<_> =
        sources("src").into_iter().filter(|(_, source)| source.contains("unsafe ")).map(|(path, _)| path).collect();
    assert_eq!(with_unsafe, ["src/arena.rs", "src/commands/supervise.rs", "src/name_service.rs"]);
    assert!(with_unsafe.iter().all(|path| argued.contains(&format!("`{path}`"))));
}

#[test]
fn what_must_hold_for_hostile_bytes_is_not_shipped() {
    let lib = fs::read_to_string(Path::new(ROOT).join("src/lib.rs")).unwrap();
    let lines: Vec<&str> = lib.lines().collect();
    let modules = lines.windows(2).filter(|lines| lines[1].ends_with("mod hostile;"));
    assert_eq!(
        modules.map(|lines| lines[0]).collect::<Vec<_>>(),
        ["#[cfg(fuzzing)]", "#[cfg(all(test, not(fuzzing)))]"]
    );
}

#[test]
fn the_binaries_only_call_the_library() {
    for (path, source) in sources("src").iter().filter(|(path, _)| matches!(part(path), "main" | "bin")) {
        assert!(source.trim().lines().count() <= 3 && source.contains("awsdir::"), "{path}:\n{source}");
    }
}

#[test]
fn only_sso_knows_the_network() {
    for (path, source) in sources("src").iter().filter(|(path, _)| !["sso", "hostile"].contains(&part(path))) {
        let source = without_tests(source);
        for name in ["tokio", "aws_sdk_", "aws_smithy_", "std::net", "async "] {
            assert!(!source.contains(name), "{path} mentions {name}");
        }
    }
}

/// And what they share with commands that do is plain data.
#[test]
fn the_fast_commands_never_import_sso() {
    let fast =
        ["hook", "prompt", "status", "list", "allow", "init", "pin"].map(|verb| format!("src/commands/{verb}.rs"));
    let commands = sources("src/commands");
    for path in fast {
        let (_, source) = commands.iter().find(|(found, _)| *found == path).unwrap_or_else(|| panic!("no {path}"));
        assert!(!used_parts(source).contains("sso") && !source.contains("gather::ladder"), "{path}");
    }
}

#[test]
fn the_rules_do_no_input_or_output() {
    for (path, source) in sources("src/core") {
        let rules = without_tests(&source);
        for name in ["std::fs", "std::env", "std::io", "std::process", "SystemTime", "Instant", "rustix", "println!"] {
            assert!(!rules.contains(name), "{path} mentions {name}");
        }
    }
}

#[test]
fn every_test_file_is_in_the_integration_binary() {
    let main = fs::read_to_string(Path::new(ROOT).join("tests/main.rs")).unwrap();
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join("tests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|extension| extension == "rs") || path.join("mod.rs").exists();
        if is_module && name != "main" && !main.lines().any(|line| line.trim() == format!("mod {name};")) {
            forgotten.push(name);
        }
    }
    assert!(forgotten.is_empty(), "tests/main.rs does not name {forgotten:?}");
}

/// The upper-case words between two marks of a text.
fn names(text: &str, from: &str, to: &str) -> Vec<String> {
    let list = text.split_once(from).unwrap_or_else(|| panic!("no `{from}`")).1.split_once(to).unwrap().0;
    let words = list.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
    words.filter(|word| word.starts_with("AWS")).map(str::to_owned).collect()
}

#[test]
fn the_managed_variables_are_the_same_in_rust_and_in_each_shell() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let ours = names(&read("src/core/environment.rs"), "MANAGED: [&str;", "];");
    assert_eq!(ours.len(), 16);
    assert_eq!(names(&read("shell/awsdir.bash"), "__awsdir_managed=(", ")"), ours);
    assert_eq!(names(&read("shell/awsdir.zsh"), "__awsdir_managed=(", ")"), ours);
    assert_eq!(names(&read("shell/awsdir.fish"), "__awsdir_managed ", "\n\n"), ours);
}
