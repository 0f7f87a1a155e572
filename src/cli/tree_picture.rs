//! A file's tree of hashes as a drawing. (stage 23)

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::exit_codes::{LOCAL, USAGE};
use super::failure::{Failure, at_the_disk};
use super::lookup_map::escaped;
use super::output_file::make;
use super::tree_view::{Node, Shown, WholeTree};

/// The most ends of branches that fit into a drawing that anybody looks at.
const MOST: usize = 128;
/// The room for the end of a branch, and from one height to the next.
const COLUMN: f64 = 92.0;
const ROW: f64 = 62.0;
const MARGIN: f64 = 40.0;
/// Where the root is, below the title.
const TOP: f64 = 84.0;
/// The size of a hash.
const BOX: (f64, f64) = (70.0, 22.0);

/// Draws a tree into a file.
pub fn draw(path: &Path, tree: &WholeTree, which: Shown) -> Result<(), Failure> {
    let nodes: Vec<Node> = tree.nodes(which).take(2 * MOST).collect();
    if nodes.len() >= 2 * MOST {
        let what = format!("a drawing has room for {MOST} leaves, and this tree has more");
        let help = "leave out --all: then the way to one block is drawn";
        return Err(Failure::new(USAGE, what).help(help).see("23-v2"));
    }
    let text = svg(tree, &nodes);
    let written = make(path, false).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| {
        let failure = Failure::new(LOCAL, &error).about(path.to_string_lossy());
        failure.help(at_the_disk(&error)).see("23-v2")
    })
}

/// Returns where the middle of each node is: the ends of branches in a row from the left, and each
/// other node between the two below it.
fn places(tree: &WholeTree, nodes: &[Node]) -> HashMap<(u32, u64), (f64, f64)> {
    let mut places = HashMap::new();
    let mut ends = nodes.iter().filter(|node| !node.is_open).count() as f64;
    // Backwards: those below a node come after it.
    for node in nodes.iter().rev() {
        let below = |right| places.get(&(node.height.wrapping_sub(1), 2 * node.index + right));
        let x = match below(0).zip(below(1)) {
            Some(((left, _), (right, _))) if node.is_open => (left + right) / 2.0,
            _ => {
                ends -= 1.0;
                MARGIN + COLUMN * (ends + 0.5)
            }
        };
        let y = TOP + ROW * f64::from(tree.height() - node.height);
        places.insert((node.height, node.index), (x, y));
    }
    places
}

/// Draws the tree, for a light and a dark page.
fn svg(tree: &WholeTree, nodes: &[Node]) -> String {
    let places = places(tree, nodes);
    let ends = nodes.iter().filter(|node| !node.is_open).count();
    // The legend takes five columns.
    let width = 2.0 * MARGIN + COLUMN * ends.max(5) as f64;
    let height = TOP + ROW * f64::from(tree.height()) + 96.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"title text\">\n\
         <title id=\"title\">{0}</title>\n<desc id=\"text\">{1}</desc>\n{STYLE}\
         <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n\
         <text x=\"{MARGIN}\" y=\"28\" class=\"title\">{0}</text>\n\
         <text x=\"{MARGIN}\" y=\"48\">{1}</text>\n",
        escaped(&tree.title()),
        escaped(&tree.in_words()),
    );
    for node in nodes.iter().filter(|node| node.is_open) {
        for right in 0..2 {
            let below = (node.height - 1, 2 * node.index + right);
            let ends = places.get(&(node.height, node.index)).zip(places.get(&below));
            let Some(((x1, y1), (x2, y2))) = ends else { continue };
            let (y1, y2) = (y1 + BOX.1 / 2.0, y2 - BOX.1 / 2.0);
            let _ = writeln!(
                out,
                "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"branch\"/>"
            );
        }
    }
    for node in nodes {
        let place = places.get(&(node.height, node.index)).copied().unwrap_or_default();
        write_node(&mut out, tree, node, place);
    }
    write_legend(&mut out, height - 20.0);
    out + "</svg>\n"
}

/// The colors, on a light and on a dark page.
const STYLE: &str = "<style>\n\
    text { font: 12px sans-serif; fill: #222 }\n\
    .title { font-size: 16px; font-weight: bold }\n\
    .hash { font: 12px monospace; text-anchor: middle }\n\
    .label { font-size: 11px; text-anchor: middle; paint-order: stroke; stroke: #fff; stroke-width: 3px }\n\
    .page { fill: #fff }\n\
    .branch, .more { stroke: #8d99ae; fill: none }\n\
    rect.root, rect.piece, rect.block, rect.inner, rect.padding { stroke: #8d99ae }\n\
    .root { fill: #c8b23d } .piece { fill: #8fc1c1 } .block { fill: #e4ebf2 } .inner { fill: #fff }\n\
    .padding { fill: none; stroke-dasharray: 3 2 }\n\
    @media (prefers-color-scheme: dark) {\n\
      text { fill: #ddd } .label { stroke: #1c1c1e } .page, .inner { fill: #1c1c1e } .block { fill: #39424e }\n\
      .piece { fill: #2f6161 } .root { fill: #75661c }\n\
    }\n\
    </style>\n";

/// Returns the kind of a node, which is its class in the drawing.
fn kind(tree: &WholeTree, node: &Node) -> &'static str {
    match node.height {
        _ if tree.is_padding(node) => "padding",
        height if height == tree.height() => "root",
        height if height == tree.piece_height() => "piece",
        0 => "block",
        _ => "inner",
    }
}

/// Writes a hash, what it is of, and all of its digits as its hint.
fn write_node(out: &mut String, tree: &WholeTree, node: &Node, (x, y): (f64, f64)) {
    let (hash, label, kind) = (node.hash.to_string(), tree.label(node), kind(tree, node));
    let start = hash.get(..8).unwrap_or_default();
    let (left, top) = (x - BOX.0 / 2.0, y - BOX.1 / 2.0);
    let _ = writeln!(
        out,
        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{}\" height=\"{}\" rx=\"3\" class=\"{kind}\">\
         <title>{hash}</title></rect><text x=\"{x:.1}\" y=\"{:.1}\" class=\"hash\">{start}</text>",
        BOX.0,
        BOX.1,
        y + 4.0,
    );
    // Below what is not shown any further; above where the branches go on.
    let is_more = !node.is_open && node.height > 0;
    let words = label.split([',', ':']).map(str::trim).filter(|word| *word != "root");
    let (lines, first) = match node.is_open {
        true => (vec![words.collect::<Vec<_>>().join(", ")], top - 5.0),
        false => (words.map(str::to_owned).collect(), y + if is_more { 40.0 } else { 25.0 }),
    };
    for (number, line) in lines.iter().filter(|line| !line.is_empty()).enumerate() {
        let y = first + 13.0 * number as f64;
        let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"label\">{line}</text>");
    }
    if is_more {
        let bottom = y + BOX.1 / 2.0;
        let _ = writeln!(out, "<path d=\"M{x:.1} {bottom:.1}l-18 15h36z\" class=\"more\"/>");
    }
}

/// Writes what each mark means.
fn write_legend(out: &mut String, y: f64) {
    let marks = [
        ("root", "root"),
        ("piece", "piece"),
        ("block", "block"),
        ("inner", "two hashes"),
        ("padding", "no block"),
    ];
    for (number, (class, words)) in marks.into_iter().enumerate() {
        let x = MARGIN + COLUMN * number as f64;
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"12\" height=\"12\" class=\"{class}\"/>\
             <text x=\"{:.1}\" y=\"{y:.1}\">{words}</text>",
            y - 10.0,
            x + 16.0,
        );
    }
}
