//! The prefix property: for every N, stages 1 to N and their commands compile
//! and pass their tests with all later stages deleted.
//!
//! `tests/starter/src/prefix.rs` cuts them. A reader who stops at chapter N has a program that
//! works, and a starter is cut the same way.
//!
//! `make prefixes` runs it; it builds the crate once for each stage.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "starter/src/prefix.rs"]
mod prefix;

use prefix::{make_prefix, names, stage_number, stem};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo in the prefix. All prefixes share a target folder of their own, so that
/// dependencies build once, and so that it never waits for the lock of the cargo
/// that runs this test.
fn cargo(folder: &Path, target: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target)
        // Nobody debugs these builds, and without symbols they link faster.
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .output()
        .map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    // Code that only a later stage uses is unused here, and that is fine.
    let told: Vec<&str> =
        said.split("\n\n").filter(|part| !part.trim_start().starts_with("warning")).collect();
    let told = told.join("\n\n");
    let last: Vec<&str> = told.lines().rev().take(80).collect();
    Err(format!(
        "cargo {} failed\n{}",
        arguments.join(" "),
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    ))
}

#[test]
fn every_prefix_of_the_stages_compiles_and_passes_its_tests() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("the target folder has a parent")
        .join("prefixes");
    let folder: PathBuf = target.join("crate");
    let most = names(&root().join("src"))
        .iter()
        .filter_map(|n| stage_number(n.strip_suffix(".rs")?))
        .max()
        .unwrap_or(0);
    assert!(most > 0, "there are stages");
    let mut broken = Vec::new();
    for last in 1..=most {
        make_prefix(root(), last, &folder).expect("the prefix can be made");
        // Only its last stage's tests are built and run. The earlier ones were in the prefixes
        // before, over the same files.
        let mut run = vec!["test", "--quiet", "--no-fail-fast", "--lib", "--bins"];
        let tests = names(&folder.join("tests"));
        if let Some(test) = tests.iter().find(|name| stage_number(stem(name)) == Some(last)) {
            run.extend(["--test", stem(test)]);
        }
        match cargo(&folder, &target, &run) {
            Ok(()) => println!("stages 1 to {last}: good"),
            Err(why) => {
                println!("stages 1 to {last}: BROKEN");
                broken.push(format!("stages 1 to {last}: {why}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
