//! Peers that lie, vanish, stall or confuse, most of them beside a good one.

use super::super::support::{Gate, Must, Recipe, Torrent, content, insist, wire};
use super::net::{EXTENDED, FAST, LITTLE, Net, PLAIN, Talk, US, brought, plan, run};
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s15_swarm::summary::Giver;
use piecemeal::s15_swarm::{Ended, Event, Plan};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

fn torrent() -> Torrent {
    Torrent::sample()
}

/// A good peer that gives nothing before the gate opens, so that no test passes
/// because the good one was quicker.
fn good_after(net: &Net, host: u8, torrent: &Torrent, gate: &Gate) -> SocketAddr {
    let (torrent, gate) = (torrent.clone(), gate.clone());
    net.peer(host, move |talk| {
        talk.hello(PLAIN, &torrent)?;
        gate.opens()?;
        talk.has(&torrent, &(0..torrent.pieces()).collect::<Vec<_>>())?;
        talk.give(&torrent)
    })
}

/// The download is complete although a bad peer did its worst before the good one
/// gave anything.
#[track_caller]
fn completes_beside(
    reserved: [u8; 8],
    bad: impl Fn(&mut Talk, &Torrent, &Gate) -> io::Result<()> + Send + Sync + 'static,
) {
    let (net, torrent, worst) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), worst.clone());
    let bad = net.peer(1, move |talk| {
        talk.hello(reserved, &content)?;
        bad(talk, &content, &gate)
    });
    let good = good_after(&net, 2, &torrent, &worst);
    run(&net, plan(&net, &torrent, &[bad, good]), &torrent).is_complete(&torrent);
}

/// Answers every request with a wrong block.
fn lies(talk: &mut Talk, torrent: &Torrent) -> io::Result<()> {
    talk.hello(PLAIN, torrent)?;
    talk.has(torrent, &(0..torrent.pieces()).collect::<Vec<_>>())?;
    loop {
        let asked = talk.asked()?;
        talk.wrong_block(torrent, asked)?;
    }
}

/// The notes about a peer.
fn passed_over(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(
            |event| if let Event::PassedOver(_, what) = event { Some(what.as_str()) } else { None },
        )
        .collect()
}

#[test]
fn spare_bits_of_the_only_peer_do_no_harm_and_are_told_of_once() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        // Five pieces: three bits of the byte belong to nobody.
        talk.send(&wire::message(wire::BITFIELD, &[0xff]))?;
        talk.send(&wire::message(wire::BITFIELD, &[0xff]))?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    ran.is_complete(&torrent);
    let what = "its bitfield sets bits beyond the last piece, which must be zero (BEP 3); they are passed over";
    assert_eq!(passed_over(&ran.events), [what]);
}

#[test]
fn a_bitfield_of_the_wrong_length_ends_the_connection() {
    for bits in [&[][..], &[0xf8, 0]] {
        let (net, torrent) = (Net::new(), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(PLAIN, &content)?;
            talk.send(&wire::message(wire::BITFIELD, bits))?;
            talk.give(&content)
        });
        run(&net, Plan { patience: LITTLE, ..plan(&net, &torrent, &[peer]) }, &torrent)
            .is_hopeless("a bitfield for 5 pieces must be 1 byte");
    }
}

#[test]
fn an_extension_handshake_with_mistakes_of_the_only_peer_does_no_harm_and_is_told_of() {
    let table: [(&[u8], &str); 4] = [
        (b"junk!", "the extension handshake is not bencode: "),
        (b"le", "the extension handshake must be a dictionary, but is a list; "),
        (
            b"d1:md11:lt_donthavei3ee1:mde4:reqqi9ee",
            "m appears more than once: the first one counts",
        ),
        (
            b"d1:md11:lt_donthavei3ee4:reqq3:250e",
            "reqq must be a number of requests, but is \"250\"; it is passed over",
        ),
    ];
    for (payload, expected) in table {
        let (net, torrent) = (Net::new(), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(EXTENDED, &content)?;
            talk.send(&wire::extended(0, payload))?;
            talk.has(&content, &[0, 1, 2, 3, 4])?;
            talk.give(&content)
        });
        let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
        ran.is_complete(&torrent);
        let told = passed_over(&ran.events);
        assert!(matches!(told[..], [what] if what.starts_with(expected)), "{expected}: {told:?}");
    }
}

fn corrupt(net: &Net, host: u8, torrent: &Torrent) -> SocketAddr {
    let torrent = torrent.clone();
    net.peer(host, move |talk| lies(talk, &torrent))
}

