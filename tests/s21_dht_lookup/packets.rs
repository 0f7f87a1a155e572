//! Packets, byte by byte.

use std::net::SocketAddr;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::krpc::{
    Body, Contact, KrpcError, MAX_NODES, MAX_VALUES, Packet, Query, Response, Samples, VERSION,
    Want, program,
};
use piecemeal::s21_dht_lookup::node_id::NodeId;

use crate::support::{assert_read, assert_value, assert_wire};

const CLAUSE: &str = "BEP 5, KRPC";

const ABC: NodeId = NodeId(*b"abcdefghij0123456789");
const MNO: NodeId = NodeId(*b"mnopqrstuvwxyz123456");
const HASH: InfoHash = InfoHash(*b"mnopqrstuvwxyz123456");

// The packets of BEP 5.
pub const PING: &[u8] = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
const PONG: &[u8] = b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re";
const FIND_NODE: &[u8] =
    b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe";
const GET_PEERS: &[u8] = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe";
const PEERS: &[u8] =
    b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re";
const ANNOUNCE: &[u8] = b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
const ERROR: &[u8] = b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee";

fn plain(body: Body) -> Packet {
    Packet { version: None, ..Packet::new(*b"aa", body) }
}

fn asks(query: Query) -> Packet {
    plain(Body::Query(ABC, query))
}

