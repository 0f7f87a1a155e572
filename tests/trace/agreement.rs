//! The trace reports exactly those bytes as broken that the stages refuse.

use super::samples::{all, described};
use super::taken::taken;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

#[test]
fn the_trace_and_the_stages_agree_on_what_is_broken() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut good, mut bad) = (0, 0);
    for sample in all() {
        for _ in 0..400 {
            let mut bytes = sample.bytes.clone();
            for _ in 0..random.random_range(0..3) {
                let at = random.random_range(0..bytes.len());
                match random.random_range(0..4) {
                    0 => bytes.truncate(at + 1),
                    1 => bytes.insert(at, random.random()),
                    2 => bytes[at] = bytes[at].wrapping_add(1),
                    _ => bytes[at] ^= 1 << random.random_range(0..8),
                }
            }
            let Some(taken) = taken(sample.kind, &bytes) else { continue };
            let objects = described(sample.kind, &bytes);
            let whole = objects.iter().all(|(_, object)| object.broken.is_none());
            assert_eq!(whole, taken, "{}: {bytes:?}\n{objects:?}", sample.what);
            if taken { good += 1 } else { bad += 1 }
        }
    }
    assert!(good > 1_000 && bad > 1_000, "{good} good, {bad} bad");
}
