//! A sample of every kind of thing, in literal bytes.

use super::bytes::{INFO_HASH, handshake};
use crate::support::wire;
use piecemeal::trace::Object;
use piecemeal::trace::kind::Kind;

/// A thing and its kind.
pub struct Sample {
    pub what: &'static str,
    pub kind: Kind,
    pub bytes: Vec<u8>,
}

fn sample(what: &'static str, kind: Kind, bytes: impl AsRef<[u8]>) -> Sample {
    Sample { what, kind, bytes: bytes.as_ref().to_vec() }
}

pub const TORRENT: &[u8] = b"d8:announce30:http://127.0.0.1:6969/announce4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:ABCDEFGHIJKLMNOPQRSTe7:unknowni-1ee";

pub const UDP_CONNECT: &[u8] = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\xde\xad\xbe\xef";

pub fn udp_announce() -> Vec<u8> {
    let head = b"\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x01\xde\xad\xbe\xef";
    let counts = b"\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\x06\0\0\0\0\0\0\x01\x07";
    let rest = b"\0\0\0\x02\0\0\0\0\0\0\xab\xcd\xff\xff\xff\xff\x1a\xe1\x02\x09/announce\x01";
    [&head[..], INFO_HASH, b"-PM0001-abcdefghijkl", counts, rest].concat()
}

/// A seed over IPv4 that was dialed, a peer without flags, one over IPv6, one that has gone.
pub const PEX: &[u8] = b"d5:added12:\x7f\0\0\x02\x1a\xe1\x7f\0\0\x03\x1a\xe17:added.f2:\x12\x006:added618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe18:added6.f1:\x047:dropped6:\x7f\0\0\x04\x1a\xe1e";

/// What the messages about hashes begin with.
pub fn hashes(numbers: [u32; 4]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_be_bytes());
    [0xaa; 32].into_iter().chain(numbers).collect()
}

/// An answer to a scrape (BEP 48): one torrent.
pub fn scraped() -> Vec<u8> {
    [
        &b"d5:filesd20:"[..],
        INFO_HASH,
        b"d8:completei3e10:downloadedi17e10:incompletei1eee5:flagsd20:min_request_intervali900eee",
    ]
    .concat()
}

pub fn stream() -> Vec<u8> {
    [
        handshake(),
        wire::extended(0, b"d1:md11:ut_metadatai3ee13:metadata_sizei132e1:v13:Transmission e"),
        wire::message(wire::HAVE_ALL, b""),
        wire::keep_alive(),
        wire::extended(3, b"d8:msg_typei0e5:piecei0ee"),
        wire::block(1, 16384, &[7; 3000]),
    ]
    .concat()
}

