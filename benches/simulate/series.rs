//! The swarms that are measured: series in which one thing varies, and the sizes of the goals.

use crate::Summary;
use crate::swarm::{Cost, Size, VIEW};

/// Swarms to be measured.
pub struct Series {
    pub name: &'static str,
    pub sizes: Vec<Size>,
}

/// What they took.
pub struct Found {
    pub name: &'static str,
    pub costs: Vec<Cost>,
}

/// The name of the series that is none: the sizes of the goals.
pub const TARGETS: &str = "targets";

/// All of them, in the order of the page.
pub fn all() -> Vec<Series> {
    let size = |peers, pieces, view| Size { peers, pieces, view };
    let peers = [100, 200, 500, 1_000, 2_000, 5_000].map(|peers| size(peers, 100, VIEW));
    let pieces = [100, 200, 400, 800, 1_600].map(|pieces| size(200, pieces, VIEW));
    let neighbors = [10, 20, 35, 50, 70, 100].map(|view| size(500, 100, view));
    let targets = [(200, 200), (1_000, 1_000), (10_000, 100)];
    let targets = targets.map(|(peers, pieces)| size(peers, pieces, VIEW));
    vec![
        Series { name: "peers", sizes: peers.into() },
        Series { name: "pieces", sizes: pieces.into() },
        Series { name: "neighbors", sizes: neighbors.into() },
        Series { name: TARGETS, sizes: targets.into() },
    ]
}

impl Series {
    /// Measures each swarm.
    pub fn measure(&self, runs: usize) -> Summary<Found> {
        let costs = self.sizes.iter().map(|size| size.measure(runs));
        Ok(Found { name: self.name, costs: costs.collect::<Summary<_>>()? })
    }
}

impl Found {
    /// Whether one thing varies, and the others do not.
    pub fn is_series(&self) -> bool {
        self.name != TARGETS
    }

    /// Its name on the page.
    pub fn title(&self) -> &'static str {
        match self.name {
            "peers" => "More peers",
            "pieces" => "More pieces",
            "neighbors" => "More neighbors",
            _ => "Sizes of the goals",
        }
    }

    /// The power of the work with which the time grows, 1 if it is proportional: the slope of the
    /// straight line that fits best where both axes are logarithmic.
    pub fn power(&self) -> Option<f64> {
        let points: Vec<(f64, f64)> =
            self.costs.iter().map(|cost| (cost.work().ln(), cost.cpu.ln())).collect();
        let count = points.len() as f64;
        let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
        let (x, y) = (mean(|point| point.0), mean(|point| point.1));
        let both: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
        let square: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
        (square > 0.0).then(|| both / square)
    }
}
