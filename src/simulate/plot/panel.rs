//! The panels of a plot: curves, dots in rows, bars, and a matrix of shaded squares.
//!
//! Names stand beside what they name. A legend would have to be learned first, and six colors are
//! too many for that.

use super::axis::Axis;
use super::labels;
use super::svg::Svg;

/// The size of a panel, with its title, its names and its axes.
pub const SIZE: (f64, f64) = (530.0, 290.0);
/// What is around the plotted area: at the left the scale, below it as well, at the right the names
/// of curves.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 40.0;
/// The plotted area of curves.
const WIDE: f64 = SIZE.0 - LEFT - RIGHT;
const HIGH: f64 = SIZE.1 - TOP - BOTTOM;
/// What is free at the right of a panel that has its names at the left.
const MARGIN: f64 = 24.0;
/// Where the names of a matrix's columns are.
const NAMES: f64 = 58.0;
/// The width of a letter, about: fonts differ.
const LETTER: f64 = 7.0;
/// More points than this in one curve are more than a screen shows.
const MAX_POINTS: usize = 240;
/// More dots than this in one row are a bar. Of more peers, each second, third or tenth is shown.
const MAX_DOTS: usize = 200;

/// Something to show, by its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// One of the pictures of a plot.
#[derive(Debug, Clone, PartialEq)]
pub enum Panel {
    /// Values over time, and what the theory says about them.
    Curves {
        /// What is shown.
        title: String,
        /// The unit below, and the one at the side.
        units: (String, String),
        /// What was found.
        found: Vec<Series>,
        /// What is known, as thin lines.
        theory: Vec<Series>,
    },
    /// A row for each name, with a dot for each of its values.
    Dots {
        /// What is shown.
        title: String,
        /// The unit below.
        unit: String,
        /// The scale has room for this at least, so that two such panels can be compared.
        most: f64,
        /// A value that divides them, and what it means.
        fair: (f64, String),
        /// The rows, from the top.
        rows: Vec<(String, Vec<f64>)>,
    },
    /// A bar for each name.
    Bars {
        /// What is shown.
        title: String,
        /// What the length of a bar is.
        unit: String,
        /// The bars, from the top.
        bars: Vec<(String, f64)>,
    },
    /// Shares between 0 and 1: rows give, columns take.
    Matrix {
        /// What is shown.
        title: String,
        /// The names of the rows.
        givers: Vec<String>,
        /// The names of the columns.
        takers: Vec<String>,
        /// The rows.
        shares: Vec<Vec<f64>>,
    },
}

impl Panel {
    /// Draws it with its upper left corner here.
    pub fn draw(&self, svg: &mut Svg, x: f64, y: f64) {
        match self {
            Panel::Curves { title, units, found, theory } => {
                let all = || found.iter().chain(theory).flat_map(|series| &series.points);
                let across = Axis::over(all().map(|(x, _)| *x));
                let up = Axis::over(all().map(|(_, y)| *y));
                let frame = Frame { corner: (x + LEFT, y + TOP), across, up };
                svg.heading(x + LEFT, y + 18.0, title);
                if !theory.is_empty() {
                    svg.text(x + LEFT, y + 34.0, "start", "thin lines: what the theory says");
                }
                frame.draw(svg, units);
                theory.iter().for_each(|series| svg.thin_line(&frame.places(&series.points)));
                let places: Vec<_> =
                    found.iter().map(|series| frame.places(&series.points)).collect();
                places.iter().enumerate().for_each(|(kind, places)| svg.line(kind, places));
                name_curves(svg, &frame, found, &places);
            }
            Panel::Dots { title, unit, most, fair, rows } => {
                svg.heading(x + LEFT, y + 18.0, title);
                let values = rows.iter().flat_map(|(_, values)| values).copied();
                let axis = Axis::over(values.chain([*most, fair.0]));
                draw_rows(svg, (x, y), unit, &axis, fair, rows);
            }
            Panel::Bars { title, unit, bars } => draw_bars(svg, (x, y), title, unit, bars),
            Panel::Matrix { title, givers, takers, shares } => {
                svg.heading(x + LEFT, y + 18.0, title);
                svg.text(x + LEFT, y + 34.0, "start", "rows give, columns take");
                draw_squares(svg, (x, y), givers, takers, shares);
            }
        }
    }
}