#[test]
fn a_corrupt_peer_alone_is_banned_and_the_end() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = corrupt(&net, 1, &torrent);
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    ran.is_hopeless("wrong hash");
    assert_eq!(net.dials(peer), 1, "whoever is banned is not dialed again");
    assert!(
        matches!(ran.left(peer)[..], [Ended::Session(SessionEnd::Corrupt(_))]),
        "{:?}",
        ran.left(peer)
    );
    let told = ran
        .events
        .iter()
        .any(|event| matches!(event, Event::Corrupt(_, by) if *by == [Giver::Peer(peer)]));
    assert!(told, "{:?}", ran.told());
}

#[test]
fn a_corrupt_peer_is_banned_and_a_good_one_finishes() {
    let (net, torrent) = (Net::new(), torrent());
    let (gone, named) = (Gate::default(), Gate::default());
    let (content, left) = (torrent.clone(), gone.clone());
    let liar = net.peer(1, move |talk| {
        let ended = lies(talk, &content);
        left.open();
        ended
    });
    // A second connection of the liar's would find the first one's ban.
    let (content, opened) = (torrent.clone(), named.clone());
    let good = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        opened.opens()?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let mut plan = plan(&net, &torrent, &[liar, good]);
    plan.sources.push(Box::new(Waits { gone, liar, named }));
    let ran = run(&net, plan, &torrent);
    assert_eq!(ran.is_complete(&torrent).banned, [liar]);
    assert_eq!(net.dials(liar), 1);
}

/// Names the liar again, once we have hung up on it.
struct Waits {
    gone: Gate,
    liar: SocketAddr,
    named: Gate,
}

impl piecemeal::s13_peer_sources::source::PeerSource for Waits {
    fn name(&self) -> String {
        "late".to_owned()
    }

    fn run(
        self: Box<Self>,
        finder: piecemeal::s13_peer_sources::source::SourceHandle,
    ) -> Result<(), piecemeal::s07_extension::BoxError> {
        self.gone.opens()?;
        finder.found(NamedBy::User, vec![self.liar]);
        // One that was met and is not banned is dialed again after 0.3 s.
        std::thread::sleep(Duration::from_millis(800));
        self.named.open();
        Ok(())
    }
}

#[test]
fn who_shared_a_corrupt_piece_with_a_liar_is_not_banned_and_the_liar_is() {
    let (net, torrent) = (Net::new(), Recipe::single("t", 65_536, content(65_536, 4)).build());
    let (half, spoilt) = (Gate::default(), Gate::default());
    let (content, given, wait) = (torrent.clone(), half.clone(), spoilt.clone());
    let honest = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        let first = talk.all_asked(2)?;
        first.into_iter().try_for_each(|asked| talk.block(&content, asked))?;
        talk.choke()?;
        given.open();
        wait.opens()?;
        talk.unchoke()?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let liar = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        half.opens()?;
        talk.has(&content, &[0])?;
        for asked in talk.all_asked(2)? {
            talk.wrong_block(&content, asked)?;
        }
        // Asked for the start again, it knows that it was found out. It gives up.
        while talk.asked()?.1 != 0 {}
        talk.choke()?;
        spoilt.open();
        talk.hold()
    });
    let ran = run(&net, plan(&net, &torrent, &[honest, liar]), &torrent);
    assert_eq!(ran.is_complete(&torrent).banned, [liar], "once the piece is right, it shows");
    let by = ran
        .events
        .iter()
        .find_map(|event| if let Event::Corrupt(_, by) = event { Some(by.clone()) } else { None });
    let mut by = by.expect("a piece was corrupt");
    by.sort_unstable();
    assert_eq!(by, [honest, liar].map(Giver::Peer), "both had a part in it");
}

/// An honest peer shares a piece that a liar spoils. What it was asked for before, and
/// the piece once more from the start: no more than that is asked of it.
#[test]
fn a_piece_that_another_spoilt_is_fetched_once_more_and_not_twice() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(1, 8));
    let (taken, shared, spoilt) = (Gate::default(), Gate::default(), Gate::default());
    let (content, asked, wait, gone) =
        (torrent.clone(), taken.clone(), shared.clone(), spoilt.clone());
    let liar = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        let all = talk.all_asked(2)?;
        asked.open();
        wait.opens()?;
        all.into_iter().try_for_each(|asked| talk.wrong_block(&content, asked))?;
        let ended = talk.hold();
        gone.open();
        ended
    });
    let content = torrent.clone();
    let honest = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        taken.opens()?;
        talk.has(&content, &[0])?;
        let all = talk.all_asked(2)?;
        shared.open();
        spoilt.opens()?;
        all.into_iter().try_for_each(|asked| talk.block(&content, asked))?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[liar, honest]), &torrent);
    let outcome = ran.is_complete(&torrent);
    assert_eq!(outcome.banned, [liar]);
    let brought =
        brought(outcome).iter().find(|(peer, _)| *peer == honest).map_or(0, |(_, bytes)| *bytes);
    assert!(brought <= 2 * 32_768, "it brought {brought} bytes for a piece of 32,768");
}

