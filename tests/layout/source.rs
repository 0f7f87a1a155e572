//! Rules for all of the source: imports, module names, prints, the map.

use super::tree::{assert_none, code, has_word, names, read, root, sources, stage_number};
use std::path::{Path, PathBuf};

/// The lines of code in these files for which `wrong` holds.
fn lines(files: &[PathBuf], wrong: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in code(&read(&root().join(file))) {
            if wrong(file, line.trim()) {
                found.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
        }
    }
    found
}

/// The library: stages and the unnumbered modules above them.
fn library() -> Vec<PathBuf> {
    let binary = |path: &PathBuf| {
        path.starts_with("src/commands")
            || path.starts_with("src/cli")
            || ["src/main.rs", "src/cli.rs", "src/commands.rs"].iter().any(|p| path == Path::new(p))
    };
    sources("src").into_iter().filter(|path| !binary(path)).collect()
}

#[test]
fn nothing_is_imported_by_a_glob() {
    let globs = lines(&sources("src"), |_, line| {
        let import =
            line.starts_with("use ") || line.starts_with("pub use ") || line.starts_with("pub(");
        import
            && (line.ends_with("::*;")
                || line.contains("::{*")
                || line.contains("::*,")
                || line.contains("::*}"))
            && line != "use super::*;"
    });
    assert_none(
        "a glob hides where a name comes from (`use super::*` in a test module is fine)",
        &globs,
    );
}

#[test]
fn use_super_glob_stands_only_in_test_modules() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let mut in_tests = false;
        for (number, line) in code(&read(&root().join(&file))) {
            in_tests |= line.contains("#[cfg(test)]") || line.contains("mod tests");
            if line.trim() == "use super::*;" && !in_tests {
                wrong.push(format!("{}:{number}", file.display()));
            }
        }
    }
    assert_none("`use super::*` outside of a test module", &wrong);
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let banned =
        ["common", "utils", "util", "types", "prelude", "errors", "helpers", "misc", "mod"];
    let wrong: Vec<String> = sources("src")
        .iter()
        .filter(|path| path.file_stem().is_some_and(|stem| banned.iter().any(|b| stem == *b)))
        .map(|path| path.display().to_string())
        .collect();
    assert_none("banned module names", &wrong);
}

#[test]
fn modules_lie_where_their_name_says_and_are_safe() {
    let wrong = lines(&sources("src"), |_, line| {
        line.starts_with("#[path") || line.contains("/*") && !line.contains('"')
    });
    assert_none("`#[path]` and block comments", &wrong);
    let wrong = lines(&sources("src"), |_, line| has_word(line, "unsafe"));
    assert_none("`unsafe`", &wrong);
    let manifest = read(&root().join("Cargo.toml"));
    assert!(
        manifest.lines().any(|l| l.trim() == r#"unsafe_code = "forbid""#),
        "Cargo.toml forbids unsafe code"
    );
}

#[test]
fn the_library_prints_nothing() {
    let wrong = lines(&library(), |_, line| {
        ["print!", "println!", "eprint!", "eprintln!", "dbg!"]
            .iter()
            .any(|m| has_word(line, &m[..m.len() - 1]) && line.contains(m))
    });
    assert_none("the library has no terminal", &wrong);
}

#[test]
fn the_library_does_not_know_the_binary() {
    let wrong = lines(&library(), |_, line| {
        line.contains("crate::commands") || line.contains("crate::cli")
    });
    assert_none("the library uses the binary", &wrong);
}

/// The actors are a second opinion on what the stages do, so they share nothing with them.
#[test]
fn the_actors_use_std_two_hashes_and_each_other_only() {
    let actors: Vec<PathBuf> =
        sources("src").into_iter().filter(|path| path.starts_with("src/actors")).collect();
    assert!(actors.len() > 10, "the actors are in src/actors: {actors:?}");
    let files = [vec![PathBuf::from("src/actors.rs")], actors].concat();
    let wrong = lines(&files, |file, line| {
        // The paths of an import and of code alike, by their first word.
        let foreign = ["hex::", "urlencoding::", "rand::", "serde", "ureq::", "httparse::"]
            .iter()
            .any(|name| line.contains(name));
        let import = line.strip_prefix("pub use ").or(line.strip_prefix("use "));
        let first = import.and_then(|path| path.split(['{', ':', ';']).next()).unwrap_or("std");
        let own = match file == Path::new("src/actors.rs") {
            true => root().join("src/actors").join(format!("{first}.rs")).is_file(),
            false => first == "super",
        };
        // `actors.rs` has two levels less above it than a file in `actors/peer_talk`.
        let levels = file.iter().count() - "src/actors".split('/').count();
        foreign
            || has_word(line, "crate")
            || has_word(line, "piecemeal") && !line.contains('"')
            || line.matches("super::").count() > levels
            || !(own || ["std", "sha1", "sha2"].contains(&first))
    });
    assert_none("the actors import a stage, a library, or another part of the crate", &wrong);
}

/// What panics on purpose. A client must not be able to end the thread of an actor.
#[test]
fn the_actors_do_not_panic() {
    let actors: Vec<PathBuf> =
        sources("src").into_iter().filter(|path| path.starts_with("src/actors")).collect();
    let panics = [".expect(", ".unwrap()", "panic!", "assert!", "assert_eq!", "unreachable!"];
    let wrong = lines(&actors, |_, line| panics.iter().any(|panic| line.contains(panic)));
    assert_none("an actor may panic", &wrong);
}

#[test]
fn no_work_is_left_in_comments() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        for (number, line) in read(&root().join(&file)).lines().enumerate() {
            if ["TODO", "FIXME", "XXX", "HACK"].iter().any(|word| has_word(line, word)) {
                wrong.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none("work that belongs into an issue", &wrong);
}

#[test]
fn the_map_holds_modules_and_words_only() {
    let path = root().join("src/lib.rs");
    let wrong: Vec<String> = code(&read(&path))
        .into_iter()
        .filter(|(_, line)| {
            let line = line.trim();
            let module = line.starts_with("pub mod ") && line.ends_with(';');
            // Chapters compile as doctests; the lines that include them are part of the map.
            let attribute = line.starts_with("#[") || line.starts_with("#![");
            let doctest = line.starts_with("mod chapter")
                || line.starts_with("struct Chapter")
                || line.starts_with("mod readme");
            !(line.is_empty() || module || attribute || doctest)
        })
        .map(|(number, line)| format!("src/lib.rs:{number}: {line}"))
        .collect();
    assert_none("lib.rs is the map: documentation, attributes, `pub mod` lines", &wrong);
}

#[test]
fn the_map_names_every_module_once_and_stages_in_order() {
    let map: Vec<String> = code(&read(&root().join("src/lib.rs")))
        .into_iter()
        .filter_map(|(_, line)| {
            line.trim().strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned)
        })
        .collect();
    let numbered: Vec<&String> = map.iter().filter(|name| stage_number(name).is_some()).collect();
    assert!(numbered.is_sorted(), "stages in order: {numbered:?}");
    let mut there: Vec<String> = names("src")
        .into_iter()
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| !["lib", "main", "cli", "commands"].contains(&name.as_str()))
        .collect();
    let mut listed = map.clone();
    there.sort();
    listed.sort();
    assert_eq!(listed, there, "lib.rs and `ls src` agree");
}

