//! Cuts the tree of stages 1 to N from the whole tree.
//!
//! Each prefix is made by deleting: files, and whole lines in `src/lib.rs` and
//! `src/commands.rs` and `src/cli.rs`, and in those folders the lines that end with `plugged in`
//! and name something that is gone. Nothing is rewritten. `src/actors` is in every prefix, since
//! the tests talk to it.
//!
//! `tests/prefixes.rs` uses this file as well: so a starter is cut exactly as the prefixes that
//! are tested. It uses nothing but std.

use std::fs;
use std::io::{Error, Result};
use std::path::Path;

/// Returns 4 for `s04_handshake`.
pub fn stage_number(module: &str) -> Option<usize> {
    let (number, subject) = module.strip_prefix('s')?.split_once('_')?;
    (number.len() == 2 && !subject.is_empty()).then(|| number.parse().ok())?
}

/// Returns the names in a folder, sorted. A folder that cannot be read has none.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Returns `peers` for `peers.rs`.
pub fn stem(name: &str) -> &str {
    name.strip_suffix(".rs").unwrap_or(name)
}

/// Reads a text; an error names the file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(at(path))
}

/// Copies a file or a folder with all that is in it. What is not there is passed over.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).map_err(at(to))?;
        for name in names(from) {
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else if from.is_file() {
        fs::copy(from, to).map_err(at(from))?;
    }
    Ok(())
}

/// Removes a file or a folder with all that is in it.
pub fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(at(path))
}