#[test]
fn three_liars_among_three_good_peers_are_found_out() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(30, 9));
    let mut peers: Vec<SocketAddr> = (1..=3).map(|host| corrupt(&net, host, &torrent)).collect();
    peers.extend((4..=6).map(|host| net.seed(host, &torrent, 0..30)));
    let ran = run(&net, plan(&net, &torrent, &peers), &torrent);
    let banned = &ran.is_complete(&torrent).banned;
    assert!(banned.iter().all(|peer| peers[..3].contains(peer)), "{banned:?}");
}

#[test]
fn blocks_that_nobody_asked_for_are_not_written() {
    completes_beside(PLAIN, |talk, torrent, worst| {
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        let asked = talk.asked()?;
        // Inside a piece, beyond it, beyond all pieces, too short, too long, empty.
        for (piece, begin, length) in [
            (0, 1, 100),
            (0, 32_768, 16_384),
            (5, 0, 16_384),
            (u32::MAX, u32::MAX, 16_384),
            (asked.0, asked.1, 5),
            (0, 0, 0),
        ] {
            talk.send(&wire::block(piece, begin, &vec![0xEE; length]))?;
        }
        worst.open();
        talk.block(torrent, asked)?;
        talk.give(torrent)
    });
}

#[test]
fn a_peer_that_sends_nothing_but_blocks_nobody_asked_for_is_left() {
    let (net, torrent, worst) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), worst.clone());
    let flooder = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        for _ in 0..65 {
            talk.send(&wire::block(0, 0, &[0xEE; 16_384]))?;
        }
        let ended = talk.hold();
        gate.open();
        ended
    });
    let good = good_after(&net, 2, &torrent, &worst);
    let ran = run(&net, plan(&net, &torrent, &[flooder, good]), &torrent);
    ran.is_complete(&torrent);
    assert!(
        matches!(ran.left(flooder)[..], [Ended::Session(SessionEnd::Rule(_)), ..]),
        "{:?}",
        ran.left(flooder)
    );
}

#[test]
fn a_peer_that_dies_half_way_gives_its_work_to_another() {
    completes_beside(PLAIN, |talk, torrent, worst| {
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        let asked = talk.all_asked(3)?;
        talk.block(torrent, asked[1])?;
        talk.block(torrent, asked[0])?;
        worst.open();
        // In the middle of a block.
        let block = wire::block(asked[2].0, asked[2].1, &[0; 1000]);
        talk.send(&block[..500])
    });
}

