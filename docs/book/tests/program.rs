//! The program behind `make book`: what it says when it cannot make one.

#![cfg(unix)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::root;

/// A folder that is empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// The exit code, and what it says on stderr.
fn run(root: &Path, to: &Path, mdbook: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal-book"));
    let ran = command.arg(root).arg(to).env("MDBOOK", mdbook).output().expect("it runs");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn without_mdbook_it_says_how_to_install_it() {
    let folder = folder("no-mdbook");
    let (code, said) = run(&root(), &folder.join("book"), &folder.join("mdbook"));
    assert_eq!(code, Some(1));
    assert_eq!(
        said,
        "error: mdBook 0.5.4 is not installed\n\
         help: docs/book/install.sh installs it in target/, or, for all that you do:\n  \
         cargo install mdbook --version 0.5.4 --locked --no-default-features --features search\n"
    );
    assert!(!folder.join("book").exists(), "nothing is begun");
}

#[test]
fn another_mdbook_is_refused_and_the_old_book_stays() {
    let folder = folder("other-mdbook");
    let mdbook = folder.join("mdbook");
    fs::write(&mdbook, "#!/bin/sh\necho mdbook v0.4.52\n").expect("it can be written");
    fs::set_permissions(&mdbook, fs::Permissions::from_mode(0o755)).expect("it can be run");
    fs::create_dir(folder.join("book")).expect("a folder can be made");
    let (code, said) = run(&root(), &folder.join("book"), &mdbook);
    assert_eq!(code, Some(1));
    assert!(
        said.starts_with("error: this is mdbook v0.4.52, but the book needs 0.5.4\nhelp: "),
        "{said}"
    );
    assert!(folder.join("book").exists());
}

#[test]
fn all_mistakes_are_named_with_their_files_and_lines() {
    let folder = folder("mistakes");
    for (path, text) in [
        ("README.md", "# R\n\n[x](gone.md)\n"),
        ("src/s01_first.rs", "pub struct Door;\n"),
        ("docs/01-first.md", "# 1. First\n\n## Read along\n\n`Dor`\n"),
        ("docs/02-second.md", "# 2. Second\n"),
        ("tests/s01_first.rs", ""),
    ] {
        let path = folder.join("crate").join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder"))
            .expect("a folder can be made");
        fs::write(path, text).expect("it can be written");
    }
    let (code, said) = run(&folder.join("crate"), &folder.join("book"), Path::new("mdbook"));
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "error: 3 mistakes");
    let begins = [
        "README.md:3: `gone.md` leaves",
        "docs/01-first.md:5: `Dor` is not",
        "docs/02-second.md:1: the chapter",
    ];
    assert_eq!(lines.len(), 4, "{said}");
    for (line, begin) in lines[1..].iter().zip(begins) {
        assert!(line.starts_with(begin), "{line}");
    }
}

#[test]
fn a_folder_that_is_no_crate_is_named() {
    let folder = folder("no-crate");
    let (code, said) = run(&folder, &folder.join("book"), Path::new("mdbook"));
    assert_eq!(code, Some(1));
    assert!(said.contains("no-crate/src: No such file"), "{said}");
}
