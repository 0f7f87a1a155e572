//! Diagrams: all can be drawn, and what cannot be drawn is found.

mod support;

use piecemeal_book::diagram::parse;
use piecemeal_book::drawing::svg;
use support::crate_tree;

#[test]
fn every_diagram_can_be_drawn() {
    let mut wrong = Vec::new();
    let mut drawn = 0;
    for (path, document) in crate_tree().documents {
        for (line, lines) in document.blocks("mermaid") {
            match parse(&lines, line + 1) {
                Ok(diagram) => {
                    let svg = svg(&diagram, line);
                    assert!(!svg.contains("NaN") && !svg.contains("\n\n"), "{path}:{line}: {svg}");
                    drawn += 1;
                }
                Err(faults) => {
                    wrong.extend(faults.iter().map(|(line, why)| format!("{path}:{line}: {why}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "diagrams that cannot be drawn:\n  {}", wrong.join("\n  "));
    assert!(drawn >= 9, "only {drawn} diagrams");
}

#[test]
fn the_chapters_with_a_conversation_draw_it() {
    let tree = crate_tree();
    for name in
        ["04-handshake", "08-metadata", "09-pieces", "15-swarm", "16-uploading", "17-seeding"]
    {
        let chapter = &tree.documents[&format!("docs/{name}.md")];
        assert!(!chapter.blocks("mermaid").is_empty(), "docs/{name}.md has no diagram");
    }
}

/// The mistakes in a diagram of two, with the lines after the declarations counted from 4.
fn faults(text: &str) -> Vec<String> {
    let lines: Vec<&str> = ["sequenceDiagram", "participant we", "participant they"]
        .into_iter()
        .chain(text.lines())
        .collect();
    let faults = parse(&lines, 1).err().unwrap_or_default();
    faults.into_iter().map(|(line, why)| format!("{line}: {why}")).collect()
}

#[test]
fn what_is_outside_of_the_language_is_found_with_its_line() {
    let cases = [
        ("", "1: a diagram without an arrow"),
        ("we->>them: hello", "4: \"them\" is no participant: we->>them: hello"),
        ("we->>they hello", "4: an arrow has a colon before its text: we->>they hello"),
        ("we->>they:", "4: it says nothing: we->>they:"),
        ("we->they: hello", "4: there is no arrow in it: we->they: hello"),
        ("we->>we: hello", "4: an arrow leads to another participant: we->>we: hello"),
        ("we->>they: a; b", "4: `;` and `#` have a meaning of their own: we->>they: a; b"),
        ("we->>they: hello\nend", "5: nothing is open: end"),
        ("loop twice\nwe->>they: hello", "1: `loop` without an end"),
        ("opt maybe\nwe->>they: hello\nelse no\nend", "6: there is no alt around it: else no"),
        (
            "we->>they: hello\nNote we: hello",
            "5: a note is over, right of or left of somebody: Note we: hello",
        ),
        (
            "we->>they: hello\nparticipant they",
            "5: \"they\" is no new, plain name: participant they",
        ),
        (
            "we->>they: hello\nactivate they",
            "5: an arrow has a colon before its text: activate they",
        ),
    ];
    for (text, expected) in cases {
        assert!(faults(text).contains(&expected.to_owned()), "{text:?}: {:?}", faults(text));
    }
    assert_eq!(
        faults("we->>they: hello\nloop twice\nthey-->>we: hello\nNote over we,they: done\nend"),
        Vec::<String>::new()
    );
    assert_eq!(
        parse(&["graph TD"], 7).err().unwrap_or_default()[0],
        (7, "a diagram begins with `sequenceDiagram`".to_owned())
    );
}

/// The numbers are coordinates: look at `tests/diagram.svg` after a change.
#[test]
fn a_drawing_is_as_it_was_when_somebody_looked_at_it() {
    let lines = "sequenceDiagram\nparticipant we as we, who dial\nparticipant they\nwe->>they: hello & welcome\n\
        alt they know us\nthey-->>we: a rather long answer that needs more than a line\n\
        Note over we,they: <both>\nelse they do not\nNote right of they: silence\nend\npar one\nwe->>they: a\nand another\nthey->>we: b\nend";
    let lines: Vec<&str> = lines.lines().collect();
    let made = svg(&parse(&lines, 1).expect("it is well formed"), 3) + "\n";
    let path = support::root().join("docs/book/tests/diagram.svg");
    if std::env::var_os("WRITE_BOOK").is_some() {
        std::fs::write(&path, &made).expect("it can be written");
    }
    assert_eq!(made, std::fs::read_to_string(&path).unwrap_or_default(), "WRITE_BOOK=1 writes it");
    for part in [
        "hello &amp; welcome",
        "&lt;both&gt;",
        "<title",
        "<desc",
        "Either: they know us.",
        "Or: they do not.",
        "Meanwhile: another.",
    ] {
        assert!(made.contains(part), "{part} is not in {made}");
    }
}