#[test]
fn a_peer_that_dies_and_returns_is_found_again() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        let (reserved, times) = (PLAIN, talk.dialed);
        talk.hello(reserved, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        for _ in 0..3 {
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        if times < 3 { Ok(()) } else { talk.give(&content) }
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    assert_eq!(ran.is_complete(&torrent).downloaded, 151_072, "nothing was fetched twice");
    assert_eq!(net.dials(peer), 3);
}

#[test]
fn silence_and_rejects_and_chokes_hold_nobody_up() {
    completes_beside(PLAIN, |talk, _, worst| {
        worst.open();
        talk.hold()
    });
    // It has all of it and never unchokes.
    completes_beside(PLAIN, |talk, torrent, worst| {
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        talk.until(wire::INTERESTED)?;
        worst.open();
        talk.hold()
    });
    // It takes all the requests and gives nothing.
    completes_beside(PLAIN, |talk, torrent, worst| {
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        talk.all_asked(10)?;
        worst.open();
        talk.hold()
    });
    completes_beside(PLAIN, |talk, torrent, worst| {
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        talk.all_asked(10)?;
        talk.choke()?;
        worst.open();
        talk.hold()
    });
    completes_beside(FAST, |talk, torrent, worst| {
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        for asked in talk.all_asked(10)? {
            talk.reject(asked)?;
        }
        worst.open();
        loop {
            let asked = talk.asked()?;
            insist!(asked.0 < torrent.pieces() as u32);
            talk.reject(asked)?;
        }
    });
}

/// BEP 6: a choke voids nothing, each request ends in a block or a reject. Whoever
/// chokes and does neither must not keep its pieces from all others, not even when
/// there are as many of them as may share a piece.
#[test]
fn fast_peers_that_choke_and_never_reject_do_not_keep_their_pieces() {
    let (net, torrent, worst) = (Net::new(), Torrent::of_pieces(1, 7), Gate::default());
    let choking = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut peers = Vec::new();
    for host in 1..=3 {
        let (content, gate, choking) = (torrent.clone(), worst.clone(), Arc::clone(&choking));
        peers.push(net.peer(host, move |talk| {
            talk.hello(FAST, &content)?;
            talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
            talk.asked()?;
            while talk.asked_soon()?.is_some() {}
            talk.choke()?;
            if choking.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 2 {
                gate.open();
            }
            talk.hold()
        }));
    }
    peers.push(good_after(&net, 4, &torrent, &worst));
    run(&net, plan(&net, &torrent, &peers), &torrent).is_complete(&torrent);
}

#[test]
fn broken_messages_cost_only_their_sender() {
    let broken: [(&str, &[u8]); 7] = [
        ("a length of 4 GiB", b"\xFF\xFF\xFF\xFF\x07"),
        ("a block that is too long", b"\0\0\x40\x0A\x07"),
        ("a bitfield that is too short", b"\0\0\0\x01\x05"),
        ("a bitfield that is too long", b"\0\0\0\x03\x05\xF8\0"),
        ("a have without a piece", b"\0\0\0\x01\x04"),
        ("a choke with a payload", b"\0\0\0\x02\0\0"),
        ("a request of eleven bytes", b"\0\0\0\x0c\x06\0\0\0\0\0\0\0\0\0\0\0"),
    ];
    for (what, bytes) in broken {
        let (net, torrent, worst) = (Net::new(), torrent(), Gate::default());
        let (content, gate) = (torrent.clone(), worst.clone());
        let bad = net.peer(1, move |talk| {
            talk.hello(PLAIN, &content)?;
            talk.send(bytes)?;
            let ended = talk.hold();
            gate.open();
            ended
        });
        let good = good_after(&net, 2, &torrent, &worst);
        let ran = run(&net, plan(&net, &torrent, &[bad, good]), &torrent);
        assert!(ran.result.is_ok(), "{what}: {:?}", ran.result);
        ran.is_complete(&torrent);
        assert!(
            matches!(
                ran.left(bad)[..],
                [
                    Ended::Session(SessionEnd::Message(_))
                        | Ended::Session(SessionEnd::Bitfield(_)),
                    ..
                ]
            ),
            "{what}: {:?}",
            ran.left(bad)
        );
    }
}

#[test]
fn our_own_address_is_left_alone_once_it_is_known() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let ourselves = net.peer(1, move |talk| {
        talk.hello_as(PLAIN, &content, US)?;
        talk.hold()
    });
    let alone = run(&net, plan(&net, &torrent, &[ourselves]), &torrent);
    alone.is_hopeless("the address that was given is our own");
    assert_eq!(net.dials(ourselves), 1);
    assert!(matches!(alone.left(ourselves)[..], [Ended::Ourselves]));
    let good = net.seed(2, &torrent, 0..5);
    run(&net, plan(&net, &torrent, &[ourselves, good]), &torrent).is_complete(&torrent);
}

#[test]
fn a_peer_that_shakes_hands_and_hangs_up_is_dialed_six_times_and_no_more() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let dialed: [Gate; 6] = Default::default();
    let (content, gates) = (torrent.clone(), dialed.clone());
    let useless = net.peer(2, move |talk| {
        if let Some(gate) = gates.get(talk.dialed - 1) {
            gate.open();
        }
        talk.hello(PLAIN, &content).map(drop)
    });
    let content = torrent.clone();
    let good = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        // A block after each, so that our patience never runs out.
        for gate in &dialed {
            gate.opens()?;
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        // A seventh would come 2.4 s after the sixth.
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(1400));
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        talk.give(&content)
    });
    let mut plan = plan(&net, &torrent, &[good, useless]);
    plan.patience = Duration::from_millis(300); // retries after 10, 150, 300, 600 and 1200 ms
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(net.dials(useless), 6);
}

