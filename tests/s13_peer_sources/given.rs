//! Addresses that the user, a magnet link or a tracker names.

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::AnnounceResponse;
use piecemeal::s03_tracker::peers::PeerAddress;
use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s13_peer_sources::source::{Given, Linked, PeerSource};

use super::fakes::{Sources, announcer, trackers};

fn said(source: Box<dyn PeerSource>) -> Vec<String> {
    Sources::running(vec![source]).until_gone().0
}

#[test]
fn the_user_may_name_any_address() {
    assert_eq!(said(Box::new(Given("127.0.0.1:22".to_owned()))), ["found [127.0.0.1:22]"]);
    assert_eq!(said(Box::new(Given("[::1]:6881".to_owned()))), ["found [[::1]:6881]"]);
}

#[test]
fn a_link_may_not_name_a_service_of_this_machine() {
    let linked = |address: &str| said(Box::new(Linked(address.to_owned(), InfoHash([7; 20]))));
    assert_eq!(linked("127.0.0.2:6881"), ["found [127.0.0.2:6881]"]);
    let refused = linked("127.0.0.1:22");
    assert!(
        matches!(&refused[..], [told, found] if told.contains("1 peer not dialed") && found == "found []"),
        "{refused:?}"
    );
}

#[test]
fn a_name_that_nobody_has_is_a_failure() {
    for source in [
        Box::new(Given("no.such.host.invalid:6881".to_owned())) as Box<dyn PeerSource>,
        Box::new(Linked("no.such.host.invalid:6881".to_owned(), InfoHash([7; 20]))),
    ] {
        let said = said(source);
        let only = matches!(&said[..], [why] if why.starts_with("no.such.host.invalid:6881 says ") && why.ends_with("failed: true"));
        assert!(only, "{said:?}");
    }
}

/// The reports about one answer of a tracker.
fn of_answer(answer: impl Fn() -> AnnounceResponse + Send + Sync + 'static) -> Vec<String> {
    let (trackers, _asked) = trackers(move |_, _, before| {
        if before == 0 {
            Ok(answer())
        } else {
            super::fakes::refuses(piecemeal::s03_tracker::Retry::Never)
        }
    });
    let sources = Sources::running(vec![announcer("fake://t", &trackers)]);
    sources.host.signals.completed(); // leads to a second announce, which ends it
    let (mut said, _) = sources.until_gone();
    let end =
        said.iter().position(|report| report.starts_with("again after")).expect("there is a pause");
    said.truncate(end);
    said
}

#[test]
fn a_tracker_far_away_may_not_name_who_is_near() {
    let answer = |from| {
        let peers = ["127.0.0.2:6881", "192.0.2.7:6881"]
            .map(|peer| peer.parse().expect("an address"))
            .to_vec();
        AnnounceResponse { peers, from, ..AnnounceResponse::default() }
    };
    let near = of_answer(move || answer(Reach::Machine));
    assert_eq!(near, ["fake://t Some(Started) 2", "found [127.0.0.2:6881, 192.0.2.7:6881]"]);
    let far = of_answer(move || answer(Reach::Internet));
    assert!(
        matches!(&far[..], [_, told, _] if told.contains("not dialed, for one 127.0.0.2:6881")),
        "{far:?}"
    );
    assert!(far[2].starts_with("found") && !far[2].contains("127.0.0.2"), "{far:?}");
}

#[test]
fn a_tracker_whose_names_lead_nowhere_has_failed() {
    let named = || vec![PeerAddress { host: "no.such.host.invalid".to_owned(), port: 6881 }];
    let nowhere =
        of_answer(move || AnnounceResponse { named: named(), ..AnnounceResponse::default() });
    assert!(
        matches!(&nowhere[..], [first, failed, last] if first == "found []" && failed.ends_with("failed: true") && last == "found []"),
        "{nowhere:?}"
    );
    let three = || {
        (1..=3)
            .map(|number| PeerAddress { host: format!("no{number}.such.host.invalid"), port: 6881 })
            .collect()
    };
    let lost =
        of_answer(move || AnnounceResponse { named: three(), ..AnnounceResponse::default() });
    let failures = lost.iter().filter(|told| told.ends_with("failed: true")).count();
    assert_eq!(failures, 1, "it was one announce: {lost:?}");
    let peers = || vec![([192, 0, 2, 7], 6881).into()];
    let one = of_answer(move || AnnounceResponse {
        named: named(),
        peers: peers(),
        from: Reach::Network,
        ..AnnounceResponse::default()
    });
    assert_eq!(one[..2], ["found [192.0.2.7:6881]", "fake://t Some(Started) 2"]);
    assert!(one[2].ends_with("failed: false"), "{one:?}");
}
