//! Writes SVG: shapes, text and the colors of series, for a light page and for a dark one.
//!
//! Every number is written with one decimal, so the same drawing has the same bytes.

use std::fmt::Write;

/// How many series can be told apart. Those beyond begin again with the first.
pub const KINDS: usize = 6;

/// What a line looks like where colors are not seen.
const DASHES: [&str; KINDS] = ["", "7 3", "2 2", "9 3 2 3", "1 3", "12 3"];

/// The colors are of a middle lightness: they show on white and on black.
const STYLE: &str = "<style>
svg{color:#222;background:#fff}
.k0{color:#c8553d}.k1{color:#2f7fb8}.k2{color:#3f9a4d}.k3{color:#a463b0}.k4{color:#b8860b}.k5{color:#7a7f87}
@media (prefers-color-scheme:dark){svg{color:#ddd;background:#15171b}
.k0{color:#e5775f}.k1{color:#62abe0}.k2{color:#6cc27a}.k3{color:#c78fd1}.k4{color:#d9a93b}.k5{color:#a3a8b0}}
</style>
";

/// A drawing that grows.
pub struct Svg {
    text: String,
}

impl Svg {
    /// Begins a drawing of this size.
    pub fn new(width: f64, height: f64, title: &str) -> Svg {
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"11\">\n"
        );
        let _ = writeln!(text, "<title>{}</title>", escaped(title));
        text += STYLE;
        Svg { text }
    }

    /// Returns the whole drawing.
    pub fn finish(self) -> String {
        self.text + "</svg>\n"
    }

    /// Writes a text. `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.write_text(x, y, &format!("text-anchor=\"{anchor}\""), text);
    }

    /// Writes a bold text.
    pub fn heading(&mut self, x: f64, y: f64, text: &str) {
        self.write_text(x, y, "font-weight=\"bold\"", text);
    }

    /// Writes a text that reads upwards, for the axis at the left.
    pub fn upwards(&mut self, x: f64, y: f64, text: &str) {
        let turned = format!("text-anchor=\"middle\" transform=\"rotate(-90 {x:.1} {y:.1})\"");
        self.write_text(x, y, &turned, text);
    }

    fn write_text(&mut self, x: f64, y: f64, style: &str, text: &str) {
        let text = escaped(text);
        let _ = writeln!(
            self.text,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"currentColor\" {style}>{text}</text>"
        );
    }

    /// Draws a straight line of the text's color.
    pub fn rule(&mut self, from: (f64, f64), to: (f64, f64), opacity: f64) {
        let _ = writeln!(
            self.text,
            "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"currentColor\" stroke-opacity=\"{opacity:.2}\" fill=\"none\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    /// Draws a series of this kind as a line through its points.
    pub fn line(&mut self, kind: usize, points: &[(f64, f64)]) {
        let dashes = match DASHES[kind % KINDS] {
            "" => String::new(),
            dashes => format!(" stroke-dasharray=\"{dashes}\""),
        };
        let class = format!("class=\"k{}\" stroke-width=\"1.8\"{dashes}", kind % KINDS);
        self.path(&class, points);
    }

    /// Writes the name of a series in its color.
    pub fn name(&mut self, kind: usize, (x, y): (f64, f64), text: &str) {
        self.write_text(x, y, &format!("class=\"k{}\"", kind % KINDS), text);
    }

    /// Draws what the theory says: a thin line of the text's color.
    pub fn thin_line(&mut self, points: &[(f64, f64)]) {
        self.path("stroke-width=\"0.8\"", points);
    }

    fn path(&mut self, style: &str, points: &[(f64, f64)]) {
        if points.is_empty() {
            return;
        }
        let mut d = String::new();
        for (number, (x, y)) in points.iter().enumerate() {
            let _ = write!(d, "{}{x:.1} {y:.1}", if number == 0 { 'M' } else { 'L' });
        }
        let _ =
            writeln!(self.text, "<path {style} d=\"{d}\" stroke=\"currentColor\" fill=\"none\"/>");
    }

    /// Draws a mark of this kind: each kind also has a shape of its own.
    pub fn mark(&mut self, kind: usize, x: f64, y: f64) {
        let d = match kind % KINDS {
            0 => format!("M{:.1} {y:.1}a2.6 2.6 0 1 0 5.2 0a2.6 2.6 0 1 0 -5.2 0", x - 2.6),
            1 => format!("M{:.1} {:.1}h4.6v4.6h-4.6z", x - 2.3, y - 2.3),
            2 => format!("M{x:.1} {:.1}l3 5.2h-6z", y - 3.0),
            3 => format!("M{x:.1} {:.1}l3.2 3.2l-3.2 3.2l-3.2 -3.2z", y - 3.2),
            4 => format!("M{x:.1} {:.1}l-3 -5.2h6z", y + 3.0),
            _ => format!("M{:.1} {:.1}h6v2h-6z", x - 3.0, y - 1.0),
        };
        let _ = writeln!(
            self.text,
            "<path class=\"k{}\" d=\"{d}\" fill=\"currentColor\" fill-opacity=\"0.7\"/>",
            kind % KINDS
        );
    }

    /// Fills a rectangle with the color of a kind.
    pub fn fill(&mut self, kind: usize, corner: (f64, f64), size: (f64, f64), opacity: f64) {
        let _ = writeln!(
            self.text,
            "<rect class=\"k{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"currentColor\" fill-opacity=\"{opacity:.2}\"/>",
            kind % KINDS,
            corner.0,
            corner.1,
            size.0,
            size.1
        );
    }
}

/// Returns a text as XML wants it. A control character would make the whole file invalid.
fn escaped(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_control())
        .map(|letter| match letter {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            other => other.to_string(),
        })
        .collect()
}
