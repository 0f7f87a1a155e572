//! The panels of a plot: curves, dots with a diagonal, bars, and a matrix of shaded squares.

use super::axis::Axis;
use super::svg::Svg;

/// The size of a panel, with its title, its legend and its axes.
pub const SIZE: (f64, f64) = (390.0, 310.0);
/// What is around the plotted area. Above it are the title and the legend's lines.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 18.0;
const BOTTOM: f64 = 40.0;
/// The width of the plotted area, and its height without a legend.
const WIDE: f64 = SIZE.0 - LEFT - RIGHT;
const HIGH: f64 = SIZE.1 - 40.0 - BOTTOM;
/// Where the first line of a legend is, and how far it is to the next.
const LEGEND: f64 = 34.0;
const LINE: f64 = 14.0;
/// Where the names of a matrix's columns are.
const NAMES: f64 = 58.0;
/// The width of a letter in a legend, about.
const LETTER: f64 = 6.4;
/// More points than this in one curve are more than a screen shows.
const MAX_POINTS: usize = 240;

/// Something to show, by its name in the legend.
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
    /// A mark for each peer: both axes are alike, and the diagonal is drawn.
    Dots {
        /// What is shown.
        title: String,
        /// The unit below, and the one at the side.
        units: (String, String),
        /// What was found.
        found: Vec<Series>,
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
                let legend = Legend::of(found, theory);
                let frame = Frame::below(&legend, (x, y), across, up);
                frame.draw(svg, title, units);
                for (kind, series) in found.iter().enumerate() {
                    svg.line(kind, &frame.places(&series.points));
                }
                theory.iter().for_each(|series| svg.thin_line(&frame.places(&series.points)));
                legend.draw(svg, (x, y), |svg, kind, points| svg.line(kind, points));
            }
            Panel::Dots { title, units, found } => {
                let all = found.iter().flat_map(|series| &series.points);
                let axis = Axis::over(all.flat_map(|(x, y)| [*x, *y]));
                let legend = Legend::of(found, &[]);
                let frame = Frame::below(&legend, (x, y), axis, axis);
                frame.draw(svg, title, units);
                svg.thin_line(&frame.places(&[(0.0, 0.0), (axis.most, axis.most)]));
                for (kind, series) in found.iter().enumerate() {
                    for (x, y) in frame.places(&series.points) {
                        svg.mark(kind, x, y);
                    }
                }
                legend.draw(svg, (x, y), |svg, kind, [from, to]| {
                    svg.mark(kind, (from.0 + to.0) / 2.0, from.1);
                });
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

/// The names of the series, in as many lines as they need.
struct Legend<'s> {
    /// Each with its place, and its kind; a theory has none.
    names: Vec<(&'s str, (f64, f64), Option<usize>)>,
    lines: usize,
}

impl<'s> Legend<'s> {
    /// Lays out the names. Theories that are called the same are named once, at the end.
    fn of(found: &'s [Series], theory: &'s [Series]) -> Legend<'s> {
        let mut theories: Vec<&str> = theory.iter().map(|series| series.name.as_str()).collect();
        theories.dedup();
        let kinds = found.iter().enumerate().map(|(kind, it)| (it.name.as_str(), Some(kind)));
        let (mut at, mut line) = (0.0, 0);
        let mut names = Vec::new();
        for (name, kind) in kinds.chain(theories.into_iter().map(|name| (name, None))) {
            let wide = 38.0 + LETTER * name.chars().count() as f64;
            if at > 0.0 && at + wide > WIDE + RIGHT {
                (at, line) = (0.0, line + 1);
            }
            names.push((name, (LEFT + at, LEGEND + LINE * line as f64), kind));
            at += wide;
        }
        Legend { names, lines: line + 1 }
    }

    /// Draws each name, with a sample of its series before it.
    fn draw(
        &self,
        svg: &mut Svg,
        (x, y): (f64, f64),
        sample: impl Fn(&mut Svg, usize, &[(f64, f64); 2]),
    ) {
        for (name, (right, down), kind) in &self.names {
            let (at, line) = (x + right, y + down);
            let points = [(at, line - 4.0), (at + 20.0, line - 4.0)];
            match kind {
                Some(kind) => sample(svg, *kind, &points),
                None => svg.thin_line(&points),
            }
            svg.text(at + 24.0, line, "start", name);
        }
    }
}

/// The plotted area of a panel with two axes.
struct Frame {
    /// Its upper left corner.
    corner: (f64, f64),
    high: f64,
    /// Where the title is.
    title: f64,
    across: Axis,
    up: Axis,
}

impl Frame {
    /// Returns the area that a legend leaves.
    fn below(legend: &Legend, (x, y): (f64, f64), across: Axis, up: Axis) -> Frame {
        let top = LEGEND + LINE * legend.lines as f64;
        let high = SIZE.1 - top - BOTTOM;
        Frame { corner: (x + LEFT, y + top), high, title: y + 18.0, across, up }
    }

    /// Draws title, axes, ticks and units.
    fn draw(&self, svg: &mut Svg, title: &str, units: &(String, String)) {
        let (x, y) = self.corner;
        let foot = y + self.high;
        svg.heading(x, self.title, title);
        for tick in self.up.ticks() {
            let at = foot - self.high * self.up.place(tick);
            svg.rule((x, at), (x + WIDE, at), if tick == 0.0 { 0.8 } else { 0.12 });
            svg.text(x - 6.0, at + 4.0, "end", &self.up.label(tick));
        }
        for tick in self.across.ticks() {
            let at = x + WIDE * self.across.place(tick);
            svg.rule((at, foot), (at, foot + 4.0), 0.8);
            svg.text(at, foot + 16.0, "middle", &self.across.label(tick));
        }
        svg.rule((x, y), (x, foot), 0.8);
        svg.text(x + WIDE / 2.0, foot + 32.0, "middle", &units.0);
        svg.upwards(x - 44.0, y + self.high / 2.0, &units.1);
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
            let down = self.high * (1.0 - self.up.place(*y));
            (left + WIDE * self.across.place(*x), top + down)
        };
        finite.map(|(_, point)| place(point)).collect()
    }
}

fn draw_bars(svg: &mut Svg, (x, y): (f64, f64), title: &str, unit: &str, bars: &[(String, f64)]) {
    let longest = bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let label = (LETTER * longest as f64 + 12.0).clamp(40.0, SIZE.0 / 2.0);
    let wide = SIZE.0 - label - RIGHT - 40.0;
    let axis = Axis::over(bars.iter().map(|(_, value)| *value));
    let line = ((HIGH - 20.0) / bars.len().max(1) as f64).min(26.0);
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
    let longest = givers.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let label = (LETTER * longest as f64 + 16.0).max(LEFT);
    let high = ((HIGH - 40.0) / givers.len().max(1) as f64).min(56.0);
    let wide = ((SIZE.0 - label - RIGHT) / takers.len().max(1) as f64).min(90.0);
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
