//! Starters of a small course, made and checked by the program.

#![allow(dead_code, reason = "each test target uses a part")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use piecemeal_starter::prefix::copy;

/// This crate's folder.
pub fn own() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The repository.
pub fn repository() -> &'static Path {
    own().ancestors().nth(2).expect("the crate lies two folders deep")
}

/// An empty folder for a test, under a name that no other test of this program has.
pub fn empty(name: &str) -> PathBuf {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let is_new = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    assert!(is_new, "two tests share the folder {name}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("the last run's folder can be removed");
    }
    fs::create_dir_all(&folder).expect("the target folder takes a folder");
    folder
}

/// A copy of the small course, with this crate in it, as a repository has it.
pub fn course(folder: &Path) -> PathBuf {
    let root = folder.join("course");
    copy(&own().join("tests/course"), &root).expect("the course can be copied");
    for part in ["Cargo.toml", "Cargo.lock", "src"] {
        let to = root.join("tests/starter").join(part);
        copy(&own().join(part), &to).expect("the crate can be copied");
    }
    root
}

/// What the program said.
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// Fails unless stdout has all of these.
    #[track_caller]
    pub fn has(&self, parts: &[&str]) -> &Said {
        for part in parts {
            assert!(self.stdout.contains(part), "{part:?} is not in:\n{self}");
        }
        self
    }

    /// Fails if stdout has one of these.
    #[track_caller]
    pub fn lacks(&self, parts: &[&str]) -> &Said {
        for part in parts {
            assert!(!self.stdout.contains(part), "{part:?} is in:\n{self}");
        }
        self
    }

    /// Fails unless it ended with this exit code.
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Said {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "exit code {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// The program, about to run in a folder.
pub fn program(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal-starter"));
    command.current_dir(folder).args(words);
    command
}

/// Runs the program in a folder.
pub fn run(folder: &Path, words: &[&str]) -> Said {
    program(folder, words).output().expect("the program starts").into()
}

/// The folder of a starter.
pub struct Starter(pub PathBuf);

impl Starter {
    /// Makes the starter of a stage of the small course in a fresh folder.
    pub fn of(test: &str, stage: &str) -> Starter {
        let folder = empty(test);
        course(&folder);
        run(&folder, &["new", "course", stage, "", "mine"]).ends(0);
        Starter(folder.join("mine"))
    }

    pub fn run(&self, words: &[&str]) -> Said {
        run(&self.0, words)
    }

    pub fn check(&self) -> Said {
        self.run(&["check"])
    }

    pub fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Replaces a text that is in a file once.
    #[track_caller]
    pub fn replace(&self, file: &str, old: &str, new: &str) {
        let text = self.text(file);
        assert_eq!(text.matches(old).count(), 1, "{old:?} in {file}:\n{text}");
        fs::write(self.0.join(file), text.replace(old, new)).expect("the file can be written");
    }

    /// Writes a body into a hole of stage 1, in place of its `todo!`.
    #[track_caller]
    pub fn write(&self, hole: &str, body: &str) {
        let (file, todo) = match hole {
            "double" => (NUMBERS, "todo!(\"double\")"),
            "evens" => (NUMBERS, "let hole: std::iter::Empty<_> = todo!(\"evens\");\n    hole"),
            "count" => (NUMBERS, "todo!(\"Counter::count\")"),
            "spell" => (WORDS, "todo!(\"spell\")"),
            other => panic!("the small course has no hole {other}"),
        };
        self.replace(file, todo, body);
    }

    /// Writes right bodies, other than the reference's, into all holes of stage 1.
    pub fn solve(&self) {
        self.write("double", "number + number");
        self.write("evens", "(0..limit).step_by(2)");
        self.write("count", "self.0 = self.0.saturating_add(1);\n        self.0");
        self.write("spell", SPELL);
    }
}

pub const NUMBERS: &str = "src/s01_numbers.rs";
pub const WORDS: &str = "src/s01_numbers/words.rs";

/// It does without the helper.
pub const SPELL: &str = "match number {\n        0 => Some(\"none\"),\n        1 => Some(\"one\"),\n        2 => Some(\"two\"),\n        _ => None,\n    }";
