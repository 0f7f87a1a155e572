//! The prefix property: for every N, stages 1 to N and their commands compile
//! and pass their tests with all later stages deleted.
//!
//! Each prefix is made by deleting: files, and whole lines in `src/lib.rs` and
//! `src/commands.rs` and `src/cli.rs`, and in those folders the lines that end with `plugged in` and name
//! something that is gone. Nothing is rewritten. So a reader who stops at chapter N
//! has a program that works, and starters and checkpoints are cut the same way.
//! `src/actors` is in every prefix, since the tests talk to it.
//!
//! `make prefixes` runs it; it builds the crate once for each stage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `s04_handshake` is stage 4.
fn stage_number(module: &str) -> Option<usize> {
    let (number, subject) = module.strip_prefix('s')?.split_once('_')?;
    (number.len() == 2 && !subject.is_empty()).then(|| number.parse().ok())?
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .map(|e| e.expect("the folder can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn stem(name: &str) -> &str {
    name.strip_suffix(".rs").unwrap_or(name)
}

/// The folders whose files name their stage in their first line, each with a parent of the same name.
const COMMAND_LINE: [&str; 2] = ["src/commands", "src/cli"];

/// Copies a file or a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("the target folder takes a folder");
        for name in names(from) {
            copy(&from.join(&name), &to.join(&name));
        }
    } else if from.is_file() {
        fs::copy(from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    }
}

fn remove(path: &Path) {
    let done = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    done.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

/// Deletes the lines of a file for which `cut` holds.
fn delete_lines(path: &Path, cut: impl Fn(&str) -> bool) {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let kept: Vec<&str> = text.lines().filter(|line| !cut(line)).collect();
    fs::write(path, kept.join("\n") + "\n").expect("the copy can be written");
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The stage of a command file, from its first line. `None` is the lab and the trace.
fn command_stage(path: &Path) -> Option<usize> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let first = text.lines().next().unwrap_or_default();
    let place =
        first.rsplit_once('(').and_then(|(_, place)| place.split_once(')')).map(|(place, _)| place);
    match place {
        Some("lab" | "trace" | "grade") => None,
        Some("every stage") => Some(0),
        Some(place) if place.starts_with("stage ") => Some(
            place["stage ".len()..]
                .parse()
                .unwrap_or_else(|_| panic!("{}: {first}", path.display())),
        ),
        _ => panic!("{}: the first line is to name a stage: {first}", path.display()),
    }
}

/// The manifest without the test and bench targets whose files are gone, and as
/// a workspace of its own: it lies inside this crate's target folder.
fn cut_manifest(manifest: &str, folder: &Path) -> String {
    let mut sections: Vec<String> = vec![String::new()];
    for line in manifest.lines() {
        if line.starts_with('[') {
            sections.push(String::new());
        }
        let last = sections.last_mut().expect("there is always a section");
        *last += line;
        *last += "\n";
    }
    let keep = |section: &&String| {
        let value = |key: &str| {
            let line = section
                .lines()
                .find(|l| l.starts_with(key) && l[key.len()..].trim_start().starts_with('='))?;
            line.split('"').nth(1).map(str::to_owned)
        };
        if section.starts_with("[[bench]]") || section.starts_with("[workspace]") {
            return false;
        }
        if section.starts_with("[[test]]") {
            let path = value("path").or_else(|| Some(format!("tests/{}.rs", value("name")?)));
            return path.is_some_and(|path| folder.join(path).is_file());
        }
        true
    };
    let kept: String = sections.iter().filter(keep).cloned().collect();
    kept + "\n[workspace]\n"
}

/// Deletes the modules in a folder that belong to later stages, with their children and their lines in
/// the parent.
fn cut_modules(parent: &Path, last: usize, gone: &mut Vec<String>) {
    for name in names(parent).into_iter().filter(|name| name.ends_with(".rs")) {
        let path = parent.join(&name);
        let children = path.with_extension("");
        if command_stage(&path).is_some_and(|stage| stage <= last) {
            cut_modules(&children, last, gone);
            continue;
        }
        remove(&path);
        if children.is_dir() {
            remove(&children);
        }
        let module = stem(&name);
        delete_lines(&parent.with_extension("rs"), |line| {
            let line = line.trim().trim_start_matches("pub ").trim_start_matches("mod ");
            line.strip_suffix([',', ';']) == Some(module)
        });
        gone.push(module.to_owned());
    }
}

/// Deletes the lines of a module and its children that end with `plugged in` and name what is gone.
fn delete_plugged_in(parent: &Path, gone: &[String]) {
    delete_lines(&parent.with_extension("rs"), |line| {
        // `// s03_tracker is plugged in` names it; `// plugged in` does not, and any word may.
        let named = line.strip_suffix(" is plugged in").and_then(|line| line.rsplit(' ').next());
        let names = named.unwrap_or(line);
        line.ends_with("plugged in") && gone.iter().any(|module| has_word(names, module))
    });
    for name in names(parent).iter().filter(|name| name.ends_with(".rs")) {
        delete_plugged_in(&parent.join(stem(name)), gone);
    }
}

/// Makes the prefix of stages 1 to `last` in a folder.
fn make_prefix(last: usize, folder: &Path) {
    if folder.exists() {
        remove(folder);
    }
    fs::create_dir_all(folder.join("tests")).expect("the target folder takes a folder");
    for name in [
        "Cargo.lock",
        "README.md",
        "rustfmt.toml",
        "clippy.toml",
        ".cargo",
        "docs",
        "src",
        "tests/support",
    ] {
        copy(&root().join(name), &folder.join(name));
    }
    let mut gone = Vec::new();
    for name in names(&folder.join("src")) {
        let module = stem(&name);
        let stays = match stage_number(module) {
            Some(number) => number <= last,
            None if module == "report" => {
                command_stage(&folder.join("src").join(&name)).is_some_and(|stage| stage <= last)
            }
            None => ["lib", "main", "cli", "commands", "actors"].contains(&module),
        };
        if !stays {
            remove(&folder.join("src").join(&name));
            gone.push(module.to_owned());
        }
    }
    delete_lines(&folder.join("src/lib.rs"), |line| {
        gone.iter().any(|module| has_word(line, module))
    });
    for parent in COMMAND_LINE {
        cut_modules(&folder.join(parent), last, &mut gone);
    }
    for parent in COMMAND_LINE {
        delete_plugged_in(&folder.join(parent), &gone);
    }
    for name in names(&root().join("tests")) {
        if stage_number(stem(&name)).is_some_and(|number| number <= last) {
            copy(&root().join("tests").join(&name), &folder.join("tests").join(&name));
        }
    }
    let manifest =
        fs::read_to_string(root().join("Cargo.toml")).expect("this crate has a manifest");
    fs::write(folder.join("Cargo.toml"), cut_manifest(&manifest, folder))
        .expect("the copy can be written");
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
        make_prefix(last, &folder);
        // All tests of the prefix are built; those of its last stage run. The
        // earlier ones ran in the prefixes before, over the same files.
        let mut run = vec!["test", "--quiet", "--no-fail-fast", "--lib", "--bins"];
        let tests = names(&folder.join("tests"));
        if let Some(test) = tests.iter().find(|name| stage_number(stem(name)) == Some(last)) {
            run.extend(["--test", stem(test)]);
        }
        let done =
            cargo(&folder, &target, &["test", "--quiet", "--no-run", "--lib", "--bins", "--tests"])
                .and_then(|()| cargo(&folder, &target, &run));
        match done {
            Ok(()) => println!("stages 1 to {last}: good"),
            Err(why) => {
                println!("stages 1 to {last}: BROKEN");
                broken.push(format!("stages 1 to {last}: {why}"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