fn says(response: Response) -> Packet {
    plain(Body::Response(response))
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Reads a packet; a panic names its bytes.
#[track_caller]
fn read(bytes: &[u8]) -> Packet {
    Packet::decode(bytes).unwrap_or_else(|error| panic!("{error}: {}", bytes.escape_ascii()))
}

#[test]
fn the_packets_of_bep_5_are_read_and_written() {
    let unsaid = Want::UNSAID;
    let (scrape, noseed) = (false, false);
    let get_peers = Query::GetPeers { info_hash: HASH, want: unsaid, scrape, noseed };
    let peers = Response {
        token: Some(b"aoeusnth".to_vec()),
        values: vec![address("97.120.106.101:11893"), address("105.100.104.116:28269")],
        ..Response::new(ABC)
    };
    let error = Body::Error { code: 201, text: b"A Generic Error Ocurred".to_vec() };
    let table = [
        (PING, asks(Query::Ping)),
        (PONG, says(Response::new(MNO))),
        (FIND_NODE, asks(Query::FindNode { target: MNO, want: unsaid })),
        (GET_PEERS, asks(get_peers)),
        (PEERS, says(peers)),
        (ERROR, plain(error)),
    ];
    for (bytes, packet) in table {
        assert_read(bytes, read(bytes), packet.clone(), CLAUSE);
        assert_wire(&packet.encode(), bytes, CLAUSE);
    }
    assert_eq!((PING.len(), PONG.len()), (56, 47));
}

#[test]
fn an_announce_names_its_port_or_leaves_it_to_the_datagram() {
    let token = b"aoeusnth".to_vec();
    let implied = Query::AnnouncePeer { info_hash: HASH, port: None, token, seed: false };
    assert_read(ANNOUNCE, read(ANNOUNCE), asks(implied.clone()), CLAUSE);
    // Ours also says whether we are a seed (BEP 33), and has a port even where it is ignored.
    let ours: &[u8] = b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti0e4:seedi0e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
    assert_wire(&asks(implied).encode(), ours, CLAUSE);
    let ours: &[u8] = b"d1:ad2:id20:abcdefghij012345678912:implied_porti0e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e4:seedi1e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe";
    let token = b"aoeusnth".to_vec();
    let named = Query::AnnouncePeer { info_hash: HASH, port: Some(6881), token, seed: true };
    assert_wire(&asks(named.clone()).encode(), ours, CLAUSE);
    assert_read(ours, read(ours), asks(named), CLAUSE);
}

#[test]
fn nodes_are_26_bytes_each_and_over_ipv6_38() {
    let v4 = b"d1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz123456\x7f\x00\x00\x01\x1a\xe1e1:t2:aa1:y1:re";
    let node = Contact { id: MNO, address: address("127.0.0.1:6881") };
    let answer = Response { nodes: vec![node], ..Response::new(ABC) };
    assert_read(v4, read(v4), says(answer.clone()), CLAUSE);
    assert_wire(&says(answer.clone()).encode(), v4, CLAUSE);
    let v6 = b"d1:rd2:id20:abcdefghij01234567896:nodes638:mnopqrstuvwxyz123456\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x1a\xe1e1:t2:aa1:y1:re";
    let six = Contact { id: MNO, address: address("[2001:db8::7]:6881") };
    let answer = Response { nodes: vec![six], ..Response::new(ABC) };
    assert_read(v6, read(v6), says(answer.clone()), "BEP 32, KRPC");
    assert_wire(&says(answer).encode(), v6, "BEP 32, KRPC");
    let both = Want { v4: true, v6: true };
    let asked = b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe";
    let query = asks(Query::FindNode { target: MNO, want: both });
    assert_wire(&query.encode(), asked, "BEP 32, KRPC");
    assert_read(asked, read(asked), query, "BEP 32, KRPC");
}

#[test]
fn an_answer_may_have_peers_and_nodes() {
    let both = b"d1:rd2:id20:abcdefghij01234567895:nodes26:mnopqrstuvwxyz123456\x7f\x00\x00\x01\x1a\xe15:token8:aoeusnth6:valuesl6:axje.uee1:t2:aa1:y1:re";
    let answer = says(Response {
        nodes: vec![Contact { id: MNO, address: address("127.0.0.1:6881") }],
        values: vec![address("97.120.106.101:11893")],
        token: Some(b"aoeusnth".to_vec()),
        ..Response::new(ABC)
    });
    assert_read(both, read(both), answer.clone(), "BEP 32, KRPC");
    assert_wire(&answer.encode(), both, "BEP 32, KRPC");
}

#[test]
fn what_other_programs_add_is_read_or_passed_over() {
    // libtorrent: its own address inside r, ours as ip, its program as v.
    let libtorrent = b"d2:ip6:\x7f\x00\x00\x01\x1f\x901:rd2:id20:mnopqrstuvwxyz1234561:pi8080ee1:t2:aa1:v4:LT\x02\x111:y1:re";
    let packet = read(libtorrent);
    assert_value("how it sees us", packet.seen_as, Some(address("127.0.0.1:8080")), "BEP 42, KRPC");
    assert_value(
        "its program",
        packet.version.as_deref().map(program),
        Some("LT 2.17".into()),
        CLAUSE,
    );
    let read_only = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe";
    assert_value("it only asks", read(read_only).read_only, true, "BEP 43, KRPC");
    let ours = Packet { read_only: true, ..asks(Query::Ping) };
    assert_wire(&ours.encode(), read_only, "BEP 43, KRPC");
    let samples = b"d1:rd2:id20:abcdefghij01234567898:intervali60e3:numi2e7:samples40:mnopqrstuvwxyz123456abcdefghij0123456789e1:t2:aa1:y1:re";
    let info_hashes = vec![HASH, InfoHash(ABC.0)];
    let found = Some(Samples { info_hashes, total: 2, interval: 60 });
    let answer = says(Response { samples: found, ..Response::new(ABC) });
    assert_read(samples, read(samples), answer.clone(), "BEP 51, KRPC");
    assert_wire(&answer.encode(), samples, "BEP 51, KRPC");
    // What follows the dictionary is ignored.
    assert_read(PING, read(&[PING, b"more"].concat()), asks(Query::Ping), CLAUSE);
    let unknown = read(b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe");
    let method = b"vote".to_vec();
    assert_value("an unknown question", unknown, asks(Query::Unknown { method }), CLAUSE);
}

#[test]
fn our_packets_say_which_program_sends_them() {
    let ours = Packet::query(*b"aa", ABC, Query::Ping).encode();
    let expected = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:v4:PM\0\x011:y1:qe";
    assert_wire(&ours, expected, CLAUSE);
    assert_eq!(program(VERSION), "PM 0.1");
    assert_eq!(program(b"\x1b[2J"), "\\u{1b}[2J");
    assert_eq!(program(b"UT\xff"), "UT\u{fffd}");
}

#[test]
fn a_broken_part_of_an_answer_costs_only_itself() {
    let answer = |inside: &[u8]| {
        let bytes = [&b"d1:rd2:id20:abcdefghij0123456789"[..], inside, b"e1:t2:aa1:y1:re"].concat();
        match read(&bytes).body {
            Body::Response(response) => response,
            other => panic!("{other:?}"),
        }
    };
    let node = |port: &[u8]| [&b"mnopqrstuvwxyz123456\x7f\x00\x00\x01"[..], port].concat();
    let nodes = |bytes: &[u8]| {
        answer(&[format!("5:nodes{}:", bytes.len()).as_bytes(), bytes].concat()).nodes.len()
    };
    let good = node(b"\x1a\xe1");
    assert_value("a byte too many behind a node", nodes(&[&good[..], b"x"].concat()), 1, CLAUSE);
    assert_value("a node at port 0", nodes(&[node(b"\0\0"), good.clone()].concat()), 1, CLAUSE);
    assert_value("nodes of the wrong length", nodes(b"short"), 0, CLAUSE);
    assert_value("a thousand nodes", nodes(&good.repeat(1_000)), MAX_NODES, CLAUSE);
    assert_value("nodes that are a number", answer(b"5:nodesi7e").nodes.len(), 0, CLAUSE);
    let values = |list: &[u8]| answer(&[b"6:valuesl", list, b"e"].concat()).values.len();
    let odd = values(b"0:5:abcde6:\x7f\0\0\x01\x1a\xe16:\x7f\0\0\x01\0\0i7e7:abcdefg");
    assert_value("one good value among five that are none", odd, 1, CLAUSE);
    let many = values(&b"6:\x7f\0\0\x01\x1a\xe1".repeat(900));
    assert_value("nine hundred values", many, MAX_VALUES, CLAUSE);
    assert_value(
        "a long token",
        answer(&[&b"5:token65:"[..], &[b't'; 65]].concat()).token,
        None,
        CLAUSE,
    );
    assert_value("a token that is a number", answer(b"5:tokeni5e").token, None, CLAUSE);
}

#[test]
fn a_refusal_is_a_refusal_whatever_else_is_wrong_with_it() {
    for (bytes, code, text) in [
        (ERROR, 201, "A Generic Error Ocurred"),
        (b"d1:eli204ee1:t2:aa1:y1:ee", 204, ""),
        (b"d1:ele1:t2:aa1:y1:ee", 201, ""),
        (b"d1:t2:aa1:y1:ee", 201, ""),
        (b"d1:e3:no!1:t2:aa1:y1:ee", 201, ""),
        (b"d1:el3:not4:nonee1:t2:aa1:y1:ee", 201, "none"),
    ] {
        let text = text.as_bytes().to_vec();
        assert_read(bytes, read(bytes).body, Body::Error { code, text }, CLAUSE);
    }
}

#[test]
fn what_is_no_packet_is_refused_and_the_error_says_why() {
    let table: [(&[u8], &str); 19] = [
        (b"", "byte 0: a value was expected, but there is nothing"),
        (b"BT-SEARCH * HTTP/1.1\r\n", "byte 0: a value was expected"),
        (b"\x01\x00\x00\x00utp", "byte 0: a value was expected"),
        (b"le", "a KRPC packet must be a dictionary, but is a list"),
        (b"5:hello", "a KRPC packet must be a dictionary, but is a byte string"),
        (b"de", "t must be a byte string, but is missing"),
        (b"d1:ti7e1:y1:re", "t must be a byte string, but is 7"),
        (b"d1:t2:aae", "y must be q, r or e, but is missing"),
        (b"d1:t2:aa1:y1:xe", "y must be q, r or e, but is \"x\""),
        (b"d1:t2:aa1:y2:\x1b[e", "y must be q, r or e, but is \"\\u{1b}[\""),
        (b"d1:t2:aa1:y1:qe", "q must be a byte string, but is missing"),
        (b"d1:q4:ping1:t2:aa1:y1:qe", "a must be a dictionary, but is missing"),
        (b"d1:ale1:q4:ping1:t2:aa1:y1:qe", "a must be a dictionary, but is a list"),
        (b"d1:ade1:q4:ping1:t2:aa1:y1:qe", "id must be 20 bytes, but is missing"),
        (b"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe", "id must be 20 bytes, but is 3 bytes"),
        (b"d1:rde1:t2:aa1:y1:re", "id must be 20 bytes, but is missing"),
        (b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe", "info_hash must be 20 bytes, but is missing"),
        (b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:te1:q13:announce_peer1:t2:aa1:y1:qe", "port must be a port from 1 to 65535, but is 0"),
        (b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881ee1:q13:announce_peer1:t2:aa1:y1:qe", "token must be a byte string, but is missing"),
    ];
    for (bytes, why) in table {
        let error = Packet::decode(bytes).expect_err(why).to_string();
        assert!(error.contains(why), "{:?}: {error:?} does not say {why:?}", bytes.escape_ascii());
    }
}

#[test]
fn a_packet_that_is_cut_anywhere_is_refused() {
    for whole in [PING, PONG, FIND_NODE, GET_PEERS, PEERS, ANNOUNCE, ERROR] {
        for length in 0..whole.len() {
            let error = Packet::decode(&whole[..length]);
            assert!(matches!(error, Err(KrpcError::Bencode(_))), "{length} bytes: {error:?}");
        }
    }
}

#[test]
fn a_packet_that_is_nested_deep_or_has_no_end_of_items_is_refused() {
    let deep = [&b"d1:a"[..], &b"l".repeat(60_000)].concat();
    let many = [&b"d1:al"[..], &b"i1e".repeat(20_000), b"ee"].concat();
    for bytes in [deep, many] {
        assert!(matches!(Packet::decode(&bytes), Err(KrpcError::Bencode(_))));
    }
}
