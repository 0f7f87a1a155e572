//! `make docs`: what a transcript prints now takes the place of what the document says.
//!
//! An output that means the same is not touched, down to the number of an error. Of one that
//! does not, all lines are those of one run: times of two runs below each other would tell of
//! a conversation that never was. Only lines that have no order keep the one they are
//! written in. Outputs in other blocks (`text`, `json example`) are nobody's but yours.

use super::markdown::parse;
use super::transcripts::{check, settled, start_lab};

/// The lines below a command, and what stands there from now on.
pub struct Change {
    /// Counted from 1.
    pub first: usize,
    pub lines_there: usize,
    pub lines: Vec<String>,
}

/// What is printed, to stand in the place of what is there.
pub fn fresh(there: &[String], printed: &str, any_order: bool) -> Vec<String> {
    let mut lines: Vec<String> =
        printed.lines().filter(|line| settled(line).is_some()).map(aligned).collect();
    for line in &lines {
        assert!(
            !line.starts_with("$ ") && !line.starts_with("```"),
            "it would be taken for something else: {line}"
        );
    }
    if any_order {
        lines.sort_by_key(|line| {
            there.iter().position(|old| settled(old) == settled(line)).unwrap_or(there.len())
        });
    }
    lines
}

/// A line of a trace with its place in its column again: an address may have become shorter.
fn aligned(line: &str) -> String {
    match line.rsplit_once(" [stage ") {
        Some((head, place)) if line.starts_with('#') => {
            format!("{:<100} [stage {place}", head.trim_end())
        }
        _ => line.to_owned(),
    }
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
$ printf 'a (os error 7)\n#0001 +0.0050s  --- somebody   dialing\n'
a (os error 111)
#0001 +0.0001s  --- somebody dialing
$ printf '#0001 +0.0050s  --- A   dialing\n#0002 +0.0051s  --- A   connected\n#0003 +0.0052s  --- A   closed\n'
#0001 +0.0201s  --- A   dialing
#0002 +0.0202s  --- A   there
#0003 +0.0203s  --- A   closed
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
a (os error 7)
b (os error 8)
$ printf 'a (os error 7)\n#0001 +0.0050s  --- somebody   dialing\n'
a (os error 111)
#0001 +0.0001s  --- somebody dialing
$ printf '#0001 +0.0050s  --- A   dialing\n#0002 +0.0051s  --- A   connected\n#0003 +0.0052s  --- A   closed\n'
#0001 +0.0050s  --- A   dialing
#0002 +0.0051s  --- A   connected
#0003 +0.0052s  --- A   closed
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
fn the_place_in_a_line_of_a_trace_keeps_its_column() {
    let printed = "#0001 +0.0050s  OUT -> 127.0.0.2:6881   handshake, 68 bytes   [stage 4, BEP 3] (thread ask)";
    let lines = fresh(&[], printed, false);
    assert_eq!(lines[0].find("[stage 4"), Some(101), "{lines:?}");
    assert!(lines[0].ends_with(" [stage 4, BEP 3] (thread ask)"), "{lines:?}");
}

#[test]
fn a_stale_output_is_rewritten_and_nothing_else() {
    let lab = start_lab(false);
    let check = |text| check(&parse("page.md".into(), text), &lab);
    let changes: Vec<Change> = check(STALE).into_iter().map(|wrong| wrong.change).collect();
    assert_eq!(
        changes.len(),
        6,
        "the address, the exit code and what differs in its times only are as they were"
    );
    assert_eq!(rewritten(STALE, &changes), FRESH);
    assert!(check(FRESH).is_empty(), "what was written is what is compared");
}
