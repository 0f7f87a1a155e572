//! A lookup in the DHT as a drawing: how it came nearer, and who named whom. (stage 21)

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::K;
use piecemeal::s21_dht_lookup::steps::Step;

use super::exit_codes::LOCAL;
use super::failure::{Failure, at_the_disk};
use super::output_file::make;

const WIDTH: f64 = 900.0;
const MARGIN: f64 = 60.0;
/// Where the first row begins, below the title.
const TOP: f64 = 96.0;
/// The height of a node, and the least height of a row.
const LINE: f64 = 22.0;
const ROW: f64 = 64.0;

/// Takes a name with the ending of a drawing only. Otherwise a forgotten name would make the info
/// hash a file.
pub fn named(text: &str) -> Result<PathBuf, String> {
    let fits = text.to_ascii_lowercase().ends_with(".svg");
    fits.then(|| text.into()).ok_or_else(|| "a name that ends in .svg was expected".to_owned())
}

/// What has come of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Waiting,
    Answered,
    Late,
    Silent,
    Refused,
    Lied,
}

impl Fate {
    /// Returns the word for it, which is also its class in the drawing.
    fn word(self) -> &'static str {
        match self {
            Fate::Waiting => "waiting",
            Fate::Answered => "answered",
            Fate::Late => "late",
            Fate::Silent => "silent",
            Fate::Refused => "refused",
            Fate::Lied => "lied",
        }
    }
}

/// A node in the drawing.
struct Dot {
    bits: Option<u32>,
    hop: u32,
    named_by: Option<SocketAddr>,
    fate: Fate,
    peers: usize,
    /// When it was asked.
    at: Duration,
    place: (f64, f64),
}

/// Draws a lookup into a file.
pub fn draw(path: &Path, info_hash: InfoHash, steps: &[(Duration, Step)]) -> Result<(), Failure> {
    let text = svg(info_hash, steps);
    let written = make(path, false).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::new(LOCAL, &error).about(path.to_string_lossy());
        failure.help(at_the_disk(&error)).see("21-dht-lookup")
    })
}

/// Returns the nodes that were asked, with what has come of each.
fn dots(steps: &[(Duration, Step)]) -> BTreeMap<SocketAddr, Dot> {
    let mut dots: BTreeMap<SocketAddr, Dot> = BTreeMap::new();
    for (at, step) in steps {
        let (node, fate) = match step {
            Step::Asked { node, hop, named_by, again: false } => {
                let place = (0.0, 0.0);
                dots.entry(node.address).or_insert(Dot {
                    bits: node.bits,
                    hop: *hop,
                    named_by: *named_by,
                    fate: Fate::Waiting,
                    peers: 0,
                    at: *at,
                    place,
                });
                continue;
            }
            Step::Peers { by, peers } => {
                dots.entry(*by).and_modify(|dot| dot.peers += peers.len());
                continue;
            }
            Step::Answered { node, late: false, again: false, .. } => (node, Fate::Answered),
            Step::Answered { node, late: true, again: false, .. } => (node, Fate::Late),
            Step::Silent { node } => (node, Fate::Silent),
            Step::Refused { node } => (node, Fate::Refused),
            Step::Lied { node, .. } => (node, Fate::Lied),
            Step::Asked { .. } | Step::Answered { .. } => continue,
        };
        if let Some(dot) = dots.get_mut(&node.address) {
            // Whoever does not answer the second question has answered the first.
            if !matches!((dot.fate, fate), (Fate::Answered | Fate::Late, Fate::Silent)) {
                dot.fate = fate;
            }
            dot.bits = node.bits.or(dot.bits);
        }
    }
    dots
}

/// Where things are.
struct Plan {
    /// The distances at the left and the right edge, in bits. What is still nearer is at the right
    /// edge as well: an invented node would push all others to the left.
    bits: (u32, u32),
    /// Whether there is anything nearer.
    is_cut: bool,
    /// The top of each row; the last is the bottom of them all.
    rows: Vec<f64>,
}

