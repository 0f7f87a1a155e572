//! Sources that bring pieces themselves, as a web server could. In most of these downloads there is
//! no peer at all.

use super::super::support::{Gate, LIMIT, Recipe, Torrent, content};
use super::magnet::give_metadata;
use super::memory::{Failing, Memory, bits, in_time};
use super::net::{LITTLE, Net, PLAIN, Ran, magnet, plan, right, run, run_into};
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::board::Why;
use piecemeal::s11_work_queue::lease::{Lease, Written};
use piecemeal::s12_session::rate::Rate;
use piecemeal::s13_peer_sources::hand::Hand;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::summary::{Giver, Handed, Summary};
use piecemeal::s15_swarm::waiting::Wait;
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A source with a name, made of a closure.
struct Source<F>(&'static str, F);

impl<F: FnOnce(SourceHandle) -> Result<(), BoxError> + Send> PeerSource for Source<F> {
    fn name(&self) -> String {
        self.0.to_owned()
    }

    fn run(self: Box<Self>, handle: SourceHandle) -> Result<(), BoxError> {
        (self.1)(handle)
    }
}

fn source(
    name: &'static str,
    run: impl FnOnce(SourceHandle) -> Result<(), BoxError> + Send + 'static,
) -> Box<dyn PeerSource> {
    Box::new(Source(name, run))
}

/// A source that has a hand of its own name.
fn with_hand(
    name: &'static str,
    run: impl FnOnce(Hand) -> Result<(), BoxError> + Send + 'static,
) -> Box<dyn PeerSource> {
    source(name, move |handle| match handle.hand(name) {
        Some(hand) => run(hand),
        None => Err("there is no hand".into()),
    })
}

/// A download that has these sources and no peer.
fn of_sources(net: &Arc<Net>, torrent: &Torrent, sources: Vec<Box<dyn PeerSource>>) -> Plan {
    Plan { sources, ..plan(net, torrent, &[]) }
}

/// Writes the blocks of a piece that are missing, as many as `most`. Returns what the last one did,
/// or nothing if the hand gets nothing more.
fn bring(
    hand: &mut Hand,
    lease: &mut Lease,
    most: usize,
    block: impl Fn(u32, u32, u32) -> Vec<u8>,
) -> Option<Written> {
    let mut last = None;
    for _ in 0..most {
        let Some(asked) = lease.next_request() else { break };
        let block = block(asked.index, asked.begin, asked.length);
        last = Some(hand.write(lease, asked.begin, &[&block])?);
    }
    last
}

/// The blocks as they should be.
fn good(torrent: &Torrent) -> impl Fn(u32, u32, u32) -> Vec<u8> {
    let torrent = torrent.clone();
    move |piece, begin, length| right(&torrent, (piece, begin, length)).expect("it has the block")
}

/// Each byte of them wrong.
fn wrong(torrent: &Torrent) -> impl Fn(u32, u32, u32) -> Vec<u8> {
    let good = good(torrent);
    move |piece, begin, length| good(piece, begin, length).iter().map(|byte| !byte).collect()
}

/// Brings whatever the queue lends, until there is no more.
fn feed(hand: &mut Hand, torrent: &Torrent) {
    while hand.wait() {
        let Some(mut lease) = hand.claim() else { continue };
        bring(hand, &mut lease, usize::MAX, good(torrent));
    }
}

/// The next piece that the queue lends.
fn next(hand: &mut Hand) -> Result<Lease, BoxError> {
    while hand.wait() {
        if let Some(lease) = hand.claim() {
            return Ok(lease);
        }
    }
    Err("it gets nothing more".into())
}

/// The longest run of pieces that wait.
fn longest_run(waiting: &Bitfield) -> Option<Range<u32>> {
    let mut runs: Vec<Range<u32>> = Vec::new();
    for piece in waiting.iter() {
        match runs.last_mut() {
            Some(run) if run.end == piece => run.end += 1,
            _ => runs.push(piece..piece + 1),
        }
    }
    runs.into_iter().max_by_key(|run| run.len())
}

/// The wrong pieces, and who brought them.
fn corrupt(ran: &Ran) -> Vec<(u32, Vec<Giver>)> {
    let wrong = |event: &Event| match event {
        Event::Corrupt(piece, by) => Some((piece.get(), by.clone())),
        _ => None,
    };
    ran.events.iter().filter_map(wrong).collect()
}

/// Who was found to have lied, once a piece was right.
fn lied(ran: &Ran) -> Vec<(u32, Giver)> {
    let lie = |event: &Event| match event {
        Event::Lied(piece, liar) => Some((piece.get(), liar.clone())),
        _ => None,
    };
    ran.events.iter().filter_map(lie).collect()
}

fn hand(name: &str) -> Giver {
    Giver::Hand(name.to_owned())
}

/// What the hands have brought, by name: which of them ends first is not said.
fn brought(summary: &Summary) -> Vec<Handed> {
    let mut handed = summary.handed.clone();
    handed.sort_by(|one, other| one.name.cmp(&other.name));
    handed
}

fn handed(name: &str, taken: usize) -> Handed {
    Handed { name: name.to_owned(), taken: taken as u64 }
}

#[test]
fn a_hand_downloads_a_whole_torrent_with_no_peer() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let its = torrent.clone();
    let feeds = with_hand("a server", move |mut hand| {
        feed(&mut hand, &its);
        Ok(())
    });
    let ran = run(&net, of_sources(&net, &torrent, vec![feeds]), &torrent);
    let summary = ran.is_complete(&torrent);
    assert_eq!(
        (summary.downloaded, summary.handed.clone()),
        (151_072, vec![handed("a server", 151_072)])
    );
    assert!(summary.traded.is_empty() && summary.banned.is_empty(), "{summary:?}");
    assert!(
        matches!(ran.told()[..], [Event::Metadata { .. }, Event::Resumed(0), Event::Completed]),
        "{:?}",
        ran.told()
    );
    let Some(Event::Progress { verified, downloaded, uploaded, peers, .. }) = ran.events.last()
    else {
        panic!("the last event is {:?}", ran.events.last())
    };
    assert_eq!((*verified, *downloaded, *uploaded, *peers), (151_072, 151_072, 0, 0));
}

