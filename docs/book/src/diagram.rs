//! Conversations: the part of Mermaid that the chapters use, read for the check and for the drawing.
//!
//! Each line is one of
//!
//! | line | |
//! |---|---|
//! | `participant we as we, who dial` | before its first arrow |
//! | `we->>they: text`, `we-->>they: text` | two that are declared, and something is said |
//! | `Note over we: text`, `Note over we,they: text`, `Note right of we: text` | |
//! | `loop text`, `opt text`, `alt text`, `else text`, `par text`, `and text`, `end` | closed in order |
//!
//! GitHub draws more than this. What it would draw and the book would not is an error.

/// A conversation.
#[derive(Debug, Default)]
pub struct Diagram {
    /// What is written over each column, from left to right.
    pub participants: Vec<String>,
    /// What happens, from top to bottom.
    pub steps: Vec<Step>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// One says something to another.
    Arrow {
        /// The column it leaves.
        from: usize,
        /// The column it reaches.
        to: usize,
        /// Drawn with dashes: an answer.
        dashed: bool,
        /// What is said.
        text: String,
    },
    /// A remark.
    Note {
        /// The first and the last column that it is about.
        over: (usize, usize),
        /// Where it is.
        side: Side,
        /// The remark.
        text: String,
    },
    /// The beginning of a frame: `loop`, `opt`, `alt`, `par`.
    Open {
        /// Which of them.
        word: String,
        /// What it says.
        text: String,
    },
    /// The next part of a frame.
    Next {
        /// `else` or `and`.
        word: String,
        /// What it says.
        text: String,
    },
    /// The end of a frame.
    Close,
}

/// Where a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// On the columns that it is about.
    Over,
    /// To their left.
    Left,
    /// To their right.
    Right,
}

/// Reads the lines of a block. `first` is the number of the first one. Each mistake comes with the
/// number of its line.
pub fn parse(lines: &[&str], first: usize) -> Result<Diagram, Vec<(usize, String)>> {
    let mut reader = Reader::default();
    let mut faults = Vec::new();
    let mut numbered = (first..).zip(lines.iter().map(|line| line.trim()));
    if numbered.next().is_none_or(|(_, line)| line != "sequenceDiagram") {
        faults.push((first, "a diagram begins with `sequenceDiagram`".to_owned()));
    }
    for (number, line) in numbered {
        match reader.line(line) {
            Ok(step) => reader.diagram.steps.extend(step),
            Err(why) => faults.push((number, format!("{why}: {line}"))),
        }
    }
    if let Some(word) = reader.open.last() {
        faults.push((first, format!("`{word}` without an end")));
    }
    if !reader.diagram.steps.iter().any(|step| matches!(step, Step::Arrow { .. })) {
        faults.push((first, "a diagram without an arrow".to_owned()));
    }
    if faults.is_empty() { Ok(reader.diagram) } else { Err(faults) }
}

#[derive(Default)]
struct Reader {
    diagram: Diagram,
    /// The names of the columns.
    names: Vec<String>,
    /// The frames that are open.
    open: Vec<String>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<Option<Step>, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "participant" => self.participant(rest).map(|()| None),
            "Note" => self.note(rest).map(Some),
            "loop" | "opt" | "alt" | "par" => {
                self.open.push(word.to_owned());
                Ok(Some(Step::Open { word: word.to_owned(), text: text(rest)? }))
            }
            "else" | "and" => {
                let wanted = if word == "else" { "alt" } else { "par" };
                if self.open.last().is_none_or(|last| last != wanted) {
                    return Err(format!("there is no {wanted} around it"));
                }
                Ok(Some(Step::Next { word: word.to_owned(), text: text(rest)? }))
            }
            "end" if rest.is_empty() => match self.open.pop() {
                Some(_) => Ok(Some(Step::Close)),
                None => Err("nothing is open".to_owned()),
            },
            _ => self.arrow(line).map(Some),
        }
    }

    fn participant(&mut self, rest: &str) -> Result<(), String> {
        let (name, shown) = rest.split_once(" as ").unwrap_or((rest, rest));
        let plain = !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric());
        if !plain || name == "end" || self.names.iter().any(|one| one == name) {
            return Err(format!("{name:?} is no new, plain name"));
        }
        self.names.push(name.to_owned());
        self.diagram.participants.push(text(shown)?);
        Ok(())
    }

    fn column(&self, name: &str) -> Result<usize, String> {
        let found = self.names.iter().position(|one| one == name.trim());
        found.ok_or_else(|| format!("{:?} is no participant", name.trim()))
    }

    fn note(&self, rest: &str) -> Result<Step, String> {
        let (place, said) = rest.split_once(':').ok_or("a note has a colon before its text")?;
        let sides = [("over ", Side::Over), ("right of ", Side::Right), ("left of ", Side::Left)];
        let (side, names) = sides
            .into_iter()
            .find_map(|(word, side)| Some((side, place.strip_prefix(word)?)))
            .ok_or("a note is over, right of or left of somebody")?;
        let columns =
            names.split(',').map(|name| self.column(name)).collect::<Result<Vec<_>, _>>()?;
        let first = columns.iter().min().copied().unwrap_or_default();
        let last = columns.iter().max().copied().unwrap_or_default();
        Ok(Step::Note { over: (first, last), side, text: text(said)? })
    }

    fn arrow(&self, line: &str) -> Result<Step, String> {
        let (ends, said) = line.split_once(':').ok_or("an arrow has a colon before its text")?;
        let (dashed, (from, to)) = ends
            .split_once("-->>")
            .map(|ends| (true, ends))
            .or_else(|| ends.split_once("->>").map(|ends| (false, ends)))
            .ok_or("there is no arrow in it")?;
        let (from, to) = (self.column(from)?, self.column(to)?);
        if from == to {
            return Err("an arrow leads to another participant".to_owned());
        }
        Ok(Step::Arrow { from, to, dashed, text: text(said)? })
    }
}

fn text(said: &str) -> Result<String, String> {
    match said.trim() {
        "" => Err("it says nothing".to_owned()),
        // For Mermaid, `;` ends a statement and `#` begins an escape.
        said if said.contains([';', '#']) => {
            Err("`;` and `#` have a meaning of their own".to_owned())
        }
        said => Ok(said.to_owned()),
    }
}
