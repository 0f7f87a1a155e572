//! The dice of a run: the same seed, the same throws, with every version of every library.

/// A small generator ("SplitMix64"): one addition and a few shifts a throw. It is no secret what
/// comes next, and need not be.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Returns the dice of a seed.
    pub fn new(seed: u64) -> Dice {
        // Neighboring seeds differ in a few bits. Their first throws have nothing in common, so
        // those are where the dice begin.
        let mut start = Dice(seed ^ 0x5851_F42D_4C95_7F2D);
        Dice(start.throw())
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below this one, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.throw()) * limit as u128) >> 64) as usize
    }

    /// Returns a number from 0 up to and not including 1.
    pub fn unit(&mut self) -> f64 {
        (self.throw() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns a random time with this mean. It is the pause between events that come independently
    /// of each other, such as arrivals.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        // Not the logarithm of the system: its last bit differs from one to another, and the same
        // seed is to give the same swarm everywhere.
        -mean * libm::log(1.0 - self.unit())
    }

    /// Returns up to `wanted` different numbers below `limit`, in random order.
    pub fn choose(&mut self, limit: usize, wanted: usize) -> Vec<usize> {
        if wanted >= limit / 2 {
            let mut all: Vec<usize> = (0..limit).collect();
            for at in 0..wanted.min(limit.saturating_sub(1)) {
                let other = at + self.below(limit - at);
                all.swap(at, other);
            }
            all.truncate(wanted);
            return all;
        }
        let mut chosen = Vec::with_capacity(wanted);
        while chosen.len() < wanted {
            let number = self.below(limit);
            if !chosen.contains(&number) {
                chosen.push(number);
            }
        }
        chosen
    }
}
