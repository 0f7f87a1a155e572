//! Draws a conversation as SVG: in the size of the page's text, in the colors of its theme, and
//! with a description for those that do not see it.

use std::fmt::Write;

use crate::diagram::{Diagram, Side, Step};

/// The size of letters, which is that of the page's text, less a little.
const SIZE: f64 = 15.0;
/// From one line of text to the next.
const LINE: f64 = 19.0;
/// Around the drawing.
const MARGIN: f64 = 10.0;
/// From a text to what is around it.
const PADDING: f64 = 9.0;
/// How far a frame is inside of the frame around it.
const INSET: f64 = 8.0;
/// The most letters in a line of a text.
const MOST: usize = 30;

/// A text in a box, one over the lines of the columns, and one that begins at a frame's corner. The
/// last two keep those lines off their letters.
const BOXED: &str = "text-anchor=\"middle\"";
const OPEN: &str = "text-anchor=\"middle\" class=\"open\"";
const TITLE: &str = "text-anchor=\"start\" class=\"open\"";

/// Draws it. The number makes its ids different from those of other drawings in the page.
pub fn svg(diagram: &Diagram, number: usize) -> String {
    let plan = Plan::new(diagram);
    let mut pen = Pen { plan: &plan, out: String::new(), y: MARGIN, frames: Vec::new() };
    pen.participants(diagram);
    for step in &diagram.steps {
        pen.step(step);
    }
    pen.y += 14.0;
    let (width, height) = (plan.width, pen.y + MARGIN);
    let names = diagram.participants.join(", ");
    let mut svg = format!(
        "<svg class=\"conversation\" role=\"img\" aria-labelledby=\"conversation-{number}-title conversation-{number}-text\" \
         width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         xmlns=\"http://www.w3.org/2000/svg\">\n\
         <title id=\"conversation-{number}-title\">A conversation: {}</title>\n\
         <desc id=\"conversation-{number}-text\">{}</desc>\n",
        escaped(&names),
        escaped(&described(diagram)),
    );
    for x in &plan.columns {
        let _ = writeln!(
            svg,
            "<line class=\"life\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
            plan.top, pen.y
        );
    }
    svg + &pen.out + "</svg>"
}

/// The conversation as sentences.
fn described(diagram: &Diagram) -> String {
    let name = |column: &usize| diagram.participants[*column].as_str();
    let sentences = diagram.steps.iter().map(|step| match step {
        Step::Arrow { from, to, text, .. } => format!("{} to {}: {text}.", name(from), name(to)),
        Step::Note { text, .. } => format!("({text})"),
        Step::Open { word, text } => format!("{}: {text}.", spoken(word)),
        Step::Next { word, text } if word == "and" => format!("Meanwhile: {text}."),
        Step::Next { text, .. } => format!("Or: {text}."),
        Step::Close => "End of that part.".to_owned(),
    });
    sentences.collect::<Vec<_>>().join(" ")
}

fn spoken(word: &str) -> &'static str {
    match word {
        "loop" => "Again and again",
        "opt" => "Perhaps",
        "par" => "At the same time",
        _ => "Either",
    }
}

/// Where the columns are.
struct Plan {
    columns: Vec<f64>,
    width: f64,
    /// Where the boxes at the top end.
    top: f64,
}

