//! Everything random in a check, from the seed of the exam: the same seed, the same scene.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sha1::{Digest, Sha1};

/// The dice of one check.
pub struct Dice(StdRng);

impl Dice {
    /// Returns the dice for a check. A name makes them another student's.
    pub fn new(seed: u64, name: &str, check: &str) -> Dice {
        let hash = Sha1::digest(format!("{seed}\n{name}\n{check}"));
        let mut start = [0; 32];
        start[..20].copy_from_slice(&hash);
        Dice(StdRng::from_seed(start))
    }

    /// Returns a number from `low` up to and including `high`.
    pub fn number(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// Returns a length from `low` up to and including `high`.
    pub fn length(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high)
    }

    /// Returns bytes, which are no text.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Returns twenty bytes.
    pub fn twenty(&mut self) -> [u8; 20] {
        self.0.random()
    }

    /// Returns a word of lowercase letters.
    pub fn word(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(self.0.random_range(b'a'..=b'z'))).collect()
    }

    /// Returns a peer id of a client that does not exist.
    pub fn peer_id(&mut self) -> [u8; 20] {
        let mut id = *b"-XX0000-............";
        id[1..3].copy_from_slice(self.word(2).to_uppercase().as_bytes());
        for byte in &mut id[8..] {
            *byte = self.0.random_range(b'0'..=b'9');
        }
        id
    }

    /// Returns the number that a peer gives an extension: never one that clients begin with.
    pub fn extension_id(&mut self) -> u8 {
        self.0.random_range(11..=250)
    }

    /// Returns one of these.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.random_range(0..all.len())]
    }

    /// Returns true for one in two.
    pub fn coin(&mut self) -> bool {
        self.0.random()
    }
}