impl Plan {
    /// Gives each node its place: farther to the right the nearer to the target, and a row for each
    /// hop. Nodes of one row and one distance are below each other.
    fn new(dots: &mut BTreeMap<SocketAddr, Dot>) -> Plan {
        let known = || dots.values().filter_map(|dot| dot.bits);
        let answered = dots.values().filter(|dot| matches!(dot.fate, Fate::Answered | Fate::Late));
        let nearest = known().min().unwrap_or(0);
        let answered = answered.filter_map(|dot| dot.bits).min().unwrap_or(nearest);
        let bits = (known().max().unwrap_or(160), nearest.max(answered.saturating_sub(2)));
        let is_cut = nearest < bits.1;
        let hops = dots.values().map(|dot| dot.hop).max().unwrap_or(0);
        let (mut rows, mut top) = (vec![TOP], TOP);
        for hop in 0..=hops {
            let mut of_row: Vec<&mut Dot> =
                dots.values_mut().filter(|dot| dot.hop == hop).collect();
            of_row.sort_by_key(|dot| dot.at);
            let mut below: BTreeMap<u32, usize> = BTreeMap::new();
            for dot in of_row {
                // A node of which nobody knows the distance is as far away as can be.
                let at = dot.bits.unwrap_or(bits.0).max(bits.1);
                let line = below.entry(at).or_default();
                dot.place = (across(bits, at), top + 24.0 + LINE * *line as f64);
                *line += 1;
            }
            let most = below.values().copied().max().unwrap_or(0) as f64;
            top += (most * LINE + 24.0).max(ROW);
            rows.push(top);
        }
        Plan { bits, is_cut, rows }
    }

    fn bottom(&self) -> f64 {
        self.rows.last().copied().unwrap_or(TOP)
    }
}

/// Returns how far to the right a distance is.
fn across((farthest, nearest): (u32, u32), bits: u32) -> f64 {
    let all = f64::from((farthest - nearest).max(1));
    MARGIN + 20.0 + (WIDTH - 2.0 * MARGIN - 40.0) * f64::from(farthest - bits) / all
}

/// Draws the lookup, for a light and a dark page.
fn svg(info_hash: InfoHash, steps: &[(Duration, Step)]) -> String {
    let mut dots = dots(steps);
    let plan = Plan::new(&mut dots);
    let (width, height) = (WIDTH, plan.bottom() + 84.0);
    let title = escaped(&format!("Looking up {info_hash} in the DHT"));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"title text\">\n\
         <title id=\"title\">{title}</title>\n<desc id=\"text\">{}</desc>\n{STYLE}{ARROW}\
         <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n\
         <text x=\"{MARGIN}\" y=\"30\" class=\"title\">{title}</text>\n\
         <text x=\"{MARGIN}\" y=\"50\">each row is one hop from those where it began; an arrow leads from the node that named to the node that was asked</text>\n",
        escaped(&described(&dots)),
    );
    write_axis(&mut out, &plan);
    for dot in dots.values() {
        let from = dot.named_by.and_then(|by| dots.get(&by));
        from.iter().for_each(|from| write_arrow(&mut out, from, dot));
    }
    let nearest = nearest(&dots);
    for (address, dot) in &dots {
        write_dot(&mut out, *address, dot, nearest.contains(address));
    }
    write_legend(&mut out, plan.bottom() + 48.0);
    out + "</svg>\n"
}

/// The colors, on a light and on a dark page.
const STYLE: &str = "<style>\n\
    text { font: 12px sans-serif; fill: #222 }\n\
    .title { font-size: 16px; font-weight: bold }\n\
    .page { fill: #fff }\n\
    .row { stroke: #8d99ae; stroke-opacity: .4 }\n\
    .named { stroke: #8d99ae; stroke-opacity: .55; fill: none }\n\
    .tip { fill: #8d99ae }\n\
    .answered { fill: #588b8b } .late { fill: #c8b23d } .waiting { fill: #8d99ae }\n\
    .silent { fill: none; stroke: #8d99ae; stroke-width: 1.5; stroke-dasharray: 3 2 }\n\
    .refused { fill: none; stroke: #c8553d; stroke-width: 1.5 }\n\
    .lied { fill: #c8553d }\n\
    .nearest { stroke: #222; stroke-width: 2 }\n\
    .peers { fill: none; stroke: #c8553d; stroke-width: 1.5 }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #ddd } .page { fill: #1c1c1e } .nearest { stroke: #ddd }\n\
    }\n\
    </style>\n";

/// The tip of an arrow.
const ARROW: &str = "<defs><marker id=\"tip\" viewBox=\"0 0 6 6\" refX=\"11\" refY=\"3\" \
    markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\"><path d=\"M0 0 6 3 0 6z\" class=\"tip\"/>\
    </marker></defs>\n";

