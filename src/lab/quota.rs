//! Limits the tracker's notes about each address: its log grows with time, not with packets.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::s04_handshake::origin::Origin;

/// The notes in a row about one address, and then for each second. That is enough for a
/// class behind one router, whose thirty clients announce every other second.
const OF_ONE: Allowance = Allowance { burst: 100.0, each_second: 10.0 };
/// The notes about all packets with an unproved sender: each may name another address.
const OF_STRANGERS: Allowance = Allowance { burst: 20.0, each_second: 1.0 };
/// The most addresses with a quota of their own.
const MAX_ORIGINS: usize = 1_000;

struct Allowance {
    burst: f64,
    each_second: f64,
}

/// The notes that are left.
#[derive(Debug)]
struct Quota {
    left: f64,
    at: Instant,
    passed_over: u64,
}

impl Quota {
    /// Takes one note, and returns the number of those passed over since the last one; `None` if
    /// none is left.
    fn take(&mut self, rate: &Allowance, now: Instant) -> Option<u64> {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left, self.at) = ((self.left + since * rate.each_second).min(rate.burst), now);
        if self.left < 1.0 {
            self.passed_over += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.passed_over))
    }
}

/// The quotas of all addresses.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    strangers: Option<Quota>,
    by_origin: HashMap<Origin, Quota>,
    forgot: Option<Instant>,
}

impl Quotas {
    /// Takes one note about this address, or about an unproved one. Returns the number of notes
    /// passed over before it, or `None` if it is one too many.
    pub fn take(&mut self, about: Option<Origin>, now: Instant) -> Option<u64> {
        let new = |rate: &Allowance| Quota { left: rate.burst, at: now, passed_over: 0 };
        let Some(origin) = about else {
            return self
                .strangers
                .get_or_insert_with(|| new(&OF_STRANGERS))
                .take(&OF_STRANGERS, now);
        };
        if self.by_origin.len() >= MAX_ORIGINS && !self.by_origin.contains_key(&origin) {
            self.forget(now);
            if self.by_origin.len() >= MAX_ORIGINS {
                return self.take(None, now);
            }
        }
        self.by_origin.entry(origin).or_insert_with(|| new(&OF_ONE)).take(&OF_ONE, now)
    }

    /// Forgets addresses whose quota is full again. At most once a second, since it looks at
    /// all of them.
    fn forget(&mut self, now: Instant) {
        if self
            .forgot
            .is_some_and(|last| now.saturating_duration_since(last) < Duration::from_secs(1))
        {
            return;
        }
        self.forgot = Some(now);
        let whole = Duration::from_secs_f64(OF_ONE.burst / OF_ONE.each_second);
        self.by_origin.retain(|_, quota| now.saturating_duration_since(quota.at) < whole);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// Returns how many of `count` notes in a second pass, and how many are counted with them.
    fn told(
        quotas: &mut Quotas,
        count: u32,
        begun: Instant,
        about: impl Fn(u32) -> Option<Origin>,
    ) -> (usize, u64) {
        let at = |number| begun + Duration::from_secs(1) * number / count;
        let told: Vec<u64> =
            (0..count).filter_map(|number| quotas.take(about(number), at(number))).collect();
        (told.len(), told.iter().sum())
    }

    fn origin(number: u32) -> Option<Origin> {
        Some(Origin::of(Ipv4Addr::from_bits(number).into()))
    }

    #[test]
    fn what_is_told_grows_with_time_and_the_rest_is_counted() {
        let (mut quotas, begun) = (Quotas::default(), Instant::now());
        assert_eq!(told(&mut quotas, 20, begun, |_| None), (20, 0));
        for second in 1..10 {
            let (lines, _) =
                told(&mut quotas, 100_000, begun + Duration::from_secs(second), |_| None);
            assert!(lines <= 2, "{lines} lines in second {second}");
        }
        // The first one after the flood says how many there were.
        let passed_over =
            quotas.take(None, begun + Duration::from_secs(60)).expect("one is left again");
        assert!(passed_over > 90_000, "{passed_over}");
    }

    #[test]
    fn one_address_cannot_silence_another_and_neither_can_strangers() {
        let (mut quotas, begun) = (Quotas::default(), Instant::now());
        let (lines, _) = told(&mut quotas, 10_000, begun, |_| origin(1));
        assert!((100..=111).contains(&lines), "{lines} lines");
        told(&mut quotas, 10_000, begun, |_| None);
        assert_eq!(told(&mut quotas, 100, begun, |_| origin(2)), (100, 0));
    }

    #[test]
    fn with_an_address_for_each_note_it_does_not_grow_either() {
        let (mut quotas, begun) = (Quotas::default(), Instant::now());
        told(&mut quotas, 100_000, begun, origin);
        assert!(quotas.by_origin.len() <= MAX_ORIGINS);
        let (lines, _) = told(&mut quotas, 100_000, begun + Duration::from_secs(1), |number| {
            origin(number + 100_000)
        });
        assert!(lines <= 2, "{lines} lines");
    }
}