/// The way of a web server: one stream over many pieces, where the gap is widest.
#[test]
fn a_hand_sees_which_pieces_wait_and_takes_the_longest_run() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(9, 3));
    let (tell, told) = mpsc::channel();
    let its = torrent.clone();
    let streams = with_hand("a server", move |mut hand| {
        while hand.wait() {
            let queue = Arc::clone(&hand.torrent().queue);
            let Some(run) = longest_run(&queue.waiting_pieces()) else { continue };
            for piece in run {
                let Some(mut lease) = hand.claim_piece(piece) else { break };
                tell.send(piece)?;
                bring(&mut hand, &mut lease, usize::MAX, good(&its));
            }
        }
        Ok(())
    });
    let store = Memory::of(&torrent);
    let plan = of_sources(&net, &torrent, vec![streams]);
    let ran = run_into(&net, plan, Arc::clone(&store) as Arc<dyn Store>, bits(9, [3]));
    assert_eq!(ran.result.expect("nothing is missing").downloaded, 8 * 32_768);
    assert_eq!(told.iter().collect::<Vec<_>>(), [4, 5, 6, 7, 8, 0, 1, 2], "piece 3 was there");
    let (content, gap) = (store.content(), 3 * 32_768..4 * 32_768);
    assert!(content[..gap.start] == torrent.content[..gap.start]);
    assert!(content[gap.end..] == torrent.content[gap.end..]);
}

#[test]
fn patience_for_peers_does_not_end_while_a_hand_is_at_work() {
    let (net, torrent, enough) = (Net::new(), Torrent::sample(), Gate::default());
    let (its, gate) = (torrent.clone(), enough.clone());
    let slow = with_hand("a slow server", move |mut hand| {
        let mut lease = next(&mut hand)?;
        bring(&mut hand, &mut lease, 1, good(&its));
        gate.opens()?;
        bring(&mut hand, &mut lease, usize::MAX, good(&its));
        drop(lease);
        feed(&mut hand, &its);
        Ok(())
    });
    let patience = Duration::from_millis(500); // and ten times that without a block
    let plan = Plan { patience, ..of_sources(&net, &torrent, vec![slow]) };
    let (store, mut first_block) = (Memory::of(&torrent), None);
    let memory = Arc::clone(&store);
    let result = in_time(move || {
        let have = Bitfield::new(5);
        download(plan, move |_| Ok((memory as Arc<dyn Store>, have)), &mut |event| {
            if matches!(event, Event::Progress { downloaded: 1.., .. }) {
                let since: &mut Instant = first_block.get_or_insert_with(Instant::now);
                if since.elapsed() > patience * 5 / 2 {
                    enough.open();
                }
            }
        })
    });
    assert_eq!(result.expect("it goes on without a peer").downloaded, 151_072);
    assert!(store.content() == torrent.content);
}

