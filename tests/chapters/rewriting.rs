//! `make docs`: what a transcript prints now takes the place of what the document says.
//!
//! Only lines that say something else are touched. What the comparison passes over, such
//! as the number of an error, stays as it is written, and so does the order of lines that
//! have none. Outputs in other blocks (`text`, `json example`) are nobody's but yours.

use super::markdown::parse;
use super::transcripts::{check, settled, start_lab};

/// The lines below a command, and what stands there from now on.
pub struct Change {
    /// Counted from 1.
    pub first: usize,
    pub lines_there: usize,
    pub lines: Vec<String>,
}

/// What is printed, in the document's words where it means the same.
pub fn merged(there: &[String], printed: &str, any_order: bool) -> Vec<String> {
    let mut unused = there.to_vec();
    let in_its_words = |line: &str| {
        let meaning = settled(line)?;
        assert!(!line.starts_with("$ ") && !line.starts_with("```"), "it would be taken for something else: {line}");
        let same = unused.iter().position(|old| settled(old).as_ref() == Some(&meaning));
        Some(same.map_or_else(|| line.to_owned(), |at| unused.remove(at)))
    };
    let mut lines: Vec<String> = printed.lines().filter_map(in_its_words).collect();
    if any_order {
        lines.sort_by_key(|line| there.iter().position(|old| old == line).unwrap_or(there.len()));
    }
    lines
}

/// The text with the changes in it. They are in the order of their lines.
pub fn rewritten(text: &str, changes: &[Change]) -> String {
    let mut lines: Vec<&str> = text.split('\n').collect();
    for change in changes.iter().rev() {
        let from = change.first - 1;
        lines.splice(from..from + change.lines_there, change.lines.iter().map(String::as_str));
    }
    lines.join("\n")
}

const STALE: &str = r#"# A page

```console
$ printf 'one\ntwo\n'
one
deux
three
$ printf 'a (os error 7)\nb (os error 8)\n'
a (os error 111)
c
$ echo 'nothing is below' \
    'this one'
$ echo nothing but; echo 127.0.0.2:6881
nothing but
127.0.0.2:6881
```

```text
$ echo text is not run
it is not
```

```console any-order
$ printf '1\n2\n4\n3\n'
3
2
9
1
$ exit 3
gone
$ echo $?
3
```

The end."#;

const FRESH: &str = r#"# A page

```console
$ printf 'one\ntwo\n'
one
two
$ printf 'a (os error 7)\nb (os error 8)\n'
a (os error 111)
b (os error 8)
$ echo 'nothing is below' \
    'this one'
nothing is below this one
$ echo nothing but; echo 127.0.0.2:6881
nothing but
127.0.0.2:6881
```

```text
$ echo text is not run
it is not
```

```console any-order
$ printf '1\n2\n4\n3\n'
3
2
1
4
$ exit 3
$ echo $?
3
```

The end."#;

#[test]
fn a_stale_output_is_rewritten_and_nothing_else() {
    let lab = start_lab();
    let check = |text| check(&parse("page.md".into(), text), &lab);
    let changes: Vec<Change> = check(STALE).into_iter().map(|wrong| wrong.change).collect();
    assert_eq!(changes.len(), 5, "the address and the exit code are as they were");
    assert_eq!(rewritten(STALE, &changes), FRESH);
    assert!(check(FRESH).is_empty(), "what was written is what is compared");
}
