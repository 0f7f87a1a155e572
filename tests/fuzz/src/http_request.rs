//! The lab's tracker: the head of a request, in whatever chunks it comes, and the query in it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use piecemeal::lab::announce::{ReceivedAnnounce, scraped};
use piecemeal::lab::http::{Request, read_request};
use piecemeal::lab::phone_book::{Asker, PhoneBook};
use piecemeal::s03_tracker::AnnounceResponse;
use piecemeal::s04_handshake::transport::{Transport, pair};

use super::{Chunks, bounded, is_printable, parted};

/// The longest head, and how much is read at a time.
const HEAD: usize = 8 << 10;
const PART: usize = 2 << 10;

/// The input is a list of chunk sizes, and what comes in such chunks.
pub fn check(input: &[u8]) {
    let (sizes, bytes) = parted(input);
    let sizes: Vec<u8> = sizes.iter().map(|size| (*size).max(1)).collect();
    let whole = Chunks::new(bytes, &[]);
    let stream = Chunks::new(bytes, &sizes);
    let read = Arc::clone(&stream.read);
    let (one, other) = (read_from(whole), read_from(stream));
    if let Ok((head, request)) = &one {
        assert!(head.len() <= HEAD + PART && bytes.starts_with(head));
        assert!(read.load(Ordering::Relaxed) < HEAD + PART, "no more is read than is needed");
        // Where a head becomes too long depends on the chunks; what is in one does not.
        if head.len() < HEAD {
            let (other_head, other_request) = other.as_ref().expect("it came the other way");
            assert_eq!(other_request, request);
            assert!(request.is_none() || head == other_head);
        }
        request.iter().for_each(query);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        query(&Request {
            method: "GET".to_owned(),
            target: format!("/announce?{text}"),
            odd: None,
        });
    }
}

fn read_from(stream: Chunks) -> io::Result<(Vec<u8>, Option<Request>)> {
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let (transport, _other) = pair(1, nobody, nobody);
    let mut transport = Transport { reader: Box::new(stream), ..transport };
    bounded(HEAD + PART, 16, || read_request(&mut transport))
}

/// What a tracker makes of the target.
fn query(request: &Request) {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    if let Err(error) = scraped(query) {
        is_printable(error);
    }
    let heard = match ReceivedAnnounce::decode(query) {
        Ok(heard) => heard,
        Err(error) => return is_printable(error),
    };
    heard.oddities().iter().for_each(is_printable);
    let again = ReceivedAnnounce::decode(&heard.announce.query())
        .expect("what our client writes, our tracker reads");
    assert_eq!(again.announce.query(), heard.announce.query());

    let mut book = PhoneBook::default();
    let from = |host| {
        Asker::new(
            IpAddr::from([10, 0, 0, host]),
            heard.announce.port,
            IpAddr::from(Ipv4Addr::LOCALHOST),
        )
    };
    for host in [1, 2] {
        let page = book.announce(&from(host), &heard, Instant::now());
        let answer = AnnounceResponse::decode(&page.encode())
            .expect("what our tracker writes, our client reads");
        assert!(
            answer.peers.iter().all(|peer| peer.ip() != from(host).listens.ip()),
            "nobody is told of themselves"
        );
        assert_eq!(answer.peers.len(), page.peers.len());
    }
}
