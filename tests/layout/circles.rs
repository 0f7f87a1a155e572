//! No two modules of `src` import each other, not even by way of others.
//!
//! In a circle no file can be read first. What counts as one, and why:
//!
//! * **A file and its children are one module to everybody else.** The parent declares them and may
//!   re-export what is in them, so whoever imports from one of them imports from the whole. A circle of
//!   two such families is a circle even where no two of their files import each other.
//! * **Inside a family the parent does not count.** It has to name its children, and a child may use
//!   what its parent defines: that is how Rust divides a file. Its children are compared with each
//!   other, and the children of each of them.
//! * **A re-export is followed to where the name is defined.** Otherwise two siblings could import each
//!   other through their parent, and nobody would see it.
//! * **Tests inside a file do not count.** They may look at anything.
//!
//! `lib.rs` and `main.rs` are the parents of everything.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::tree::{assert_none, code, read, root, sources};

/// A module or a name in one: `["lab", "seeder", "Fault"]`.
type Name = Vec<String>;

/// A file's module, and what its imports bind.
struct File {
    /// The paths that it uses, from the root of `src`.
    uses: Vec<Name>,
    /// The names that its `use` lines bring in, with the paths they lead to.
    binds: BTreeMap<String, Name>,
}

/// The text of a file up to its tests, on one line, without comments and what is in strings.
fn plain(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines: Vec<String> = code(before_tests).into_iter().map(|(_, line)| line).collect();
    let (mut plain, mut in_string, mut escaped) = (String::new(), false, false);
    for c in lines.join(" ").chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' if !plain.ends_with('\'') => in_string = !in_string,
            c if !in_string => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// The paths of a `use` tree: `a::{b, c::{self, d as e}}` is `a::b`, `a::c` and `a::c::d as e`.
fn leaves(tree: &str, before: &str) -> Vec<String> {
    let (mut found, mut depth, mut start) = (Vec::new(), 0, 0);
    let ends = tree.char_indices().chain([(tree.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = tree[start..at].trim();
                start = at + 1;
                match part.split_once('{') {
                    Some((head, group)) => found.extend(leaves(
                        group.strip_suffix('}').unwrap_or(group),
                        &format!("{before}{head}"),
                    )),
                    None if !part.is_empty() => {
                        found.push(format!("{before}{part}").replace("::self", ""))
                    }
                    None => {}
                }
            }
            _ => {}
        }
    }
    found
}

/// Paths such as `super::rate::Rate` in code that is no `use` line.
fn paths(code: &str) -> Vec<&str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .map(|word| word.trim_matches(':'))
        .filter(|word| word.contains("::"))
        .collect()
}

/// The path from the root of `src`, if it does not lead out of this crate. `in_scope` returns what
/// a first word means that is no keyword.
fn absolute(
    path: &str,
    module: &[String],
    in_scope: impl Fn(&str) -> Option<Name>,
) -> Option<Name> {
    let mut words = path.split("::").map(str::to_owned);
    let first = words.next()?;
    let mut from: Name = match first.as_str() {
        "crate" | "piecemeal" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        other => in_scope(other)?,
    };
    for word in words {
        if word == "super" {
            from.pop()?;
        } else {
            from.push(word);
        }
    }
    Some(from)
}

fn module(path: &Path) -> Name {
    let path = path.strip_prefix("src").expect("it is a source").with_extension("");
    let name: Name = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if name == ["lib"] || name == ["main"] { Vec::new() } else { name }
}

/// Reads what each module uses. The two roots become one.
fn files() -> BTreeMap<Name, File> {
    let sources = sources("src");
    let modules: BTreeSet<Name> = sources.iter().map(|path| module(path)).collect();
    let mut files: BTreeMap<Name, File> = BTreeMap::new();
    for path in &sources {
        let (name, text) = (module(path), plain(&read(&root().join(path))));
        let file = files
            .entry(name.clone())
            .or_insert_with(|| File { uses: Vec::new(), binds: BTreeMap::new() });
        let child = |word: &str| {
            let child = [name.as_slice(), &[word.to_owned()]].concat();
            modules.contains(&child).then_some(child)
        };
        let mut rest = String::new();
        for statement in text.split(';') {
            let tree = statement
                .rsplit_once("use ")
                .filter(|(before, _)| before.is_empty() || before.ends_with(char::is_whitespace));
            let Some((before, tree)) = tree else {
                rest += &format!("{statement};");
                continue;
            };
            rest += before;
            for leaf in leaves(tree, "") {
                let (path, alias) = leaf.split_once(" as ").unwrap_or((&leaf, ""));
                let Some(used) = absolute(path.trim(), &name, child) else { continue };
                let bound =
                    if alias.is_empty() { used.last().cloned() } else { Some(alias.into()) };
                bound.into_iter().for_each(|bound| drop(file.binds.insert(bound, used.clone())));
                file.uses.push(used);
            }
        }
        let in_scope = |word: &str| file.binds.get(word).cloned().or_else(|| child(word));
        let inline: Vec<Name> =
            paths(&rest).iter().filter_map(|path| absolute(path, &name, in_scope)).collect();
        file.uses.extend(inline);
    }
    files
}

/// The module that defines what a path leads to, through re-exports.
fn defined_in(path: &[String], files: &BTreeMap<Name, File>, steps: usize) -> Option<Name> {
    let known = (0..=path.len()).rev().find(|length| files.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(known);
    let exported = rest.first().and_then(|name| files[module].binds.get(name));
    match exported {
        Some(target) if steps > 0 && target.as_slice() != path => {
            defined_in(&[target.as_slice(), &rest[1..]].concat(), files, steps - 1)
        }
        _ => Some(module.to_vec()),
    }
}

/// The modules that can be reached from one, itself only if there is a way back.
fn reached(from: &Name, uses: &BTreeMap<Name, BTreeSet<Name>>) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&Name> = vec![from];
    while let Some(module) = next.pop() {
        for used in uses.get(module).into_iter().flatten() {
            if found.insert(used.clone()) {
                next.push(used);
            }
        }
    }
    found
}

/// The circles among the children of each module, as `a <-> b <-> c`.
fn circles(files: &BTreeMap<Name, File>) -> Vec<String> {
    // For each pair of modules, the children of their nearest common parent that they belong to.
    let mut uses: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
    for (module, file) in files {
        for used in file.uses.iter().filter_map(|path| defined_in(path, files, 8)) {
            let shared = module.iter().zip(&used).take_while(|(one, other)| one == other).count();
            if shared < module.len() && shared < used.len() {
                let (one, other) = (module[..=shared].to_vec(), used[..=shared].to_vec());
                uses.entry(one).or_default().insert(other);
            }
        }
    }
    let circle = |module: &Name| -> BTreeSet<Name> {
        let back = |other: &Name| reached(other, &uses).contains(module);
        reached(module, &uses).into_iter().filter(back).collect()
    };
    let circles: BTreeSet<BTreeSet<Name>> =
        uses.keys().map(circle).filter(|circle| !circle.is_empty()).collect();
    let shown = |circle: &BTreeSet<Name>| {
        circle.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" <-> ")
    };
    circles.iter().map(shown).collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let files = files();
    assert!(files.len() > 200, "the sources are read");
    let used: usize = files.values().map(|file| file.uses.len()).sum();
    assert!(used > 1_000, "their imports are read: {used}");
    let found = circles(&files);
    assert_none("circles of imports", &found);
}
