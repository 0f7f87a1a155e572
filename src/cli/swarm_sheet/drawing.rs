//! The sheet as a drawing: a square for each giver and taker, the darker the more. (lab)

use std::fmt::Write;

use piecemeal::s01_bencode::counted;
use piecemeal::trace::capture::page::escaped;

use super::Sheet;
use super::tables::{Unit, shortened, title};

/// The width that the squares share, and the least and the greatest side of one: thirty laptops
/// still have figures that can be read, and four do not fill the screen.
const SQUARES: f64 = 780.0;
const SIDE: (f64, f64) = (28.0, 64.0);

/// The width of a letter of a name.
const LETTER: f64 = 7.2;

/// The length of the longest bar of a sum.
const BAR: f64 = 90.0;
/// The room for the figure at its end.
const FIGURE: f64 = 52.0;
const MARGIN: f64 = 16.0;

/// Where things are.
struct Plan {
    side: f64,
    left: f64,
    top: f64,
    size: f64,
    unit: Unit,
    /// The largest cell, and the largest sum: what is darkest and longest.
    most: (u64, u64),
}

impl Plan {
    fn new(sheet: &Sheet) -> Plan {
        let count = sheet.peers.len();
        let side = (SQUARES / count.max(1) as f64).clamp(SIDE.0, SIDE.1);
        let longest = sheet.peers.iter().map(|row| shortened(&row.name).chars().count()).max();
        let label = longest.unwrap_or(0) as f64 * LETTER;
        let all = || 0..count;
        let cells = all().flat_map(|giver| all().map(move |taker| (giver, taker)));
        let cell = cells.map(|(giver, taker)| sheet.cell(giver, taker).bytes()).max();
        let sum = all().map(|at| sheet.gave(at).max(sheet.took(at))).max().unwrap_or(0);
        Plan {
            side,
            left: MARGIN + label + 12.0,
            // The names of the columns are turned by 45 degrees.
            top: 64.0 + (label * 0.71).max(20.0),
            size: side * count as f64,
            unit: Unit::of(sum),
            most: (cell.unwrap_or(0), sum),
        }
    }

    fn width(&self) -> f64 {
        // The last name of a column leans over the bars.
        self.left + self.size + 12.0 + (BAR + FIGURE).max(self.left * 0.71) + MARGIN
    }

    fn height(&self) -> f64 {
        self.top + self.size + 12.0 + BAR + 24.0 + MARGIN
    }
}

/// Draws the sheet, for a light and a dark page.
pub fn svg(sheet: &Sheet) -> String {
    let plan = Plan::new(sheet);
    let (width, height) = (plan.width(), plan.height());
    let title = escaped(&title(sheet));
    let unit = plan.unit.name;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"title text\">\n\
         <title id=\"title\">Who gave what to whom: {title}</title>\n\
         <desc id=\"text\">{}</desc>\n{STYLE}\
         <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n\
         <text x=\"{MARGIN}\" y=\"26\" class=\"title\">{title}</text>\n\
         <text x=\"{MARGIN}\" y=\"44\">who gave what to whom, in {unit}: givers down, takers across</text>\n",
        escaped(&described(sheet)),
    );
    for at in 0..sheet.peers.len() {
        write_names(&mut out, sheet, &plan, at);
        (0..sheet.peers.len()).for_each(|taker| write_cell(&mut out, sheet, &plan, (at, taker)));
        write_sums(&mut out, sheet, &plan, at);
    }
    out + "</svg>\n"
}

/// The colors. Text on a dark square is light on any page.
const STYLE: &str = "<style>\n\
    text { font: 13px sans-serif; fill: #222 }\n\
    .title { font-size: 16px; font-weight: bold }\n\
    .page { fill: #fff }\n\
    .cell { fill: #c8553d } .empty { fill: #8d99ae; fill-opacity: .12 } .self { fill: none }\n\
    .differs { stroke: #222; stroke-width: 1.5; stroke-dasharray: 3 2 }\n\
    .bar { fill: #588b8b }\n\
    .dark { fill: #fff }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #ddd } .page { fill: #1c1c1e } .differs { stroke: #ddd } .dark { fill: #fff }\n\
    }\n\
    </style>\n";

