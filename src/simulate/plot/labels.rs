//! Where the names of curves go: each near the end of its own, and none over another.

/// The height of a line of text.
const LINE: f64 = 14.0;

/// Returns a height for each name, in the order of `wanted`: as near to what it wants as the others
/// allow, between the top and the bottom. Names that want the same height keep their order.
pub fn spread(wanted: &[f64], (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    // Down from the top, each below the one before; then up from the bottom, for what fell out.
    let mut heights: Vec<f64> = Vec::new();
    for at in &order {
        let free = heights.last().map_or(top, |above| above + LINE);
        heights.push(wanted[*at].max(free));
    }
    let mut free = bottom;
    for height in heights.iter_mut().rev() {
        *height = height.min(free);
        free = *height - LINE;
    }
    let mut places = vec![0.0; wanted.len()];
    order.into_iter().zip(heights).for_each(|(at, height)| places[at] = height);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_beside_their_curves_where_they_can() {
        assert_eq!(spread(&[50.0, 10.0, 90.0], (0.0, 100.0)), [50.0, 10.0, 90.0]);
        assert_eq!(spread(&[], (0.0, 100.0)), [0.0; 0]);
    }

    #[test]
    fn names_that_want_one_height_stand_in_their_order_and_inside() {
        assert_eq!(spread(&[10.0, 10.0, 10.0], (0.0, 100.0)), [10.0, 24.0, 38.0]);
        assert_eq!(spread(&[100.0, 100.0, 20.0], (0.0, 100.0)), [86.0, 100.0, 20.0]);
        let six = spread(&[98.0, 99.0, 97.0, 100.0, 100.0, 3.0], (0.0, 100.0));
        assert_eq!(six, [58.0, 72.0, 44.0, 86.0, 100.0, 3.0]);
    }
}
