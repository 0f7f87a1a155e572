//! The messages, as bytes. The literals are written by hand from BEP 52, or were sent by
//! libtorrent 2.1.1.

use super::super::support::{assert_number, assert_value, assert_wire};
use super::tree::request;
use piecemeal::s23_v2::merkle::Hash;
use piecemeal::s24_hash_transfer::message::{
    HASH_REJECT, HASH_REQUEST, HASHES, HashMessage, HashMessageError, HashRequest, name,
};

const CLAUSE: &str = "BEP 52, hash messages";

/// The root of a file of 9,830,405 bytes in pieces of 16 KiB: 601 of them.
const ROOT: &str = "8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45";

fn root() -> [u8; 32] {
    hex::decode(ROOT).expect("hex").try_into().expect("32 bytes")
}

/// The last 128 of its layer, padding included, with a proof up to the root.
fn last_128() -> HashRequest {
    HashRequest { root: Hash(root()), base_layer: 0, index: 512, length: 128, proof_layers: 9 }
}

fn with(length: u32, proof_layers: u32) -> HashRequest {
    HashRequest { length, proof_layers, ..last_128() }
}

fn encoded(message: &HashMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_to(&mut bytes);
    bytes
}

#[test]
fn a_request_has_48_bytes_of_payload_and_so_has_its_reject() {
    let payload = hex::decode([ROOT, "00000000000002000000008000000009"].concat()).expect("hex");
    for (id, message) in
        [(0x15, HashMessage::Request(last_128())), (0x17, HashMessage::Reject(last_128()))]
    {
        let bytes = [&[0, 0, 0, 0x31, id], &payload[..]].concat();
        assert_wire(&encoded(&message), &bytes, CLAUSE);
        assert_eq!(HashMessage::decode(id, &payload), Ok(Some(message)), "{CLAUSE}");
    }
}

#[test]
fn an_answer_repeats_the_request_before_its_hashes() {
    // Two hashes next to each other, and the sibling of their parent.
    let asked = [3, 6, 2, 1];
    let payload = [request([0xaa; 32], asked), vec![1; 32], vec![2; 32], vec![3; 32]].concat();
    let request =
        HashRequest { root: Hash([0xaa; 32]), base_layer: 3, index: 6, length: 2, proof_layers: 1 };
    let message = HashMessage::Hashes(request, [1, 2, 3].map(|byte| Hash([byte; 32])).to_vec());
    assert_eq!(HashMessage::decode(22, &payload), Ok(Some(message.clone())), "{CLAUSE}");
    // 1 + 48 + 3 x 32 bytes.
    assert_wire(&encoded(&message), &[&[0, 0, 0, 145, 22], &payload[..]].concat(), CLAUSE);
}

#[test]
fn the_uncles_that_the_receiver_computes_are_not_sent() {
    // length, proof layers, uncles: BEP 52 leaves out the first log2(length) - 1 layers.
    for (length, proof, uncles) in [
        (2, 0, 0),
        (2, 1, 1),
        (2, 9, 9),
        (4, 1, 0),
        (4, 2, 1),
        (128, 9, 3),
        (512, 9, 1),
        (512, 8, 0),
        (512, 3, 0),
        (512, 0, 0),
        (1 << 31, u32::MAX, u32::MAX - 30),
    ] {
        let what = format!("uncles of {length} hashes with {proof} proof layers");
        assert_number(&what, with(length, proof).uncles(), uncles, CLAUSE, &[]);
    }
    // The table of libtorrent: 512 of 1,024 with a proof up to the root are 513 hashes.
    let hashes = vec![Hash::ZERO; 513];
    let bytes = encoded(&HashMessage::Hashes(with(512, 9), hashes));
    assert_number("bytes of that answer after its length", bytes.len() - 4, 16_465, CLAUSE, &[]);
}

#[test]
fn a_payload_that_is_short_or_long_is_refused_at_every_length() {
    let whole = request(root(), [0, 512, 128, 9]);
    for id in [HASH_REQUEST, HASH_REJECT] {
        for size in (0..100).filter(|size| *size != 48) {
            let mut payload = whole.clone();
            payload.resize(size, 0);
            let expected = HashMessageError::Size { id, expected: 48, found: size };
            assert_eq!(HashMessage::decode(id, &payload), Err(expected), "{size} bytes");
        }
    }
    // 131 hashes, and one byte less or more, or one hash.
    let expected = 48 + 131 * 32;
    for size in
        (0..48).chain([48, 49, 80, expected - 32, expected - 1, expected + 1, expected + 32])
    {
        let mut payload = whole.clone();
        payload.resize(size, 0);
        let error = HashMessage::decode(HASHES, &payload).expect_err("it is of a wrong size");
        let must = if size < 48 { 48 } else { expected as u64 };
        assert_eq!(error, HashMessageError::Size { id: 22, expected: must, found: size });
    }
    let mut payload = whole;
    payload.resize(expected, 0);
    let read = HashMessage::decode(HASHES, &payload);
    assert!(matches!(read, Ok(Some(HashMessage::Hashes(_, hashes))) if hashes.len() == 131));
}

#[test]
fn an_answer_that_claims_billions_of_hashes_is_refused_by_its_size() {
    // 2^31 hashes of 32 bytes and 2^32 - 31 uncles: more than 32 bits can count.
    let count = (1u64 << 31) + u64::from(u32::MAX - 30);
    let payload = request(root(), [u32::MAX, u32::MAX, 1 << 31, u32::MAX]);
    let expected = 48 + count * 32;
    let error = HashMessageError::Size { id: 22, expected, found: 48 };
    assert_eq!(HashMessage::decode(22, &payload), Err(error));
    // Hashes that make no subtree cannot have been asked for.
    for length in [0, 1, 3, 127, u32::MAX] {
        let payload = [request(root(), [0, 0, length, 9]), vec![0; 32]].concat();
        let error = HashMessageError::Length { found: length };
        assert_eq!(HashMessage::decode(22, &payload), Err(error));
        // Who asks for them gets a reject, and is not hung up on.
        let asked = HashMessage::decode(21, &request(root(), [0, 0, length, 9]));
        assert!(matches!(asked, Ok(Some(HashMessage::Request(_)))), "{asked:?}");
    }
}

#[test]
fn other_messages_are_left_to_others() {
    for id in (0..=u8::MAX).filter(|id| !(21..=23).contains(id)) {
        assert_eq!(HashMessage::decode(id, &[]), Ok(None), "message {id}");
        assert_eq!(name(id), None, "message {id}");
    }
    let names = [21, 22, 23].map(|id| name(id).unwrap_or_default());
    assert_value("names of 21 to 23", names, ["hash request", "hashes", "hash reject"], CLAUSE);
}