impl Plan {
    fn new(diagram: &Diagram) -> Plan {
        let names: Vec<Vec<String>> =
            diagram.participants.iter().map(|name| wrapped(name, 18)).collect();
        let widths: Vec<f64> = names.iter().map(|lines| wide(lines) + 2.0 * PADDING).collect();
        let mut columns = vec![0.0; names.len()];
        for at in 1..columns.len() {
            let own = columns[at - 1] + (widths[at - 1] + widths[at]) / 2.0 + 2.0 * PADDING;
            columns[at] = reached(diagram, &columns, at).fold(own, f64::max);
        }
        // A remark may be wider than the column it is about, so it may need room outside of them.
        let boxes =
            columns.iter().zip(&widths).map(|(x, width)| (x - width / 2.0, x + width / 2.0));
        let remarks = diagram.steps.iter().filter_map(|step| match step {
            Step::Note { over, side, text } => Some(remark(&columns, *over, *side, text)),
            _ => None,
        });
        let (left, right) = boxes
            .chain(remarks)
            .fold((0.0_f64, 0.0_f64), |(left, right), (from, to)| (left.min(from), right.max(to)));
        let depth = deepest(diagram) as f64 * (INSET + 4.0);
        let shift = MARGIN + depth - left;
        let title = diagram.steps.iter().map(|step| match step {
            Step::Open { word, text } => {
                label(word) + wide(std::slice::from_ref(text)) + 4.0 * PADDING
            }
            _ => 0.0,
        });
        let width = title.fold(right - left, f64::max) + 2.0 * (MARGIN + depth);
        let lines = names.iter().map(Vec::len).max().unwrap_or(1) as f64;
        let columns = columns.into_iter().map(|x| x + shift).collect();
        Plan { columns, width, top: MARGIN + lines * LINE + 2.0 * PADDING }
    }
}

/// How far right a column has to be for what is said between it and those to its left.
fn reached<'d>(
    diagram: &'d Diagram,
    columns: &'d [f64],
    at: usize,
) -> impl Iterator<Item = f64> + 'd {
    diagram.steps.iter().filter_map(move |step| {
        let Step::Arrow { from, to, text, .. } = step else { return None };
        let ends = (*from.min(to), *from.max(to));
        (ends.1 == at).then(|| columns[ends.0] + wide(&wrapped(text, MOST)) + 3.0 * PADDING)
    })
}

/// From where to where a remark goes.
fn remark(columns: &[f64], over: (usize, usize), side: Side, text: &str) -> (f64, f64) {
    let (first, last) = (columns[over.0], columns[over.1]);
    let width = wide(&wrapped(text, MOST)) + 2.0 * PADDING;
    match side {
        Side::Left => (first - PADDING - width, first - PADDING),
        Side::Right => (last + PADDING, last + PADDING + width),
        Side::Over => {
            let half = width.max(last - first + 4.0 * PADDING) / 2.0;
            ((first + last) / 2.0 - half, (first + last) / 2.0 + half)
        }
    }
}

