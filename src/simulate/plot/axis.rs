//! An axis: from values to places, with round numbers at its ticks.

/// The most ticks, the one at zero not counted.
const MOST_TICKS: f64 = 6.0;

/// An axis that begins at zero.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// The value at the far end, a multiple of `step`.
    pub most: f64,
    /// The distance between two ticks: 1, 2, 2.5 or 5 times a power of ten.
    pub step: f64,
}

impl Axis {
    /// Returns the axis on which all of these values have room.
    pub fn over(values: impl Iterator<Item = f64>) -> Axis {
        let most = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let power = 10f64.powi(libm::log10(most / MOST_TICKS).floor() as i32);
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| most / step <= MOST_TICKS)
            .unwrap_or(10.0 * power);
        Axis { most: step * (most / step - 1e-9).ceil(), step }
    }

    /// Returns where a value is, from 0 to 1. What has no room is at an end.
    pub fn place(&self, value: f64) -> f64 {
        let place = value / self.most;
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// Returns the values at which there is a tick.
    pub fn ticks(&self) -> Vec<f64> {
        let count = (self.most / self.step).round() as usize;
        (0..=count).map(|tick| tick as f64 * self.step).collect()
    }

    /// Returns a value as its tick says it, with no more decimals than the step needs.
    pub fn label(&self, value: f64) -> String {
        // 2.5 times a power of ten needs one decimal more than that power.
        let is_whole = |decimals: &i32| (self.step * 10f64.powi(*decimals)).fract() < 1e-6;
        let decimals = (0..4).find(is_whole).unwrap_or(4) as usize;
        with_commas(&format!("{value:.decimals$}"))
    }
}

/// Returns a number with a comma between each three digits, as in 12,000.
fn with_commas(number: &str) -> String {
    let (whole, rest) = number.split_once('.').unwrap_or((number, ""));
    let mut shown = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    if rest.is_empty() { shown } else { format!("{shown}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_no_value_is_beyond_the_last_one() {
        for (most, ticks) in [
            (1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"][..]),
            (7.0, &["0", "2", "4", "6", "8"]),
            (1_234.0, &["0", "250", "500", "750", "1,000", "1,250"]),
            (13.0, &["0.0", "2.5", "5.0", "7.5", "10.0", "12.5", "15.0"]),
            (0.031, &["0.00", "0.01", "0.02", "0.03", "0.04"]),
            (1e7, &["0", "2,000,000", "4,000,000", "6,000,000", "8,000,000", "10,000,000"]),
        ] {
            let axis = Axis::over([0.5 * most, most].into_iter());
            let shown: Vec<String> = axis.ticks().iter().map(|tick| axis.label(*tick)).collect();
            assert_eq!(shown, ticks, "{most}");
            assert!(axis.most >= most);
        }
    }

    #[test]
    fn an_axis_over_nothing_or_nonsense_is_still_an_axis() {
        for values in [&[][..], &[0.0], &[f64::NAN, f64::INFINITY], &[-3.0]] {
            let axis = Axis::over(values.iter().copied());
            assert_eq!((axis.most, axis.place(f64::INFINITY), axis.place(-1.0)), (1.0, 1.0, 0.0));
        }
    }
}
