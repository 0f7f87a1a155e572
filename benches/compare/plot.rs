//! The four downloads as bars: wall, CPU and peak memory of each client.

use std::fmt::Write;

use crate::clients::{FLOOR, OURS};
use crate::downloads::COLUMNS;
use crate::table::{Cell, Table, VALUES, Work};

const LABEL: f64 = 110.0;
const PANEL: f64 = 250.0;
const BAR: f64 = 13.0;
const LINE: f64 = 17.0;
const WIDTH: f64 = LABEL + 3.0 * PANEL;

/// The plot, as it goes into docs/. Each panel of each work has a scale of its own.
pub fn svg(table: &Table) -> String {
    let works: Vec<&Work> = COLUMNS.iter().filter_map(|job| table.work(job.name)).collect();
    let height: f64 =
        works.iter().map(|work| 40.0 + LINE * work.cells.len() as f64).sum::<f64>() + 30.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <title>Wall, CPU and peak memory of downloads</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for (panel, name) in ["wall", "CPU (user + system)", "peak memory"].into_iter().enumerate() {
        text(&mut svg, LABEL + PANEL * panel as f64, 18.0, "font-weight=\"bold\"", name);
    }
    let mut y = 44.0;
    for work in works {
        text(&mut svg, 8.0, y, "font-weight=\"bold\"", work.name.as_str());
        for (row, cell) in work.cells.iter().enumerate() {
            write_row(&mut svg, work, cell, y + 8.0 + LINE * row as f64);
        }
        y += 40.0 + LINE * work.cells.len() as f64;
    }
    svg + "</svg>\n"
}

fn write_row(svg: &mut String, work: &Work, cell: &Cell, y: f64) {
    text(svg, LABEL - 6.0, y + BAR - 3.0, "text-anchor=\"end\"", &cell.client);
    let color = match cell.client.as_str() {
        OURS => "#c8553d",
        FLOOR => "#8d99ae",
        _ => "#588b8b",
    };
    for (panel, value) in VALUES.into_iter().enumerate() {
        let most =
            work.cells.iter().map(|cell| cell.median(value)).fold(f64::MIN_POSITIVE, f64::max);
        let (x, found) = (LABEL + PANEL * panel as f64, cell.median(value));
        let width = (PANEL - 75.0) * found / most;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{color}\"/>"
        );
        let shown = match panel {
            2 => format!("{found:.1} MiB"),
            _ if found < 0.1 => format!("{:.1} ms", found * 1000.0),
            _ => format!("{found:.2} s"),
        };
        text(svg, x + width + 4.0, y + BAR - 3.0, "", &shown);
    }
}

fn text(svg: &mut String, x: f64, y: f64, style: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"#222\" {style}>{text}</text>");
}
