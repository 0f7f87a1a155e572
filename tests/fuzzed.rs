//! The fuzzer's properties, for the inputs in `tests/data/fuzz/`: a few to begin with, and every
//! one for which a property once did not hold. `make fuzz` looks for more.

#[allow(dead_code)] // the fuzzer's own programs use the rest
#[path = "fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

/// The inputs of a target.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz").join(target);
    let entries =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_that_was_found_holds() {
    let mut failed = Vec::new();
    for (target, check) in fuzz::TARGETS {
        for path in inputs(target) {
            let input = fs::read(&path).expect("the input can be read");
            if catch_unwind(|| check(&input)).is_err() {
                failed.push(path);
            }
        }
    }
    assert!(failed.is_empty(), "what is printed above was panicked by {failed:#?}");
}

#[test]
fn every_target_has_a_program_and_inputs_to_begin_with() {
    let names = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
            .expect("the folder is there");
        let name = |path: PathBuf| {
            path.file_stem().expect("a file has a name").to_string_lossy().into_owned()
        };
        entries.map(|entry| name(entry.expect("the folder can be read").path())).collect()
    };
    let targets: BTreeSet<String> =
        fuzz::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets, names("tests/fuzz/src/bin"));
    assert_eq!(targets, names("tests/data/fuzz"));
    assert!(targets.iter().all(|target| inputs(target).len() >= 2));
}

#[test]
fn a_property_that_does_not_hold_is_seen() {
    fn held(bytes: usize) {
        fuzz::bounded(10, 1, || drop(vec![1u8; bytes]));
    }
    held(10 + (16 << 10));
    assert!(
        catch_unwind(|| held(11 + (16 << 10))).is_err(),
        "more memory than the input allows for"
    );
    assert!(catch_unwind(|| fuzz::is_printable("\x1b[2J")).is_err(), "text that a terminal obeys");
}
