//! Time by peers x pieces x neighbors. Both axes are logarithmic, so what is proportional is a
//! straight line at 45 degrees.

use piecemeal::simulate::plot::svg::Svg;

use crate::series::Found;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// The plotted area's corner, and what is at its right and below.
const LEFT: f64 = 62.0;
const TOP: f64 = 56.0;
const RIGHT: f64 = 22.0;
const BELOW: f64 = 48.0;

/// The plot, as it goes into docs/.
pub fn svg(found: &[Found], proportion: f64) -> String {
    let costs = || found.iter().flat_map(|found| &found.costs);
    let across = Scale::over(costs().map(|cost| cost.work()), (LEFT, WIDTH - RIGHT));
    let up = Scale::over(costs().map(|cost| cost.cpu), (HEIGHT - BELOW, TOP));
    let mut svg = Svg::new(WIDTH, HEIGHT, "Time by peers x pieces x neighbors");
    draw_axes(&mut svg, &across, &up);
    // The line, as far as it is inside: it may leave at the sides, or above and below.
    let least = across.least().max(up.least() / proportion);
    let most = across.most().min(up.most() / proportion);
    let line = [least, most].map(|work| (across.place(work), up.place(work * proportion)));
    svg.thin_line(&line);
    let mut name_at = LEFT;
    for (kind, found) in found.iter().enumerate() {
        let points = found.costs.iter().map(|cost| (across.place(cost.work()), up.place(cost.cpu)));
        let points: Vec<(f64, f64)> = points.collect();
        if found.is_series() {
            svg.line(kind, &points);
        }
        points.iter().for_each(|(x, y)| svg.mark(kind, *x, *y));
        let name = found.title();
        svg.mark(kind, name_at + 4.0, 38.0);
        svg.text(name_at + 12.0, 42.0, "start", name);
        name_at += 34.0 + 6.0 * name.len() as f64;
    }
    svg.thin_line(&[(name_at, 38.0), (name_at + 20.0, 38.0)]);
    svg.text(name_at + 26.0, 42.0, "start", "proportional");
    svg.finish()
}

fn draw_axes(svg: &mut Svg, across: &Scale, up: &Scale) {
    let foot = HEIGHT - BELOW;
    svg.heading(LEFT, 20.0, "Time by peers x pieces x neighbors");
    for power in up.powers() {
        let at = up.place(10f64.powi(power));
        svg.rule((LEFT, at), (WIDTH - RIGHT, at), 0.12);
        svg.text(LEFT - 6.0, at + 4.0, "end", &label(power));
    }
    for power in across.powers() {
        let at = across.place(10f64.powi(power));
        svg.rule((at, foot), (at, foot + 4.0), 0.8);
        svg.text(at, foot + 17.0, "middle", &label(power));
    }
    svg.rule((LEFT, foot), (WIDTH - RIGHT, foot), 0.8);
    svg.rule((LEFT, TOP), (LEFT, foot), 0.8);
    svg.text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0, "middle", "peers x pieces x neighbors");
    svg.upwards(LEFT - 42.0, (TOP + foot) / 2.0, "seconds of CPU");
}

/// A power of ten, in words where that is shorter.
fn label(power: i32) -> String {
    match power {
        9.. => format!("{} G", 10i64.pow((power - 9).unsigned_abs())),
        6.. => format!("{} M", 10i64.pow((power - 6).unsigned_abs())),
        3.. => format!("{} k", 10i64.pow((power - 3).unsigned_abs())),
        0.. => 10i64.pow(power.unsigned_abs()).to_string(),
        _ => format!("{:.1$}", 10f64.powi(power), power.unsigned_abs() as usize),
    }
}

/// A logarithmic axis, from one power of ten to another.
struct Scale {
    least: i32,
    most: i32,
    /// Where it begins and ends on the page.
    ends: (f64, f64),
}

impl Scale {
    fn over(values: impl Iterator<Item = f64>, ends: (f64, f64)) -> Scale {
        let (least, most) = values.fold((f64::INFINITY, 0.0f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        let (least, most) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Scale { least, most: most.max(least + 1), ends }
    }

    fn least(&self) -> f64 {
        10f64.powi(self.least)
    }

    fn most(&self) -> f64 {
        10f64.powi(self.most)
    }

    fn powers(&self) -> std::ops::RangeInclusive<i32> {
        self.least..=self.most
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        self.ends.0 + part * (self.ends.1 - self.ends.0)
    }
}
