//! What README.md says of the program, held against the program.

use super::markdown::root;
use crate::support::commands;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn the_readme_asks_for_the_rust_that_the_manifest_asks_for() {
    let version = format!("({} or later)", env!("CARGO_PKG_RUST_VERSION"));
    assert!(read("README.md").contains(&version), "README.md does not say {version}");
}

#[test]
fn the_readme_names_every_command() {
    let readme = read("README.md");
    let missing: Vec<&str> =
        commands().into_iter().filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

#[test]
fn the_readme_lists_every_exit_code() {
    let source = read("src/cli/exit_codes.rs");
    let code = |line| {
        let constant = str::strip_prefix(line, "pub const ")?;
        constant.split_once(": u8 = ")?.1.strip_suffix(';')
    };
    let codes: Vec<&str> = source.lines().filter_map(code).collect();
    assert!(!codes.is_empty(), "the codes are in that file");
    let readme = read("README.md");
    let missing: Vec<&str> =
        codes.into_iter().filter(|code| !readme.contains(&format!("\n| {code} | "))).collect();
    assert!(missing.is_empty(), "README.md does not list {missing:?}");
}

#[test]
fn the_readme_names_every_make_target() {
    let makefile = read("Makefile");
    let targets =
        makefile.lines().find_map(|line| line.strip_prefix(".PHONY: ")).expect("the targets");
    let readme = read("README.md");
    let missing: Vec<&str> = targets
        .split(' ')
        .filter(|target| *target != "help" && !readme.contains(&format!("make {target} ")))
        .collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}
