//! Packets of UDP trackers, those of a client and those of a tracker.

use piecemeal::s18_udp_tracker::packet::{
    Answer, Family, MAX_SCRAPED, PROTOCOL_ID, Request, RequestBody, ResponseBody,
};

use super::{bounded, is_printable};

/// Decodes the input as either; encodes what came out, and decodes that.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 32, || Request::decode(input)) {
        Ok(request) => {
            let written = request.encode();
            let again = Request::decode(&written).expect("what we write, we can read");
            assert_eq!(again.encode(), written);
            match &request.ask {
                RequestBody::Connect => {
                    assert_eq!((request.connection_id, &written[..]), (PROTOCOL_ID, &input[..16]))
                }
                RequestBody::Scrape(torrents) => {
                    assert!((1..=MAX_SCRAPED).contains(&torrents.len()));
                    assert_eq!(written, input);
                }
                RequestBody::Announce { announce, url_data } => {
                    // All but an address, which is passed over, and an odd way to say "as you like".
                    assert_eq!((&written[..84], &written[88..92]), (&input[..84], &input[88..92]));
                    assert_eq!(&written[96..98], &input[96..98]);
                    assert_eq!(
                        (announce.info_hash.0, announce.peer_id.0),
                        (
                            input[16..36].try_into().expect("20"),
                            input[36..56].try_into().expect("20")
                        )
                    );
                    assert!(url_data.len() <= input.len() - 98);
                }
            }
        }
        Err(error) => is_printable(error),
    }
    for (family, size) in [(Family::V4, 6), (Family::V6, 18)] {
        match bounded(input.len(), 32, || Answer::decode(input, family)) {
            Ok(answer) => {
                let written = answer.encode(family);
                assert_eq!(Answer::decode(&written, family), Ok(answer.clone()));
                match &answer.said {
                    ResponseBody::Connected { .. } => assert_eq!(written, input[..16]),
                    ResponseBody::Announced { peers, .. } => {
                        assert!(
                            peers
                                .iter()
                                .all(|peer| peer.port() != 0 && Family::of(*peer) == family)
                        );
                        let all = (input.len() - 20) / size;
                        assert!(
                            peers.len() < all || written == input,
                            "nothing is lost but peers with port 0"
                        );
                    }
                    ResponseBody::Scraped(_) | ResponseBody::Failed(_) => {
                        assert_eq!(written, input)
                    }
                }
            }
            Err(error) => is_printable(error),
        }
    }
}