/// Writes the name of each curve at the right, as near to its end as the others allow, with a
/// sample of its dashes.
fn name_curves(svg: &mut Svg, frame: &Frame, found: &[Series], places: &[Vec<(f64, f64)>]) {
    let (right, middle) = (frame.corner.0 + WIDE, frame.corner.1 + HIGH / 2.0);
    let mut ends: Vec<_> =
        (0..).zip(places).filter_map(|(kind, it)| Some((kind, *it.last()?))).collect();
    // Of those that end at the same height, the one that ends first is the farthest from it, or the
    // lines to their names would cross.
    let aside = |(x, y): (f64, f64)| if y < middle { -x } else { x };
    ends.sort_by(|(_, one), (_, other)| aside(*one).total_cmp(&aside(*other)));
    let heights: Vec<f64> = ends.iter().map(|(_, (_, y))| *y).collect();
    let room = (frame.corner.1, frame.corner.1 + HIGH);
    for ((kind, end), height) in ends.iter().zip(labels::spread(&heights, room)) {
        svg.rule(*end, (right + 6.0, height), 0.25);
        svg.line(*kind, &[(right + 6.0, height), (right + 24.0, height)]);
        svg.name(*kind, (right + 28.0, height + 4.0), &found[*kind].name);
    }
}

/// The plotted area of a panel with two axes.
struct Frame {
    /// Its upper left corner.
    corner: (f64, f64),
    across: Axis,
    up: Axis,
}

impl Frame {
    /// Draws axes, ticks and units.
    fn draw(&self, svg: &mut Svg, units: &(String, String)) {
        let (x, y) = self.corner;
        let foot = y + HIGH;
        for tick in self.up.ticks() {
            let at = foot - HIGH * self.up.place(tick);
            svg.rule((x, at), (x + WIDE, at), if tick == 0.0 { 0.8 } else { 0.12 });
            svg.text(x - 6.0, at + 4.0, "end", &self.up.label(tick));
        }
        draw_scale(svg, (x, foot), WIDE, &self.across, &units.0);
        svg.rule((x, y), (x, foot), 0.8);
        svg.upwards(x - 44.0, y + HIGH / 2.0, &units.1);
    }

    /// Returns where these points are on the page. Of a long series some are left out, never the
    /// last one.
    fn places(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let every = points.len().div_ceil(MAX_POINTS).max(1);
        let last = points.len().saturating_sub(1);
        let shown = points.iter().enumerate().filter(|(at, _)| at % every == 0 || *at == last);
        let finite = shown.filter(|(_, (x, y))| x.is_finite() && y.is_finite());
        let place = |(x, y): &(f64, f64)| {
            let (left, top) = self.corner;
            let down = HIGH * (1.0 - self.up.place(*y));
            (left + WIDE * self.across.place(*x), top + down)
        };
        finite.map(|(_, point)| place(point)).collect()
    }
}

/// Draws the ticks of an axis below a plotted area, and its unit.
fn draw_scale(svg: &mut Svg, (x, foot): (f64, f64), wide: f64, axis: &Axis, unit: &str) {
    for tick in axis.ticks() {
        let at = x + wide * axis.place(tick);
        svg.rule((at, foot), (at, foot + 4.0), 0.8);
        svg.text(at, foot + 16.0, "middle", &axis.label(tick));
    }
    svg.text(x + wide / 2.0, foot + 32.0, "middle", unit);
}

