//! Hints, made of a body.

use piecemeal_starter::diff::diff;
use piecemeal_starter::hints::hints;
use piecemeal_starter::list::{Hole, Stage};
use piecemeal_starter::matrix::Test;
use piecemeal_starter::skeleton::skeleton;

const BODY: &str = r#"
        // At the end of the buffer: what is unread moves to the front.
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start.., 0);
            self.end -= self.start;
        } else if let Some(room) = self.room() {
            return Err(room.into());
        }
        let Some(room) = self.buffer.get_mut(self.end..) else {
            panic!("no room"); // not a hint
        };
        let count = match self.stream.read(room)? {
            0 => return Err(Error::Ended),
            count if count > 7 => {
                // A read that fills the buffer says that there is more: a busy peer.
                self.busy = true;
                count
            }
            count => count,
        };
        for (at, byte) in room.iter().enumerate() {
            while at > 7 {
                break;
            }
        }
        Ok(count)
    "#;

#[test]
fn a_skeleton_has_the_branches_and_the_names() {
    assert_eq!(
        skeleton(BODY).expect("it is Rust"),
        "    if … len {
        … copy_within;
        …;
    } else if let Some(room) = … room {
        return … Err, into;
    }
    let Some(room) = … get_mut else {
        … panic!;
    };
    let count = match … read {
        0 => return … Err, Error::Ended,
        count if … => {
            …;
            …
        },
        count => …,
    };
    for (at, byte) in … iter, enumerate {
        while … {
            break;
        }
    }
    … Ok"
    );
}

fn hole(with: &[&str]) -> (Hole, Stage) {
    let hole = Hole {
        stage: 5,
        name: "fill".to_owned(),
        file: "s05_messages.rs".to_owned(),
        path: "Reader::fill".to_owned(),
        task: "Reads what there is.".to_owned(),
        minutes: 25,
        section: "Read along".to_owned(),
        with: with.iter().map(|&path| path.to_owned()).collect(),
        quiet: false,
        swarm: None,
    };
    let stage = Stage {
        number: 5,
        module: "s05_messages".to_owned(),
        chapter: "docs/05-messages.md".to_owned(),
    };
    (hole, stage)
}

#[test]
fn hints_go_from_the_task_to_the_body() {
    let (hole, stage) = hole(&[]);
    let tests = ["a", "b", "c", "d"]
        .map(|name| Test { target: "s05_messages".to_owned(), name: name.to_owned() });
    let hints = hints(&hole, &stage, &[BODY.to_owned()], &tests).expect("it is Rust");
    let titles: Vec<&str> = hints.iter().map(|hint| hint.title).collect();
    assert_eq!(
        titles,
        [
            "the task and its tests",
            "the comments of the reference",
            "its skeleton, with the names of what it calls",
            "the reference"
        ]
    );
    assert_eq!(
        hints[0].text,
        "Reads what there is.\ndocs/05-messages.md, \"Read along\"; the function is in src/s05_messages.rs\n\
         The tests that ask for it, the most telling first:\n  s05_messages a\n  s05_messages b\n  s05_messages c\n  and 1 more"
    );
    assert_eq!(
        hints[1].text,
        "// At the end of the buffer: what is unread moves to the front.\n\
         // A read that fills the buffer says that there is more: a busy peer."
    );
    assert!(hints[3].text.contains("copy_within"));
}

#[test]
fn a_hint_that_says_nothing_is_left_out_and_helpers_are_named() {
    let (hole, stage) = hole(&["word"]);
    let bodies = [
        "\n    word(7)\n".to_owned(),
        "\n    // Seven.\n    if true { 7 } else { 8 }\n".to_owned(),
    ];
    let hints = hints(&hole, &stage, &bodies, &[]).expect("it is Rust");
    assert_eq!(hints[1].text, "word\n// Seven.");
    assert!(hints[3].text.starts_with("Reader::fill\n    word(7)\n\nword\n"), "{}", hints[3].text);
    let (hole, stage) = self::hole(&[]);
    let hints =
        piecemeal_starter::hints::hints(&hole, &stage, &["7".to_owned()], &[]).expect("it is Rust");
    let titles: Vec<&str> = hints.iter().map(|hint| hint.title).collect();
    assert_eq!(
        titles,
        ["the task and its tests", "the reference"],
        "neither comments nor a skeleton"
    );
}

#[test]
fn a_difference_keeps_what_both_have() {
    let (yours, theirs) =
        ("let a = 1;\nlet b = 2;\na + b", "let a = 1;\nlet c = 2;\nlet d = 3;\na + b");
    assert_eq!(
        diff(yours, theirs),
        "  let a = 1;\n- let b = 2;\n+ let c = 2;\n+ let d = 3;\n  a + b"
    );
    assert_eq!(diff("", "x"), "+ x");
    assert_eq!(diff("x", ""), "- x");
}

#[test]
fn two_texts_with_little_in_common_are_not_woven_together() {
    let yours = "for byte in bytes {\n    push(byte);\n}\nlet end = 1;\nend";
    let theirs = "if full {\n    grow();\n}\nlet end = 1;\nfill(end)";
    // A brace in common says nothing, and one of four telling lines is too little.
    assert_eq!(
        diff(yours, theirs),
        "- for byte in bytes {\n-     push(byte);\n- }\n- let end = 1;\n- end\n\
         + if full {\n+     grow();\n+ }\n+ let end = 1;\n+ fill(end)"
    );
}