#[test]
fn a_hand_that_brings_nothing_ends_it_as_a_silent_peer_does() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let silent = source("a silent server", |mut handle| {
        let mut hand = handle.hand("a silent server").ok_or("there is no hand")?;
        let _lease = next(&mut hand)?;
        while handle.wait(LIMIT) != Wake::Stop {}
        Ok(())
    });
    let patience = Duration::from_millis(300); // and ten times that without a block
    let plan = Plan { patience, silence: patience, ..of_sources(&net, &torrent, vec![silent]) };
    let ran = run(&net, plan, &torrent);
    ran.is_hopeless("no block came for 3 s: 0 of 5 pieces are verified");
    let says_so = |event: &Event| matches!(event, Event::Waiting(waiting) if waiting.why == Wait::NoAnswer { peers: 1 });
    assert!(ran.events.iter().any(says_so), "{:?}", ran.told());
}

#[test]
fn a_hand_that_spoils_a_piece_alone_is_found_out_and_gets_nothing_more() {
    let (net, torrent, spoilt) = (Net::new(), Torrent::sample(), Gate::default());
    let (tell, told) = mpsc::channel();
    let (its, gate) = (torrent.clone(), spoilt.clone());
    let liar = with_hand("a liar", move |mut hand| {
        let mut lease = next(&mut hand)?;
        let piece = lease.piece();
        let written = bring(&mut hand, &mut lease, usize::MAX, wrong(&its));
        drop(lease);
        let its_own = written == Some(Written::Corrupt(vec![hand.number()]));
        let gets_more = hand.wait() || hand.claim().is_some() || hand.claim_piece(0).is_some();
        tell.send((piece, its_own, hand.fault(), gets_more))?;
        gate.open();
        Ok(())
    });
    let its = torrent.clone();
    let honest = with_hand("honest", move |mut hand| {
        spoilt.opens()?;
        feed(&mut hand, &its);
        Ok(())
    });
    let ran = run(&net, of_sources(&net, &torrent, vec![liar, honest]), &torrent);
    let summary = ran.is_complete(&torrent);
    let (piece, its_own, fault, gets_more) = told.recv().expect("the liar has seen its end");
    assert_eq!((its_own, fault, gets_more), (true, Some(piece), false));
    assert_eq!(corrupt(&ran), [(piece.get(), vec![hand("a liar")])]);
    assert_eq!(lied(&ran), [], "nothing was left to find out");
    assert!(summary.banned.is_empty());
    let lies = if piece.get() == 4 { 20_000 } else { 32_768 };
    assert_eq!(brought(summary), [handed("a liar", lies), handed("honest", 151_072)]);
}