/// Draws a row of dots for each name, its median as a stroke, and the value that divides them.
fn draw_rows(
    svg: &mut Svg,
    (x, y): (f64, f64),
    unit: &str,
    axis: &Axis,
    (fair, meaning): &(f64, String),
    rows: &[(String, Vec<f64>)],
) {
    let left = x + names_wide(rows.iter().map(|(name, _)| name));
    let wide = x + SIZE.0 - MARGIN - left;
    let high = ((HIGH - 16.0) / rows.len().max(1) as f64).min(48.0);
    let (top, foot) = (y + TOP + 12.0, y + TOP + 12.0 + high * rows.len() as f64);
    let at = |value: f64| left + wide * axis.place(value);
    svg.rule((at(*fair), top - 4.0), (at(*fair), foot), 0.5);
    svg.text(at(*fair), top - 8.0, "middle", meaning);
    for (kind, (name, values)) in rows.iter().enumerate() {
        let middle = top + high * (kind as f64 + 0.5);
        svg.text(left - 8.0, middle + 4.0, "end", name);
        let mut values: Vec<f64> = values.iter().copied().filter(|it| it.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let every = values.len().div_ceil(MAX_DOTS).max(1);
        for (number, value) in values.iter().step_by(every).enumerate() {
            // Equal values side by side, or a hundred dots would be one: 7 has no factor in common
            // with 11, so neighbors are at different heights.
            let aside = ((number * 7) % 11) as f64 / 10.0 - 0.5;
            svg.mark(kind, at(*value), middle + aside * high * 0.6);
        }
        if let Some(median) = values.get(values.len() / 2) {
            svg.rule((at(*median), middle - high * 0.45), (at(*median), middle + high * 0.45), 1.0);
        }
    }
    draw_scale(svg, (left, foot), wide, axis, unit);
    svg.rule((left, foot), (left + wide, foot), 0.8);
}

/// Returns how much room names at the left take.
fn names_wide<'n>(names: impl Iterator<Item = &'n String>) -> f64 {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or(0);
    (LETTER * longest as f64 + 16.0).clamp(LEFT, SIZE.0 / 2.0)
}

fn draw_bars(svg: &mut Svg, (x, y): (f64, f64), title: &str, unit: &str, bars: &[(String, f64)]) {
    let label = names_wide(bars.iter().map(|(name, _)| name));
    let wide = SIZE.0 - label - MARGIN - 40.0;
    let axis = Axis::over(bars.iter().map(|(_, value)| *value));
    let line = (HIGH / bars.len().max(1) as f64).min(26.0);
    svg.heading(x + LEFT, y + 18.0, title);
    svg.text(x + LEFT, y + 34.0, "start", unit);
    for (number, (name, value)) in bars.iter().enumerate() {
        let top = y + 48.0 + line * number as f64;
        let middle = top + line / 2.0 + 2.0;
        svg.text(x + label, middle, "end", name);
        let long = wide * axis.place(*value);
        svg.fill(number, (x + label + 6.0, top), (long, line - 6.0), 0.75);
        let shown = match value {
            value if !value.is_finite() => "-".to_owned(),
            value if axis.most >= 20.0 => format!("{value:.0}"),
            value => format!("{value:.2}"),
        };
        svg.text(x + label + long + 11.0, middle, "start", &shown);
    }
}

fn draw_squares(
    svg: &mut Svg,
    (x, y): (f64, f64),
    givers: &[String],
    takers: &[String],
    shares: &[Vec<f64>],
) {
    let label = names_wide(givers.iter());
    let high = ((HIGH - 20.0) / givers.len().max(1) as f64).min(48.0);
    let wide = ((SIZE.0 - label - MARGIN) / takers.len().max(1) as f64).min(90.0);
    for (column, name) in takers.iter().enumerate() {
        svg.text(x + label + wide * (column as f64 + 0.5), y + NAMES, "middle", name);
    }
    for (row, (name, shares)) in givers.iter().zip(shares).enumerate() {
        let top = y + NAMES + 8.0 + high * row as f64;
        let middle = top + high / 2.0 + 3.0;
        svg.text(x + label - 6.0, middle, "end", name);
        for (column, share) in shares.iter().enumerate() {
            let left = x + label + wide * column as f64;
            let shade = 0.06 + 0.64 * share.clamp(0.0, 1.0);
            svg.fill(1, (left, top), (wide - 2.0, high - 2.0), shade);
            svg.text(left + wide / 2.0 - 1.0, middle, "middle", &format!("{share:.2}"));
        }
    }
}