/// All samples. Each also has a test of its own.
pub fn all() -> Vec<Sample> {
    let fixed = |id| wire::message(id, b"\0\0\0\x02\0\0\x40\0\0\0\x40\0");
    vec![
        sample("a torrent", Kind::Torrent, TORRENT),
        sample("any bencode", Kind::Bencode, b"d4:spaml1:a1:bi-7eee"),
        sample("peers, compact", Kind::Answer, b"d8:intervali1800e5:peers12:\x7f\0\0\x02\x1a\xe1\x7f\0\0\x03\x1a\xe26:peers618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1e\n"),
        sample("peers as dictionaries", Kind::Answer, b"d8:completei1e5:peersld2:ip9:127.0.0.27:peer id20:-PM0001-abcdefghijkl4:porti6881eeee"),
        sample("a refusal", Kind::Answer, b"d14:failure reason15:no such torrent8:retry in5:nevere"),
        sample("a scrape's answer", Kind::Answer, scraped()),
        sample("a handshake", Kind::Handshake, handshake()),
        sample("a stream", Kind::Stream, stream()),
        sample("keep-alive", Kind::Messages, wire::keep_alive()),
        sample("choke", Kind::Messages, wire::message(0, b"")),
        sample("unchoke", Kind::Messages, wire::message(1, b"")),
        sample("interested", Kind::Messages, wire::message(2, b"")),
        sample("not interested", Kind::Messages, wire::message(3, b"")),
        sample("have", Kind::Messages, wire::have(7)),
        sample("bitfield", Kind::Messages, wire::message(5, b"\xff\xe0\x01\x80")),
        sample("request", Kind::Messages, fixed(6)),
        sample("piece", Kind::Messages, wire::block(1, 16384, &[0xab; 400])),
        sample("cancel", Kind::Messages, fixed(8)),
        sample("port", Kind::Messages, wire::message(9, b"\x1a\xe1")),
        sample("suggest piece", Kind::Messages, wire::message(13, b"\0\0\0\x02")),
        sample("have all", Kind::Messages, wire::message(14, b"")),
        sample("have none", Kind::Messages, wire::message(15, b"")),
        sample("reject request", Kind::Messages, fixed(16)),
        sample("allowed fast", Kind::Messages, wire::message(17, b"\0\0\0\x02")),
        sample("an extension handshake", Kind::Messages, wire::extended(0, b"d1:md11:lt_donthavei7e11:ut_metadatai0ee1:pi6881e4:reqqi250e6:yourip4:\x7f\0\0\x01e")),
        sample("ut_metadata data", Kind::Messages, wire::extended(3, b"d8:msg_typei1e5:piecei0e10:total_sizei9eed4:infode")),
        sample("ut_metadata reject", Kind::Messages, wire::extended(3, b"d8:msg_typei2e5:piecei0ee")),
        sample("lt_donthave", Kind::Messages, wire::extended(7, b"\0\0\0\x05")),
        sample("ut_pex", Kind::Messages, wire::extended(1, PEX)),
        sample("hash request", Kind::Messages, wire::message(21, &hashes([2, 6, 2, 3]))),
        sample("hashes", Kind::Messages, wire::message(22, &[&hashes([2, 6, 2, 1])[..], &[1; 32], &[2; 32], &[3; 32]].concat())),
        sample("hash reject", Kind::Messages, wire::message(23, &hashes([0, 0, 512, 9]))),
        sample("the payload of an extension handshake", Kind::Extension, b"d1:md11:ut_metadatai3eee"),
        sample("the payload of a ut_metadata message", Kind::Metadata, b"d8:msg_typei0e5:piecei0ee"),
        sample("a UDP connect", Kind::Udp, UDP_CONNECT),
        sample("a UDP announce", Kind::Udp, udp_announce()),
        sample("a UDP scrape", Kind::Udp, [&b"\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x02\xde\xad\xbe\xef"[..], INFO_HASH].concat()),
        sample("a UDP connect's answer", Kind::Udp, b"\0\0\0\0\xde\xad\xbe\xef\x11\x22\x33\x44\x55\x66\x77\x88"),
        sample("a UDP announce's answer", Kind::Udp, b"\0\0\0\x01\xde\xad\xbe\xef\0\0\x07\x08\0\0\0\x01\0\0\0\x02\x7f\0\0\x02\x1a\xe1"),
        sample("a UDP scrape's answer", Kind::Udp, b"\0\0\0\x02\xde\xad\xbe\xef\0\0\0\x05\0\0\0\x06\0\0\0\x07"),
        sample("a UDP error", Kind::Udp, b"\0\0\0\x03\xde\xad\xbe\xefnot today\x1b[2J"),
        sample("a BT-SEARCH", Kind::BtSearch, b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: d69f91e6b2ae4c542468d1073a71d4ea13879a7f\r\nInfohash: none\r\nX-New: 1\r\ncookie: 1f0c93ab\r\nodd\r\n\r\n\r\n"),
        sample("a DHT query", Kind::Krpc, b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:scrapei1e4:wantl2:n42:n6ee1:q9:get_peers2:roi1e1:t2:aa1:v4:PM\0\x011:y1:qe"),
        sample("a DHT announce", Kind::Krpc, b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e4:seedi1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"),
        sample("a DHT answer", Kind::Krpc, dht_answer()),
        sample("a DHT error", Kind::Krpc, b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"),
        sample("a magnet link", Kind::Magnet, b"magnet:?xt=urn:btih:d69f91e6b2ae4c542468d1073a71d4ea13879a7f&dn=a+name&tr=udp%3A%2F%2F127.0.0.1%3A6969&x.pe=[::1]:6881&foo=bar"),
        sample("an announce", Kind::Url, b"http://127.0.0.1:6969/announce?passkey=x&info_hash=%d6%9f%91%e6%b2%aeLT%24h%d1%07%3aq%d4%ea%13%87%9a%7f&peer_id=-PM0001-abcdefghijkl&port=6881&uploaded=0&downloaded=0&left=92063&compact=1&event=started"),
        sample("a UDP tracker", Kind::Url, b"udp://tracker.example:6969"),
        sample("a peer id", Kind::PeerId, b"-TR3000-k8hj0wgej6ch"),
        sample("an info hash", Kind::InfoHash, b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f"),
        sample("reserved bytes", Kind::Reserved, b"\0\0\0\0\0\x10\0\x05"),
    ]
}

/// An answer with all that it may have.
fn dht_answer() -> Vec<u8> {
    let node = b"mnopqrstuvwxyz123456\x7f\0\0\x02\x1a\xe1";
    let node6 = b"mnopqrstuvwxyz123456\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1";
    [
        &b"d2:ip6:\x7f\0\0\x01\x1a\xe11:rd2:id20:abcdefghij01234567898:intervali60e5:nodes26:"[..],
        node,
        b"6:nodes638:",
        node6,
        b"3:numi7e1:pi6881e7:samples20:mnopqrstuvwxyz1234565:token8:aoeusnth6:valuesl6:\x7f\0\0\x03\x1a\xe118:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x1a\xe13:oddee1:t2:aa1:v4:LT\x02\x111:y1:re",
    ]
    .concat()
}

/// The description of a sample.
pub fn described(kind: Kind, bytes: &[u8]) -> Vec<(usize, Object)> {
    kind.describe(bytes, &Default::default())
        .into_iter()
        .map(|placed| (placed.at, placed.object))
        .collect()
}