/// At first nobody knows which of the two it was. The piece, once right, tells.
#[test]
fn of_two_hands_that_spoil_a_piece_together_only_the_liar_is_found_out() {
    let (net, torrent) = (Net::new(), Recipe::single("t", 65_536, content(131_072, 4)).build());
    let (half, convicted) = (Gate::default(), Gate::default());
    let (tell, told) = mpsc::channel();
    let (its, begun, known, tells) =
        (torrent.clone(), half.clone(), convicted.clone(), tell.clone());
    let liar = with_hand("a liar", move |mut hand| {
        let mut lease = hand.claim_piece(0).ok_or("piece 0 does not wait")?;
        bring(&mut hand, &mut lease, 2, wrong(&its));
        drop(lease);
        begun.open();
        while hand.wait() {} // it claims nothing more, and hears of its end all the same
        tells.send(("a liar", hand.fault().map(|piece| piece.get())))?;
        known.open();
        Ok(())
    });
    let its = torrent.clone();
    let honest = with_hand("honest", move |mut hand| {
        half.opens()?;
        let mut lease = hand.claim_piece(0).ok_or("piece 0 was not given back")?;
        bring(&mut hand, &mut lease, usize::MAX, good(&its));
        drop(lease);
        if hand.claim_piece(1).is_some() {
            return Err("it chooses its piece, though it may be the liar".into());
        }
        let mut both = [next(&mut hand)?, next(&mut hand)?];
        both.sort_by_key(Lease::piece);
        let [first, second] = &mut both;
        bring(&mut hand, first, usize::MAX, good(&its));
        convicted.opens()?;
        bring(&mut hand, second, usize::MAX, good(&its));
        tell.send(("honest", hand.fault().map(|piece| piece.get())))?;
        Ok(())
    });
    let ran = run(&net, of_sources(&net, &torrent, vec![liar, honest]), &torrent);
    let summary = ran.is_complete(&torrent);
    assert_eq!(corrupt(&ran), [(0, vec![hand("a liar"), hand("honest")])], "both had a part in it");
    assert_eq!(lied(&ran), [(0, hand("a liar"))]);
    assert_eq!(told.iter().collect::<Vec<_>>(), [("a liar", Some(0)), ("honest", None)]);
    assert_eq!(
        brought(summary),
        [handed("a liar", 32_768), handed("honest", 32_768 + 131_072)],
        "the honest one has brought half a piece in vain"
    );
}

/// The peer is the one to be banned, and is, as beside other peers.
#[test]
fn a_liar_among_the_peers_is_banned_and_the_hand_beside_it_is_cleared() {
    let (net, torrent) = (Net::new(), Recipe::single("t", 65_536, content(65_536, 4)).build());
    let half = Gate::default();
    let (its, begun) = (torrent.clone(), half.clone());
    let liar = net.peer(1, move |talk| {
        talk.hello(PLAIN, &its)?;
        talk.has(&its, &[0])?;
        for asked in talk.all_asked(2)? {
            talk.wrong_block(&its, asked)?;
        }
        talk.choke()?; // so the piece goes back
        begun.open();
        talk.hold()
    });
    let its = torrent.clone();
    let honest = with_hand("honest", move |mut hand| {
        half.opens()?;
        let mut lease = loop {
            if let Some(lease) = hand.claim_piece(0) {
                break lease;
            }
            if !hand.wait() {
                return Err("piece 0 does not come back".into());
            }
        };
        bring(&mut hand, &mut lease, usize::MAX, good(&its));
        drop(lease);
        feed(&mut hand, &its);
        Ok(())
    });
    let mut plan = plan(&net, &torrent, &[liar]);
    plan.sources.push(honest);
    let ran = run(&net, plan, &torrent);
    assert_eq!(ran.is_complete(&torrent).banned, [liar]);
    assert_eq!(corrupt(&ran), [(0, vec![Giver::Peer(liar), hand("honest")])]);
    assert_eq!(lied(&ran), [(0, Giver::Peer(liar))]);
}

#[test]
fn a_hand_whose_thread_ends_or_panics_gives_its_piece_back() {
    for panics in [false, true] {
        let (net, torrent) = (Net::new(), Recipe::single("t", 65_536, content(65_536, 4)).build());
        let (half, looked) = (Gate::default(), Gate::default());
        let (tell, told) = mpsc::channel();
        let (its, begun, seen) = (torrent.clone(), half.clone(), looked.clone());
        let goes = with_hand("gone", move |mut hand| {
            let mut lease = hand.claim_piece(0).ok_or("piece 0 does not wait")?;
            bring(&mut hand, &mut lease, 2, good(&its));
            begun.open();
            seen.opens()?;
            if panics {
                std::panic::resume_unwind(Box::new("a bug"));
            }
            Ok(())
        });
        let its = torrent.clone();
        let stays = with_hand("here", move |mut hand| {
            half.opens()?;
            let was_free = hand.claim_piece(0).is_some();
            looked.open();
            while hand.wait() {
                let Some(mut lease) = hand.claim_piece(0) else { continue };
                tell.send((was_free, lease.why()))?;
                bring(&mut hand, &mut lease, usize::MAX, good(&its));
            }
            Ok(())
        });
        let ran = run(&net, of_sources(&net, &torrent, vec![goes, stays]), &torrent);
        let summary = ran.is_complete(&torrent);
        assert_eq!(told.iter().collect::<Vec<_>>(), [(false, Why::Begun)], "panics: {panics}");
        assert_eq!(brought(summary), [handed("gone", 32_768), handed("here", 32_768)]);
        assert_eq!(summary.downloaded, 65_536, "what was there is not brought again");
    }
}