#[test]
fn each_dependency_says_in_one_line_what_it_is_for() {
    let manifest = read(&root().join("Cargo.toml"));
    let mut section = "";
    let mut wrong = Vec::new();
    for (number, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]")
            && line.contains('=')
            && !line.trim_start().starts_with('#')
        {
            let reason = line.split_once('#').map(|(_, reason)| reason.trim()).unwrap_or_default();
            if reason.len() < 10 {
                wrong.push(format!("Cargo.toml:{}: {line}", number + 1));
            }
        }
    }
    assert_none("dependencies without a reason", &wrong);
}

/// Phrases that sound translated, or say less than they seem to, and what to write instead.
const BANNED: [(&str, &str); 12] = [
    ("so many", "this many, or the number of"),
    ("looks whether", "checks whether"),
    ("look whether", "check whether"),
    ("As above", "say it again, or join the two"),
    ("for ever", "forever"),
    (" anew", "again, or from the start"),
    (", too.", "also"),
    (", too,", "also"),
    (", too;", "also"),
    ("Who only", "a peer that only"),
    ("who only", "a peer that only"),
    ("dialled", "dialed: the spelling is American"),
];

#[test]
fn no_sentence_has_a_phrase_that_is_banned() {
    let mut wrong = Vec::new();
    let documents = names("docs")
        .into_iter()
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"));
    let paths = sources("src").into_iter().map(|path| path.display().to_string()).chain(documents);
    for path in paths.chain(["README.md", "Makefile"].map(str::to_owned)) {
        for (number, line) in (1..).zip(read(&root().join(&path)).lines()) {
            for (phrase, instead) in BANNED.iter().filter(|(phrase, _)| has_phrase(line, phrase)) {
                wrong.push(format!("{path}:{number}: {phrase:?} (write: {instead})"));
            }
        }
    }
    assert_none("phrases that stop a reader", &wrong);
}

/// Whether a line has a phrase that no word goes on from: "for ever" is not in "for everything".
fn has_phrase(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase)
        .any(|(at, _)| !line[at + phrase.len()..].starts_with(|next: char| next.is_alphanumeric()))
}

/// The most lines in a file, its tests and comments included: what goes beyond is about two things.
const MAX_LINES: usize = 400;

#[test]
fn comments_are_100_columns_wide() {
    // rustfmt breaks lines of code, but no comments. A row of a table and a line of an example
    // cannot be broken.
    let mut wide = Vec::new();
    for path in sources("src") {
        let mut in_example = false;
        for (number, line) in (1..).zip(read(&root().join(&path)).lines()) {
            let line = line.trim_end();
            let Some(comment) = line.trim_start().strip_prefix("//") else { continue };
            let comment = comment.trim_start_matches(['/', '!']).trim_start();
            in_example ^= comment.starts_with("```");
            let fixed = in_example || comment.starts_with('|') || comment.contains("**Run it:**");
            if !fixed && line.chars().count() > 100 {
                wide.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert_none("comments wider than 100 columns", &wide);
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for path in sources("src") {
        let lines = read(&root().join(&path)).lines().count();
        if lines > MAX_LINES {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert_none(&format!("files of more than {MAX_LINES} lines"), &long);
}
