//! The bitfield: a bit for each piece that there is, and none for any other.

use piecemeal::s05_messages::bitfield::Bitfield;

use super::{bounded, is_printable};

/// The input is a number of pieces, and the payload of a message.
pub fn check(input: &[u8]) {
    let Some((&[low, high], bits)) = input.split_first_chunk() else { return };
    let pieces = u32::from(u16::from_le_bytes([low, high]));
    let mut bitfield = match bounded(input.len(), 8, || Bitfield::decode(bits, pieces)) {
        Ok(bitfield) => bitfield,
        Err(error) => return is_printable(error),
    };
    assert_eq!(bits.len(), pieces.div_ceil(8) as usize);
    let bit = |index: u32| {
        bits.get(index as usize / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1)
    };
    let there: Vec<u32> = (0..pieces).filter(|index| bit(*index)).collect();
    assert_eq!(bitfield.iter().collect::<Vec<_>>(), there);
    assert_eq!(
        (bitfield.count() as usize, bitfield.is_full()),
        (there.len(), there.len() == pieces as usize)
    );
    assert_eq!(Bitfield::decode(&bitfield.encode(), pieces), Ok(bitfield.clone()));
    assert_eq!(
        bitfield.words().iter().map(|word| word.count_ones()).sum::<u32>(),
        bitfield.count()
    );

    // Turned over one by one, the set becomes the others, and then full.
    for index in 0..pieces + 70 {
        let (had, changed) = (bitfield.has(index), bitfield.set(index, !bit(index)));
        assert_eq!((had, changed), (bit(index) && index < pieces, index < pieces));
    }
    assert_eq!(bitfield.count() as usize, pieces as usize - there.len());
    there.iter().for_each(|index| assert!(bitfield.set(*index, true)));
    assert_eq!(bitfield, Bitfield::full(pieces));
}