/// How many frames are inside of one another.
fn deepest(diagram: &Diagram) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for step in &diagram.steps {
        match step {
            Step::Open { .. } => depth += 1,
            Step::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// The width of the word in a frame's corner.
fn label(word: &str) -> f64 {
    wide(&[word.to_owned()]) + 2.0 * PADDING
}

struct Pen<'p> {
    plan: &'p Plan,
    out: String,
    y: f64,
    /// Where each open frame begins.
    frames: Vec<f64>,
}

impl Pen<'_> {
    fn participants(&mut self, diagram: &Diagram) {
        let height = self.plan.top - MARGIN;
        for (x, name) in self.plan.columns.iter().zip(&diagram.participants) {
            let lines = wrapped(name, 18);
            let half = wide(&lines) / 2.0 + PADDING;
            let _ = writeln!(
                self.out,
                "<rect class=\"who\" x=\"{:.1}\" y=\"{MARGIN:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"4\"/>",
                x - half,
                2.0 * half
            );
            let top = MARGIN + (height - lines.len() as f64 * LINE) / 2.0;
            text(&mut self.out, *x, top, BOXED, &lines);
        }
        self.y = self.plan.top + 6.0;
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Arrow { from, to, dashed, text } => self.arrow(*from, *to, *dashed, text),
            Step::Note { over, side, text } => self.note(*over, *side, text),
            Step::Open { word, text } => self.open(word, text),
            Step::Next { word, text } => self.next(word, text),
            Step::Close => self.close(),
        }
    }

    fn arrow(&mut self, from: usize, to: usize, dashed: bool, said: &str) {
        let (from, to) = (self.plan.columns[from], self.plan.columns[to]);
        let lines = wrapped(said, MOST);
        self.y += 8.0;
        text(&mut self.out, (from + to) / 2.0, self.y, OPEN, &lines);
        self.y += lines.len() as f64 * LINE + 5.0;
        let back = if to > from { -9.0 } else { 9.0 };
        let class = if dashed { "answer" } else { "says" };
        let y = self.y;
        let _ = writeln!(
            self.out,
            "<line class=\"{class}\" x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
             <path class=\"head\" d=\"M{to:.1} {y:.1}l{back} -4.5v9z\"/>",
            to + back / 2.0
        );
        self.y += 4.0;
    }

    fn note(&mut self, over: (usize, usize), side: Side, said: &str) {
        let lines = wrapped(said, MOST);
        let (left, right) = remark(&self.plan.columns, over, side, said);
        let height = lines.len() as f64 * LINE + PADDING;
        self.y += 8.0;
        let _ = writeln!(
            self.out,
            "<rect class=\"note\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            self.y,
            right - left
        );
        text(&mut self.out, (left + right) / 2.0, self.y + PADDING / 2.0, BOXED, &lines);
        self.y += height + 2.0;
    }

    /// From where to where the innermost frame goes.
    fn sides(&self) -> (f64, f64) {
        let inset = MARGIN / 2.0 + self.frames.len().saturating_sub(1) as f64 * INSET;
        (inset, self.plan.width - inset)
    }

    fn open(&mut self, word: &str, said: &str) {
        self.y += 12.0;
        self.frames.push(self.y);
        let (left, _) = self.sides();
        let (y, width) = (self.y, label(word));
        let _ = writeln!(
            self.out,
            "<path class=\"corner\" d=\"M{left:.1} {y:.1}h{width:.1}v{:.1}l-7 7h-{:.1}z\"/>",
            LINE - 3.0,
            width - 7.0
        );
        text(&mut self.out, left + width / 2.0, y + 2.0, BOXED, &[word.to_owned()]);
        text(&mut self.out, left + width + PADDING, y + 2.0, TITLE, &[said.to_owned()]);
        self.y += LINE + 4.0;
    }

    fn next(&mut self, word: &str, said: &str) {
        self.y += 12.0;
        let (left, right) = self.sides();
        let y = self.y;
        let _ = writeln!(
            self.out,
            "<line class=\"answer\" x1=\"{left:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>"
        );
        text(&mut self.out, left + PADDING, y + 2.0, TITLE, &[format!("{word} {said}")]);
        self.y += LINE + 4.0;
    }

    fn close(&mut self) {
        self.y += 10.0;
        let (left, right) = self.sides();
        let Some(top) = self.frames.pop() else { return };
        let _ = writeln!(
            self.out,
            "<rect class=\"frame\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            right - left,
            self.y - top
        );
    }
}

/// Writes lines of text from a height downward.
fn text(out: &mut String, x: f64, top: f64, look: &str, lines: &[String]) {
    for (number, line) in lines.iter().enumerate() {
        let y = top + number as f64 * LINE + SIZE * 0.95;
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {look}>{}</text>", escaped(line));
    }
}

/// The text in lines of about the same length, none longer than `most` unless a word is.
fn wrapped(text: &str, most: usize) -> Vec<String> {
    let letters = text.chars().count();
    let most = letters.div_ceil(letters.div_ceil(most).max(1)) + 3;
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The width of the longest line in the usual fonts, a little too wide rather than too narrow.
fn wide(lines: &[String]) -> f64 {
    let letter = |letter: char| match letter {
        'i' | 'l' | 'j' | 't' | 'f' | 'r' | ' ' | '.' | ',' | ':' | '\'' | '(' | ')' => 0.34,
        'm' | 'w' | 'M' | 'W' | '=' | '+' => 0.86,
        'A'..='Z' => 0.70,
        _ => 0.57,
    };
    let width = |line: &String| SIZE * line.chars().map(letter).sum::<f64>();
    lines.iter().map(width).fold(0.0, f64::max)
}

/// A text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
