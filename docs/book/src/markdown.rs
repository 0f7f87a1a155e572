//! Markdown, as far as the book needs it: fenced blocks, headings, code spans, links.

use std::ops::Range;

/// A document's lines, and what each of them is.
pub struct Document {
    /// Relative to the crate: `docs/04-handshake.md`.
    pub path: String,
    /// The lines with what they are.
    pub lines: Vec<Line>,
}

/// A line, counted from 1 by its place in [`Document::lines`].
pub struct Line {
    /// The line as it is in the file.
    pub text: String,
    /// What it is.
    pub kind: Kind,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Outside of blocks.
    Text,
    /// Opens a block of this language.
    Opens(String),
    /// Inside of a block.
    Code,
    /// Closes a block.
    Closes,
}

/// A heading.
pub struct Heading {
    /// Its line, counted from 1.
    pub line: usize,
    /// The number of `#`.
    pub level: usize,
    /// The words after them.
    pub text: String,
}

impl Document {
    /// Takes a text apart.
    pub fn parse(path: &str, whole: &str) -> Document {
        let mut open = false;
        let mut lines = Vec::new();
        for text in whole.lines() {
            let kind = match (open, text.trim_start().strip_prefix("```")) {
                (false, Some(language)) => Kind::Opens(language.trim().to_owned()),
                (true, Some("")) => Kind::Closes,
                (true, _) => Kind::Code,
                (false, None) => Kind::Text,
            };
            open = matches!(kind, Kind::Opens(_) | Kind::Code);
            lines.push(Line { text: text.to_owned(), kind });
        }
        Document { path: path.to_owned(), lines }
    }

    /// The lines outside of blocks, with their numbers.
    pub fn text(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = (1..).zip(&self.lines);
        lines.filter(|(_, line)| line.kind == Kind::Text).map(|(at, line)| (at, line.text.as_str()))
    }

    /// The blocks of a language: the line that opens each, and its own lines.
    pub fn blocks(&self, language: &str) -> Vec<(usize, Vec<&str>)> {
        let mut blocks: Vec<(usize, Vec<&str>)> = Vec::new();
        let mut inside = false;
        for (number, line) in (1..).zip(&self.lines) {
            match &line.kind {
                Kind::Opens(kind) => {
                    inside = kind == language;
                    if inside {
                        blocks.push((number, Vec::new()));
                    }
                }
                Kind::Code if inside => blocks.last_mut().expect("opened").1.push(&line.text),
                _ => inside = false,
            }
        }
        blocks
    }

    /// All headings.
    pub fn headings(&self) -> Vec<Heading> {
        let heading = |(line, text): (usize, &str)| {
            let level = text.chars().take_while(|letter| *letter == '#').count();
            let words = text[level..].strip_prefix(' ')?;
            (level > 0).then(|| Heading { line, level, text: words.trim().to_owned() })
        };
        self.text().filter_map(heading).collect()
    }

    /// The words of the first heading.
    pub fn title(&self) -> String {
        self.headings().into_iter().next().map_or_else(|| self.path.clone(), |first| first.text)
    }

    /// The lines of the section under a heading, counted from 1; without its heading.
    pub fn section(&self, title: &str) -> Option<Range<usize>> {
        let headings = self.headings();
        let at = headings.iter().position(|heading| heading.text.contains(title))?;
        let own = &headings[at];
        let next = headings[at + 1..].iter().find(|next| next.level <= own.level);
        Some(own.line + 1..next.map_or(self.lines.len() + 1, |next| next.line))
    }

    /// The fragments that lead to its headings, as GitHub and mdBook make them.
    pub fn fragments(&self) -> Vec<String> {
        let mut made: Vec<String> = Vec::new();
        for heading in self.headings() {
            let base = slug(&heading.text);
            let mut fragment = base.clone();
            let mut times = 0;
            while made.contains(&fragment) {
                times += 1;
                fragment = format!("{base}-{times}");
            }
            made.push(fragment);
        }
        made
    }
}

/// `Run it, twice` becomes `run-it-twice`.
fn slug(heading: &str) -> String {
    let letters = heading.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        _ if letter.is_alphanumeric() => Some(letter.to_ascii_lowercase()),
        _ => None,
    });
    letters.collect()
}

/// A part of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A text between backticks, and whether it is a link's text already.
    Span {
        /// Where it is, with its backticks.
        at: Range<usize>,
        /// Whether it is inside of `[..](..)`.
        linked: bool,
    },
    /// The target of `[..](target)`.
    Link {
        /// Where the target is.
        at: Range<usize>,
    },
}

/// The code spans and links of a line outside of blocks.
pub fn parts(line: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut from = 0;
    let mut brackets = 0_usize;
    while let Some(offset) = line[from..].find(['`', '[', ']']) {
        let at = from + offset;
        from = at + 1;
        match &line[at..from] {
            "`" => {
                let Some(length) = line[from..].find('`') else { break };
                from += length + 1;
                parts.push(Part::Span { at: at..from, linked: brackets > 0 });
            }
            "[" => brackets += 1,
            _ => {
                brackets = brackets.saturating_sub(1);
                let Some(rest) = line[from..].strip_prefix('(') else { continue };
                let Some(length) = rest.find(')') else { continue };
                parts.push(Part::Link { at: from + 1..from + 1 + length });
                from += length + 2;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_falls_into_spans_and_links() {
        let line = "Read `a`, [`b`](../src/b.rs) and [c](d.md#e), `f[0](g)`.";
        let found: Vec<(&str, bool)> = parts(line)
            .into_iter()
            .map(|part| match part {
                Part::Span { at, linked } => (&line[at], linked),
                Part::Link { at } => (&line[at], true),
            })
            .collect();
        let expected = [
            ("`a`", false),
            ("`b`", true),
            ("../src/b.rs", true),
            ("d.md#e", true),
            ("`f[0](g)`", false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_section_ends_with_the_next_heading_of_its_level() {
        let text =
            "# T\n## Read along\none\n### deeper\n```text\n## no heading\n```\n## Next\nthree\n";
        let document = Document::parse("docs/x.md", text);
        assert_eq!(document.section("Read along"), Some(3..8));
        assert_eq!(document.section("Next"), Some(9..10));
        assert_eq!(document.section("Gone"), None);
        assert_eq!(document.fragments(), ["t", "read-along", "deeper", "next"]);
    }
}