/// A piece that another peer has made wrong is claimed anew by one whose requests for it are still
/// on their way. Asked twice without a word, it may answer once, and would then look like a peer
/// that owes us blocks.
#[test]
fn requests_for_a_piece_that_others_made_wrong_are_taken_back_before_it_is_asked_for_again() {
    let (net, torrent) = (Net::new(), Recipe::single("t", 32_768, content(32_768, 5)).build());
    let (asked, content) = (Gate::default(), torrent.clone());
    let opened = asked.clone();
    let slow = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        let first = talk.all_asked(2)?;
        opened.open();
        let mut taken_back = Vec::new();
        let mut again = Vec::new();
        while again.len() < first.len() {
            match talk.next()? {
                (wire::CANCEL, payload) => taken_back.extend(wire::three(&payload)),
                (wire::REQUEST, payload) => {
                    let request = wire::three(&payload).must("a request has three numbers")?;
                    insist!(taken_back.contains(&request), "{request:?} is asked for twice");
                    again.push(request);
                }
                _ => {}
            }
        }
        again.into_iter().try_for_each(|request| talk.block(&content, request))?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let liar = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        asked.opens()?;
        talk.has(&content, &[0])?;
        loop {
            let asked = talk.asked()?;
            talk.wrong_block(&content, asked)?;
        }
    });
    let ran = run(&net, plan(&net, &torrent, &[slow, liar]), &torrent);
    ran.is_complete(&torrent);
    assert!(
        matches!(ran.left(liar)[..], [Ended::Session(SessionEnd::Corrupt(_))]),
        "{:?}",
        ran.left(liar)
    );
}

/// Names three liars once their neighbor has given what it has, and a newcomer once they are banned.
struct Nat {
    given: Gate,
    liars: Vec<(SocketAddr, Gate)>,
    newcomer: SocketAddr,
}

impl piecemeal::s13_peer_sources::source::PeerSource for Nat {
    fn name(&self) -> String {
        "a router".to_owned()
    }

    fn run(
        self: Box<Self>,
        finder: piecemeal::s13_peer_sources::source::SourceHandle,
    ) -> Result<(), piecemeal::s07_extension::BoxError> {
        self.given.opens()?;
        // One after the other: of two that share a piece, the later lie would not count.
        for (liar, gone) in &self.liars {
            finder.found(NamedBy::User, vec![*liar]);
            gone.opens()?;
        }
        finder.found(NamedBy::User, vec![self.newcomer]);
        Ok(())
    }
}

#[test]
fn three_liars_behind_a_router_do_not_keep_its_honest_peers_out() {
    let (net, torrent) = (Net::new(), Recipe::single("t", 16_384, content(20 * 16_384, 4)).build());
    let at = |port: u16| SocketAddr::new(net.at(1).ip(), port);
    // All behind one IP, so each needs a name of its own.
    let named = |port: u16| {
        let mut id = *b"-SC0001-a script....";
        id[16..18].copy_from_slice(&port.to_be_bytes());
        id
    };
    let given = Gate::default();
    let (content, done) = (torrent.clone(), given.clone());
    let honest = net.peer_at(at(6881), move |talk| {
        talk.hello_as(PLAIN, &content, named(6881))?;
        talk.has(&content, &(0..12).collect::<Vec<_>>())?;
        for _ in 0..12 {
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        talk.until(wire::NOT_INTERESTED)?; // all twelve are verified
        done.open();
        talk.hold()
    });
    let rest: Vec<usize> = (12..20).collect();
    let liar = |port: u16| {
        let (content, has, gone) = (torrent.clone(), rest.clone(), Gate::default());
        let left = gone.clone();
        let address = net.peer_at(at(port), move |talk| {
            talk.hello_as(PLAIN, &content, named(port))?;
            talk.has(&content, &has)?;
            let asked = talk.asked()?;
            talk.wrong_block(&content, asked)?;
            let ended = talk.hold();
            left.open();
            ended
        });
        (address, gone)
    };
    let liars = [7001, 7002, 7003].map(liar).to_vec();
    let (content, has) = (torrent.clone(), rest.clone());
    let newcomer = net.peer_at(at(7004), move |talk| {
        talk.hello_as(PLAIN, &content, named(7004))?;
        talk.has(&content, &has)?;
        talk.give(&content)
    });
    let mut plan = plan(&net, &torrent, &[honest]);
    plan.sources.push(Box::new(Nat { given, liars: liars.clone(), newcomer }));
    let ran = run(&net, plan, &torrent);
    let mut banned = ran.is_complete(&torrent).banned.clone();
    banned.sort();
    assert_eq!(banned, liars.iter().map(|(liar, _)| *liar).collect::<Vec<_>>());
    assert_eq!(net.dials(newcomer), 1);
}
