//! Bytes broken in every way: cut at each length, with flipped bits, and plain noise. No
//! description panics, leaves a gap, or grows without bound.

use super::bytes::sound;
use super::samples::{all, described};
use piecemeal::trace::kind::Kind;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// All objects of a description are sound, and only the last may be broken.
#[track_caller]
fn is_sound(kind: Kind, bytes: &[u8]) -> bool {
    let objects = described(kind, bytes);
    let mut end = 0;
    for (at, object) in &objects {
        assert_eq!(*at, end, "objects lie end to end");
        sound(object, &bytes[*at..]);
        end += object.length;
    }
    let (last, before) = match objects.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &objects[..]),
    };
    assert!(
        before.iter().all(|(_, object)| object.broken.is_none()),
        "a broken object is the last"
    );
    last.is_some_and(|(_, object)| object.broken.is_some())
}

#[test]
fn every_sample_is_whole_and_known_for_what_it_is() {
    for sample in all() {
        assert!(
            !is_sound(sample.kind, &sample.bytes),
            "{}: {:?}",
            sample.what,
            described(sample.kind, &sample.bytes)
        );
        assert_eq!(Kind::of(&sample.bytes), Some(sample.kind), "{}", sample.what);
    }
}

#[test]
fn every_kind_has_a_sample_and_a_name_by_which_it_is_found() {
    for kind in Kind::all() {
        assert_eq!(Kind::named(kind.name()), Some(kind));
        // A packet does not show its address family.
        assert!(kind == Kind::Udp6 || all().iter().any(|sample| sample.kind == kind), "{kind:?}");
    }
    assert_eq!((Kind::named("message"), Kind::named("nonsense")), (Some(Kind::Messages), None));
}

/// A shorter thing can be whole: a stream between two messages, a URL, a text.
#[test]
fn what_is_cut_short_is_broken_at_its_end_or_whole() {
    let may_be_whole =
        [Kind::Stream, Kind::Messages, Kind::Url, Kind::Magnet, Kind::Udp, Kind::Metadata];
    for sample in all() {
        for length in 1..sample.bytes.len() {
            let cut = &sample.bytes[..length];
            let broken = is_sound(sample.kind, cut);
            let only_space = sample.bytes[length..].iter().all(u8::is_ascii_whitespace);
            assert!(
                broken || only_space || may_be_whole.contains(&sample.kind),
                "{} cut to {length}",
                sample.what
            );
            if let Some(kind) = Kind::of(cut) {
                is_sound(kind, cut);
            }
        }
    }
}

/// With a fixed layout, an object that is cut short breaks at the cut.
#[test]
fn the_place_of_the_cut_is_named() {
    for sample in all()
        .iter()
        .filter(|sample| [Kind::Handshake, Kind::PeerId, Kind::Reserved].contains(&sample.kind))
    {
        for length in 1..sample.bytes.len() {
            let (_, object) = described(sample.kind, &sample.bytes[..length]).remove(0);
            let broken = object.broken.expect("it is cut short");
            assert_eq!(broken.range, length..length, "{} cut to {length}", sample.what);
        }
    }
}

#[test]
fn every_kind_takes_every_other_kinds_bytes_and_nothing_at_all() {
    for kind in Kind::all() {
        is_sound(kind, b"");
        for sample in all() {
            is_sound(kind, &sample.bytes);
        }
    }
    assert_eq!(Kind::of(b""), None);
}

#[test]
fn bits_that_are_turned_over_do_no_harm() {
    let mut random = StdRng::seed_from_u64(5);
    for sample in all() {
        for _ in 0..300 {
            let mut bytes = sample.bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] ^= 1 << random.random_range(0..8);
            }
            is_sound(sample.kind, &bytes);
            if let Some(kind) = Kind::of(&bytes) {
                is_sound(kind, &bytes);
            }
        }
    }
}

#[test]
fn noise_does_no_harm() {
    let mut random = StdRng::seed_from_u64(6);
    // Use bytes with a meaning somewhere more often than chance would.
    let likely = b"dlei0123456789::\0\0\0\0\x01\x13\x14%&=?\x1b\xe2\x80\xae\xef\xbb\xbf";
    for _ in 0..4_000 {
        let length = random.random_range(0..200);
        let byte = |random: &mut StdRng| {
            if random.random_bool(0.7) {
                likely[random.random_range(0..likely.len())]
            } else {
                random.random()
            }
        };
        let bytes: Vec<u8> = (0..length).map(|_| byte(&mut random)).collect();
        for kind in Kind::all() {
            is_sound(kind, &bytes);
        }
        if let Some(kind) = Kind::of(&bytes) {
            is_sound(kind, &bytes);
        }
    }
}