/// Writes the distances above the rows, and a line and a number for each row.
fn write_axis(out: &mut String, plan: &Plan) {
    let (farthest, nearest) = plan.bits;
    // At most a dozen figures fit beside each other.
    let step = ((farthest - nearest) / 12 + 1) as usize;
    for bits in (nearest..=farthest).step_by(step) {
        let (x, y) = (across(plan.bits, bits), TOP - 14.0);
        let less = if plan.is_cut && bits == nearest { "&#8804;" } else { "" };
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{less}{bits}</text>"
        );
    }
    let (x, y) = (WIDTH - MARGIN, TOP - 30.0);
    let _ = writeln!(
        out,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\">distance in bits: nearer to the right &#8594;</text>"
    );
    for (hop, top) in plan.rows.iter().enumerate() {
        let right = WIDTH - MARGIN;
        let _ = writeln!(
            out,
            "<line x1=\"{MARGIN}\" y1=\"{top:.1}\" x2=\"{right}\" y2=\"{top:.1}\" class=\"row\"/>"
        );
        if hop + 1 < plan.rows.len() {
            let (x, y) = (MARGIN - 12.0, top + 28.0);
            let _ = writeln!(out, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{hop}</text>");
        }
    }
}

/// Writes the arrow from the node that named another.
fn write_arrow(out: &mut String, from: &Dot, to: &Dot) {
    let ((x1, y1), (x2, y2)) = (from.place, to.place);
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"named\" marker-end=\"url(#tip)\"/>"
    );
}

/// Writes a node, and all that is known of it as its hint.
fn write_dot(out: &mut String, address: SocketAddr, dot: &Dot, is_nearest: bool) {
    let (x, y) = dot.place;
    let class = if is_nearest { " nearest" } else { "" };
    let away = dot.bits.map_or("at an unknown distance".to_owned(), |bits| {
        format!("{} away", counted(bits, "bit"))
    });
    let at = dot.at.as_secs_f64();
    let peers = if dot.peers > 0 {
        format!("; knows {}", counted(dot.peers, "peer"))
    } else {
        String::new()
    };
    let word = dot.fate.word();
    let hint = escaped(&format!("{address}, {away}, asked after {at:.2} s: {word}{peers}"));
    let _ = writeln!(
        out,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" class=\"{word}{class}\"><title>{hint}</title></circle>"
    );
    if dot.peers > 0 {
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9.5\" class=\"peers\"/>");
    }
}

/// Writes what each mark means.
fn write_legend(out: &mut String, y: f64) {
    let marks = [
        ("answered", "answered"),
        ("late", "answered late"),
        ("silent", "silent"),
        ("refused", "refused"),
        ("lied", "lied about its id"),
        ("answered nearest", "one of the eight"),
    ];
    let mut x = MARGIN + 6.0;
    for (class, words) in marks {
        let _ = writeln!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"6\" class=\"{class}\"/><text x=\"{:.1}\" y=\"{:.1}\">{words}</text>",
            x + 12.0,
            y + 4.0
        );
        x += 36.0 + 6.6 * words.len() as f64;
    }
    let _ = writeln!(
        out,
        "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"9.5\" class=\"peers\"/><text x=\"{:.1}\" y=\"{:.1}\">knows peers</text>",
        x + 15.0,
        y + 4.0
    );
}

/// Returns the eight of each family that are nearest, of those that have answered.
fn nearest(dots: &BTreeMap<SocketAddr, Dot>) -> Vec<SocketAddr> {
    let family = |is_ipv4| {
        let answered = dots.iter().filter(move |(address, dot)| {
            address.is_ipv4() == is_ipv4 && matches!(dot.fate, Fate::Answered | Fate::Late)
        });
        let mut answered: Vec<_> = answered.collect();
        answered.sort_by_key(|(_, dot)| dot.bits);
        answered.into_iter().take(K).map(|(address, _)| *address).collect::<Vec<_>>()
    };
    [family(true), family(false)].concat()
}

/// Returns the drawing in words, for those who do not see it.
fn described(dots: &BTreeMap<SocketAddr, Dot>) -> String {
    let count = |fates: &[Fate]| dots.values().filter(|dot| fates.contains(&dot.fate)).count();
    let (late, silent) = (count(&[Fate::Late]), count(&[Fate::Silent, Fate::Waiting]));
    let nearest = dots.values().filter(|dot| dot.fate == Fate::Answered).filter_map(|dot| dot.bits);
    let nearest = nearest.min().map_or(String::new(), |bits| {
        format!(" The nearest is {} from the info hash.", counted(bits, "bit"))
    });
    format!(
        "{} asked: {} answered, {late} of them late; {silent} silent, {} refused, {} lied.{nearest}",
        counted(dots.len(), "node"),
        count(&[Fate::Answered, Fate::Late]),
        count(&[Fate::Refused]),
        count(&[Fate::Lied]),
    )
}

/// Returns text for a drawing: what would begin a mark is written as a name.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