/// Writes the name of a peer at its row and over its column.
fn write_names(out: &mut String, sheet: &Sheet, plan: &Plan, at: usize) {
    let name = escaped(&shortened(&sheet.peers[at].name));
    let middle = plan.side * (at as f64 + 0.5);
    let (x, y) = (plan.left - 8.0, plan.top + middle + 4.5);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{name}</text>");
    let (x, y) = (plan.left + middle + 3.0, plan.top - 6.0);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-45 {x:.1} {y:.1})\">{name}</text>"
    );
}

/// Writes a square, with its figure, and both sides' figures as its hint.
fn write_cell(out: &mut String, sheet: &Sheet, plan: &Plan, (giver, taker): (usize, usize)) {
    let (cell, side) = (sheet.cell(giver, taker), plan.side);
    let (x, y) = (plan.left + side * taker as f64, plan.top + side * giver as f64);
    let bytes = cell.bytes();
    let share = bytes as f64 / plan.most.0.max(1) as f64;
    let (class, opacity) = match bytes {
        0 if giver == taker => ("self", String::new()),
        0 => ("empty", String::new()),
        // The least is still seen.
        _ => ("cell", format!(" fill-opacity=\"{:.2}\"", 0.12 + 0.88 * share)),
    };
    let differs = if cell.differs() { " differs" } else { "" };
    let hint = format!(
        "{} gave {} {}",
        sheet.peers[giver].name,
        sheet.peers[taker].name,
        counted(bytes, "byte")
    );
    let both = match (cell.given, cell.taken) {
        (Some(given), Some(taken)) if cell.differs() => {
            format!("; sent, says the giver: {given}; came, says the taker: {taken}")
        }
        _ => String::new(),
    };
    let inner = side - 2.0;
    let _ = writeln!(
        out,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{inner:.1}\" height=\"{inner:.1}\" rx=\"3\" class=\"{class}{differs}\"{opacity}><title>{}{both}</title></rect>",
        x + 1.0,
        y + 1.0,
        escaped(&hint)
    );
    if bytes > 0 {
        let size = (side * 0.34).min(14.0);
        let dark = if share > 0.8 { " class=\"dark\"" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"font-size:{size:.1}px;pointer-events:none\"{dark}>{}</text>",
            x + side / 2.0,
            y + side / 2.0 + size * 0.35,
            short(plan.unit, bytes)
        );
    }
}

/// Writes the bar of what a peer gave, at its row, and of what it took, below its column.
fn write_sums(out: &mut String, sheet: &Sheet, plan: &Plan, at: usize) {
    let length = |bytes: u64| BAR * bytes as f64 / plan.most.1.max(1) as f64;
    let (gave, took) = (sheet.gave(at), sheet.took(at));
    let (thick, start) = (plan.side * 0.5, plan.side * (at as f64 + 0.25));
    let (x, y) = (plan.left + plan.size + 12.0, plan.top + start);
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{thick:.1}\" class=\"bar\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" style=\"font-size:11px\">{}</text>",
        length(gave),
        x + length(gave) + 4.0,
        y + thick / 2.0 + 4.0,
        plan.unit.figure(gave)
    );
    let (x, y) = (plan.left + start, plan.top + plan.size + 12.0);
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{thick:.1}\" height=\"{:.1}\" class=\"bar\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"font-size:{:.1}px\">{}</text>",
        length(took),
        x + thick / 2.0,
        y + length(took) + 13.0,
        (plan.side * 0.34).min(11.0),
        short(plan.unit, took)
    );
}

/// Returns a figure of at most four letters, as long as it is below 10,000.
fn short(unit: Unit, bytes: u64) -> String {
    let figure = unit.figure(bytes);
    match figure.split_once('.') {
        Some((whole, _)) if whole.len() > 2 => whole.to_owned(),
        _ => figure,
    }
}

/// Returns the sheet in words, for those who do not see it.
fn described(sheet: &Sheet) -> String {
    let sums = sheet.peers.iter().enumerate().map(|(at, row)| {
        let gave = counted(sheet.gave(at), "byte");
        format!("{} gave {gave} and took {}.", row.name, sheet.took(at))
    });
    sums.collect::<Vec<String>>().join(" ")
}