#[test]
fn a_store_that_fails_under_a_hand_ends_the_download_and_is_named() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let (tell, told) = mpsc::channel();
    let its = torrent.clone();
    let feeds = with_hand("a server", move |mut hand| {
        let mut lease = next(&mut hand)?;
        let written = bring(&mut hand, &mut lease, 1, good(&its));
        tell.send((written, hand.is_over(), hand.fault()))?;
        Ok(())
    });
    let plan = of_sources(&net, &torrent, vec![feeds]);
    let ran = run_into(&net, plan, Arc::new(Failing), Bitfield::new(5));
    let error = ran.result.expect_err("the disk is full");
    assert!(
        matches!(&error, SwarmError::Storage(StorageError::Io { path, .. }) if path == "the/disk"),
        "{error:?}"
    );
    assert_eq!(told.recv(), Ok((None, true, None)), "it is not the hand's fault");
}

#[test]
fn a_hand_keeps_to_our_limit_on_the_download_rate() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let (tell, told) = mpsc::channel();
    let its = torrent.clone();
    let feeds = with_hand("a server", move |mut hand| {
        let begun = Instant::now();
        feed(&mut hand, &its);
        tell.send(begun.elapsed())?;
        Ok(())
    });
    let mut plan = of_sources(&net, &torrent, vec![feeds]);
    plan.download_rate = Rate::new(Some(150_000)); // a second, of which a quarter is made up for
    run(&net, plan, &torrent).is_complete(&torrent);
    let took = told.recv().expect("the source ends");
    assert!(took > Duration::from_millis(500), "it took {took:?}");
}

#[test]
fn a_hand_that_waits_for_a_piece_hears_of_a_stop() {
    let (net, torrent, waits) = (Net::new(), Torrent::sample(), Gate::default());
    let (tell, told) = mpsc::channel();
    let gate = waits.clone();
    let idle = with_hand("a server", move |mut hand| {
        let leases = (0..5).map(|_| next(&mut hand)).collect::<Result<Vec<_>, _>>()?;
        gate.open();
        while hand.wait() {}
        drop(leases);
        tell.send((hand.is_over(), hand.claim().is_some(), hand.fault()))?;
        Ok(())
    });
    let plan = of_sources(&net, &torrent, vec![idle]);
    waits.sets(Arc::clone(&plan.stop));
    let ran = run(&net, plan, &torrent);
    assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
    assert_eq!(told.recv_timeout(LIMIT), Ok((true, false, None)));
}

/// From a magnet link. The peer knows what the torrent is, and has no piece of it.
#[test]
fn a_source_waits_for_the_info_dictionary_before_it_has_a_hand() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let its = torrent.clone();
    let knows = net.peer(1, move |talk| {
        give_metadata(talk, &its, &its.info)?;
        talk.hold()
    });
    let (tell, told) = mpsc::channel();
    let its = torrent.clone();
    let feeds = source("a server", move |handle| {
        tell.send(handle.torrent().map(|torrent| torrent.queue.info().name.clone()))?;
        let mut hand = handle.hand("a server").ok_or("there is no hand")?;
        feed(&mut hand, &its);
        Ok(())
    });
    let mut plan = magnet(&net, &torrent, &[knows]);
    plan.sources.push(feeds);
    let ran = run(&net, plan, &torrent);
    assert_eq!(ran.is_complete(&torrent).handed, [handed("a server", 151_072)]);
    assert_eq!(told.recv(), Ok(Some("sample.bin".to_owned())));
}

#[test]
fn a_source_that_waits_for_the_info_dictionary_hears_that_all_is_over() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let (tell, told) = mpsc::channel();
    let waits = source("a server", move |handle| {
        tell.send((handle.torrent().is_some(), handle.hand("a server").is_some()))?;
        Ok(())
    });
    let plan = Plan { patience: LITTLE, info: None, ..of_sources(&net, &torrent, vec![waits]) };
    run(&net, plan, &torrent).is_hopeless("no peer could be used");
    assert_eq!(told.recv_timeout(LIMIT), Ok((false, false)));
}
