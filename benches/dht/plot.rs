//! Questions of a lookup by the size of the network. The size has a logarithmic scale, so a straight
//! line is a logarithm.

use std::fmt::Write;

use crate::growth::Grown;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 340.0;
/// Room for the labels at the left and below.
const LEFT: f64 = 60.0;
const BELOW: f64 = 50.0;
const MARGIN: f64 = 24.0;

/// The two lines.
const MOST: &str = "nine of ten at most";
const MEAN: &str = "questions, mean";

/// The plot, as it goes into docs/.
pub fn svg(growth: &[Grown]) -> String {
    let most = growth.iter().map(|grown| grown.most).max().unwrap_or(1);
    let top = (most as f64 / 10.0).ceil() * 10.0;
    let x =
        |nodes: usize| LEFT + ((nodes as f64).log10() - 2.0) / 2.0 * (WIDTH - LEFT - 2.0 * MARGIN);
    let y = |queries: f64| HEIGHT - BELOW - queries / top * (HEIGHT - BELOW - MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Questions of a lookup by the size of the network</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for step in 0..=(top / 10.0) as usize {
        let queries = (step * 10) as f64;
        let at = y(queries);
        let _ =
            writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{:.1}\" stroke=\"#ddd\"/>", WIDTH - MARGIN);
        text(&mut svg, LEFT - 8.0, at + 4.0, "end", &format!("{queries:.0}"));
    }
    for grown in growth {
        text(&mut svg, x(grown.nodes), HEIGHT - BELOW + 18.0, "middle", &grown.nodes.to_string());
    }
    text(&mut svg, (WIDTH + LEFT) / 2.0, HEIGHT - 10.0, "middle", "nodes in the network");
    for (color, name) in [("#8d99ae", MOST), ("#c8553d", MEAN)] {
        let value = |grown: &Grown| if name == MOST { grown.most as f64 } else { grown.queries };
        let points: Vec<String> = growth
            .iter()
            .map(|grown| format!("{:.1},{:.1}", x(grown.nodes), y(value(grown))))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
        for grown in growth {
            let (x, y) = (x(grown.nodes), y(value(grown)));
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>");
        }
        if let Some(last) = growth.last() {
            text(&mut svg, x(last.nodes), y(value(last)) - 8.0, "end", name);
        }
    }
    svg + "</svg>\n"
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#222\" text-anchor=\"{anchor}\">{text}</text>"
    );
}
