//! Typical wrong solutions, each planted alone: the tests must catch it, and say what is wrong.
//!
//! A learner has no more than the words of a failing test. `tests/data/plants.txt` has the plants
//! and the words. `make plants` runs it; it builds the crate once for each plant.

#[path = "plants/list.rs"]
mod list;

use list::{Plant, plants};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Copies what a build needs.
fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        return;
    }
    fs::create_dir_all(to).expect("the target folder takes a folder");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let name = entry.expect("the folder can be read").file_name();
        // What the crates in here have built is large, and of no use to the copy.
        if name != "target" {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}

/// A copy of the crate, as a workspace of its own: it is inside this crate's target folder.
fn scratch(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("the target folder takes a folder");
    for name in ["Cargo.lock", "README.md", "docs", "src", "tests", "benches"] {
        copy(&root.join(name), &folder.join(name));
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("there is a manifest");
    let own = if manifest.contains("[workspace]") { "" } else { "\n[workspace]\n" };
    fs::write(folder.join("Cargo.toml"), manifest + own).expect("the copy can be written");
}

/// What the plant's test says, if it fails.
fn run(plant: &Plant, folder: &Path, target: &Path) -> Result<String, String> {
    let (path, planted) = (folder.join(&plant.file), plant.planted(folder)?);
    let whole = fs::read(&path).expect("it was just read");
    fs::write(&path, planted).expect("the copy can be written");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--offline", "--quiet", "--test", &plant.test.0, &plant.test.1])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        // Nobody debugs these builds, and without symbols they link faster.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("RUST_BACKTRACE", "0")
        .output()
        .map_err(|error| error.to_string())?;
    fs::write(&path, whole).expect("the copy can be written");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.contains("test result: FAILED. 0 passed; 1 failed") {
        return Ok(said);
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{}: no test fails, or more than one runs:\n{said}\n{errors}", plant.name))
}

#[test]
fn each_plant_is_caught_by_a_test_that_says_what_is_wrong() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target");
    // Beside the sources, not above them: of sources inside its target folder, cargo remembers
    // where they are in there, and a crate of the same name elsewhere would count as built.
    let (folder, target): (PathBuf, PathBuf) =
        (target.join("plants/source"), target.join("plants/build"));
    scratch(&folder);
    let mut wrong = Vec::new();
    for plant in plants() {
        match run(&plant, &folder, &target) {
            Err(why) => wrong.push(why),
            Ok(said) => {
                let words = said.split(" panicked at ").nth(1).unwrap_or(&said);
                println!("{}\n  {}", plant.name, words.replace('\n', "\n  "));
                let missing = plant.says.iter().filter(|words| !said.contains(*words));
                wrong.extend(
                    missing.map(|words| format!("{}: {words:?} is not in\n{said}", plant.name)),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