/// Puts a path before an error.
fn at(path: &Path) -> impl FnOnce(Error) -> Error {
    move |error| Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The folders whose files name their stage in their first line, each with a parent of the same
/// name.
const COMMAND_LINE: [&str; 2] = ["src/commands", "src/cli"];

/// The last stage that the simulator needs. From this one on a prefix has it: there it shows what a
/// learner's choking does to a swarm.
const SIMULATED: usize = 17;

/// What a prefix has besides stages, tests, documents and its manifest.
const BESIDES: [&str; 7] =
    ["Cargo.lock", "README.md", "rustfmt.toml", "clippy.toml", ".cargo", "src", "tests/support"];

/// Makes the prefix of stages 1 to `last` in a folder, which is emptied before.
///
/// # Errors
/// If a file cannot be read or written, or a command's first line names no stage.
pub fn make_prefix(root: &Path, last: usize, folder: &Path) -> Result<()> {
    if folder.exists() {
        remove(folder)?;
    }
    for part in ["tests", "docs"] {
        fs::create_dir_all(folder.join(part)).map_err(at(folder))?;
    }
    for name in BESIDES {
        copy(&root.join(name), &folder.join(name))?;
    }
    // The program has the chapters inside.
    for name in names(&root.join("docs")).iter().filter(|name| name.ends_with(".md")) {
        copy(&root.join("docs").join(name), &folder.join("docs").join(name))?;
    }
    let gone = cut_stages(folder, last)?;
    for parent in COMMAND_LINE {
        delete_plugged_in(&folder.join(parent), &gone)?;
    }
    for name in names(&root.join("tests")) {
        if stage_number(stem(&name)).is_some_and(|number| number <= last) {
            copy(&root.join("tests").join(&name), &folder.join("tests").join(&name))?;
        }
    }
    let manifest = cut_manifest(&read(&root.join("Cargo.toml"))?, folder);
    fs::write(folder.join("Cargo.toml"), manifest).map_err(at(folder))
}

/// Deletes the modules of later stages, and those above all stages; returns their names.
fn cut_stages(folder: &Path, last: usize) -> Result<Vec<String>> {
    let mut gone = Vec::new();
    for name in names(&folder.join("src")) {
        let module = stem(&name);
        let path = folder.join("src").join(&name);
        let stays = match stage_number(module) {
            Some(number) => number <= last,
            None if module == "report" => command_stage(&path)?.is_some_and(|stage| stage <= last),
            None if ["simulate", "offspring"].contains(&module) => SIMULATED <= last,
            None => ["lib", "main", "cli", "commands", "actors"].contains(&module),
        };
        if !stays {
            remove(&path)?;
            gone.push(module.to_owned());
        }
    }
    delete_lines(&folder.join("src/lib.rs"), |line| {
        gone.iter().any(|module| has_word(line, module))
    })?;
    cut_chapters(&folder.join("src/lib.rs"), last)?;
    for parent in COMMAND_LINE {
        cut_modules(&folder.join(parent), last, &mut gone)?;
    }
    Ok(gone)
}

/// Deletes what makes doctests of later chapters: their code needs later stages.
fn cut_chapters(map: &Path, last: usize) -> Result<()> {
    let text = read(map)?;
    let is_later = |part: &&str| {
        let number = part.split("docs/").nth(1).and_then(|name| name.split('-').next());
        part.contains("cfg(doctest)")
            && number.and_then(|number| number.parse::<usize>().ok()).is_some_and(|n| n > last)
    };
    let kept: Vec<&str> = text.trim_end().split("\n\n").filter(|part| !is_later(part)).collect();
    fs::write(map, kept.join("\n\n") + "\n").map_err(at(map))
}

/// Deletes the lines of a file for which `cut` holds.
fn delete_lines(path: &Path, cut: impl Fn(&str) -> bool) -> Result<()> {
    let text = read(path)?;
    let kept: Vec<&str> = text.lines().filter(|line| !cut(line)).collect();
    fs::write(path, kept.join("\n") + "\n").map_err(at(path))
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The stage of a command file, from its first line. `None` is the lab and the trace.
fn command_stage(path: &Path) -> Result<Option<usize>> {
    let text = read(path)?;
    let first = text.lines().next().unwrap_or_default();
    let place =
        first.rsplit_once('(').and_then(|(_, place)| place.split_once(')')).map(|(place, _)| place);
    let number = place.and_then(|place| place.strip_prefix("stage ")?.parse().ok());
    match (place, number) {
        (Some("lab" | "trace" | "grade"), _) => Ok(None),
        (Some("every stage"), _) => Ok(Some(0)),
        (Some("simulate"), _) => Ok(Some(SIMULATED)),
        (_, Some(number)) => Ok(Some(number)),
        _ => Err(Error::other(format!(
            "{}: the first line is to name a stage: {first}",
            path.display()
        ))),
    }
}

/// The manifest without the test and bench targets whose files are gone, and as
/// a workspace of its own: it may lie inside another crate's folder.
fn cut_manifest(manifest: &str, folder: &Path) -> String {
    let mut sections: Vec<String> = vec![String::new()];
    for line in manifest.lines() {
        if line.starts_with('[') {
            sections.push(String::new());
        }
        if let Some(last) = sections.last_mut() {
            *last += line;
            *last += "\n";
        }
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

/// Deletes the modules in a folder that belong to later stages, with their children and their
/// lines in the parent.
fn cut_modules(parent: &Path, last: usize, gone: &mut Vec<String>) -> Result<()> {
    for name in names(parent).into_iter().filter(|name| name.ends_with(".rs")) {
        let path = parent.join(&name);
        let children = path.with_extension("");
        if command_stage(&path)?.is_some_and(|stage| stage <= last) {
            cut_modules(&children, last, gone)?;
            continue;
        }
        remove(&path)?;
        if children.is_dir() {
            remove(&children)?;
        }
        let module = stem(&name);
        delete_lines(&parent.with_extension("rs"), |line| {
            let line = line.trim().trim_start_matches("pub ").trim_start_matches("mod ");
            line.strip_suffix([',', ';']) == Some(module)
        })?;
        gone.push(module.to_owned());
    }
    Ok(())
}

/// Deletes the lines of a module and its children that end with `plugged in` and name what is gone.
fn delete_plugged_in(parent: &Path, gone: &[String]) -> Result<()> {
    delete_lines(&parent.with_extension("rs"), |line| {
        // `// s03_tracker is plugged in` names it; `// plugged in` does not, and any word may.
        let named = line.strip_suffix(" is plugged in").and_then(|line| line.rsplit(' ').next());
        let names = named.unwrap_or(line);
        line.ends_with("plugged in") && gone.iter().any(|module| has_word(names, module))
    })?;
    for name in names(parent).iter().filter(|name| name.ends_with(".rs")) {
        delete_plugged_in(&parent.join(stem(name)), gone)?;
    }
    Ok(())
}
