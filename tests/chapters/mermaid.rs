//! Diagrams: a page with a broken one shows an error in its place, and only when it is
//! looked at in a browser. What is allowed here is the part of Mermaid that the
//! chapters use; each line has to be one of
//!
//! | line | |
//! |---|---|
//! | `participant we as we, who dial` | before its first arrow |
//! | `we->>they: text`, `we-->>they: text` | both declared, and something is said |
//! | `Note over we: text`, `Note over we,they: text`, `Note right of we: text` | |
//! | `loop text`, `opt text`, `alt text`, `else text`, `par text`, `and text`, `end` | closed in order |

use super::markdown::{Block, documents};

/// What is wrong with a line, given who is known and what is open.
fn line(line: &str, known: &mut Vec<String>, open: &mut Vec<String>) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let texts = |text: &str| match text.trim() {
        "" => Err("it says nothing".to_owned()),
        // `;` ends a statement, `#` begins an escape.
        text if text.contains([';', '#']) => {
            Err("`;` and `#` have a meaning of their own".to_owned())
        }
        _ => Ok(()),
    };
    let are_known = |names: &str, known: &[String]| {
        let stranger =
            names.split(',').map(str::trim).find(|name| !known.iter().any(|one| one == name));
        stranger.map_or(Ok(()), |name| Err(format!("{name:?} is no participant")))
    };
    match word {
        "participant" => {
            let (name, shown) = rest.split_once(" as ").unwrap_or((rest, rest));
            let plain =
                !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric());
            if !plain || name == "end" || known.iter().any(|one| one == name) {
                return Err(format!("{name:?} is no new, plain name"));
            }
            known.push(name.to_owned());
            texts(shown)
        }
        "Note" => {
            let (place, text) = rest.split_once(':').ok_or("a note has a colon before its text")?;
            let names =
                ["over ", "right of ", "left of "].iter().find_map(|side| place.strip_prefix(side));
            are_known(names.ok_or("a note is over, right of or left of somebody")?, known)
                .and(texts(text))
        }
        "loop" | "opt" | "alt" | "par" => {
            open.push(word.to_owned());
            texts(rest)
        }
        "else" | "and" => {
            let wanted = if word == "else" { "alt" } else { "par" };
            let fits = open.last().is_some_and(|last| last == wanted);
            if fits { texts(rest) } else { Err(format!("there is no {wanted} around it")) }
        }
        "end" if rest.is_empty() => {
            open.pop().map(|_| ()).ok_or_else(|| "nothing is open".to_owned())
        }
        _ => {
            let (ends, text) =
                line.split_once(':').ok_or("an arrow has a colon before its text")?;
            let (from, to) = ends
                .split_once("-->>")
                .or_else(|| ends.split_once("->>"))
                .ok_or("there is no arrow in it")?;
            are_known(from, known).and(are_known(to, known)).and(texts(text))
        }
    }
}

fn faults(block: &Block) -> Vec<String> {
    let (mut known, mut open, mut arrows) = (Vec::new(), Vec::new(), 0);
    let mut faults = Vec::new();
    let mut lines = (block.line + 1..).zip(block.lines.iter().map(|line| line.trim()));
    if lines.next().is_none_or(|(_, first)| first != "sequenceDiagram") {
        faults.push(format!("{}: it begins with `sequenceDiagram`", block.line + 1));
    }
    for (number, text) in lines {
        arrows += usize::from(text.contains("->>"));
        if let Err(why) = line(text, &mut known, &mut open) {
            faults.push(format!("{number}: {why}: {text}"));
        }
    }
    if !open.is_empty() || arrows == 0 {
        faults.push(format!("{}: {open:?} without an end, {arrows} arrows", block.line));
    }
    faults
}

#[test]
fn every_diagram_is_well_formed() {
    let mut wrong = Vec::new();
    for document in documents() {
        let faults =
            document.blocks.iter().filter(|block| block.language() == "mermaid").flat_map(faults);
        wrong.extend(faults.map(|fault| format!("{}:{fault}", document.path.display())));
    }
    assert!(wrong.is_empty(), "diagrams that would not be drawn:\n  {}", wrong.join("\n  "));
}

#[test]
fn the_chapters_with_a_conversation_draw_it() {
    for name in
        ["04-handshake", "08-metadata", "09-pieces", "15-swarm", "16-uploading", "17-seeding"]
    {
        let document =
            documents().into_iter().find(|document| document.path.ends_with(format!("{name}.md")));
        let document = document.unwrap_or_else(|| panic!("there is no docs/{name}.md"));
        assert!(
            document.blocks.iter().any(|block| block.language() == "mermaid"),
            "docs/{name}.md has no diagram"
        );
    }
}

#[test]
fn a_broken_diagram_is_found() {
    let is_found = |text: &str| {
        let lines = ["sequenceDiagram", "participant we", "participant they"]
            .into_iter()
            .chain(text.lines());
        let lines = lines.map(str::to_owned).collect();
        !faults(&Block { kind: "mermaid".to_owned(), line: 1, lines }).is_empty()
    };
    assert!(!is_found(
        "we->>they: hello\nloop twice\nthey-->>we: hello\nNote over we,they: done\nend"
    ));
    let broken = [
        "",
        "we->>them: hello",
        "we->>they hello",
        "we->>they:",
        "we->they: hello",
        "we->>they: a; b",
        "we->>they: hello\nend",
        "loop twice\nwe->>they: hello",
        "opt maybe\nwe->>they: hello\nelse\nend",
        "we->>they: hello\nNote we: hello",
        "we->>they: hello\nparticipant they",
    ];
    let passed: Vec<&&str> = broken.iter().filter(|text| !is_found(text)).collect();
    assert!(passed.is_empty(), "{passed:?}");
}
