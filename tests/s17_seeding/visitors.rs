//! Liars that come by themselves, bring one wrong block, and go before the verdict.

use super::super::support::{
    Gate, LIMIT, Must, Recipe, Torrent, Verdict, content, has_hung_up, insist, insist_eq, wire,
};
use super::giver::{BOTH, Giver};
use super::listener::{connect_from, listening, met_over};
use super::net::{PLAIN, Talk};
use super::rules::staying;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::Ended;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

const ALL: [usize; 3] = [0, 1, 2];
/// Their addresses end in these.
const LIARS: std::ops::Range<u8> = 100..108;
/// One that lies once and waits for the verdict. It does not have everything, or we would part anyway.
const STAYS: u8 = 120;
/// This often each comes before anybody else gives anything. So many bans of one IP ban all of it.
const VISITS: u8 = 3;

/// Connects, brings one wrong block of these pieces, waits until we have it, and may go.
fn visit(
    host: u8,
    visit: u8,
    has: &[usize],
    address: SocketAddr,
    torrent: &Torrent,
) -> io::Result<Talk> {
    let mut id = [visit; 20];
    id[0] = host;
    let mut talk = connect_from(host, address)?;
    talk.send(&wire::handshake(BOTH, torrent.info_hash, id))?;
    talk.bytes(68)?;
    let ours = talk.greet(&[])?;
    talk.has(torrent, has)?;
    let asked = talk.asked()?;
    talk.wrong_block(torrent, asked)?;
    talk.fence(&ours)?;
    Ok(talk)
}

/// Whether an address is hung up on as soon as it has shaken hands. Each time it has another name,
/// since a double is hung up on, too.
fn is_turned_away(host: u8, time: u8, address: SocketAddr, torrent: &Torrent) -> Verdict<bool> {
    let mut name = [host; 20];
    name[0] = time;
    Ok(met_over(connect_from(host, address)?, BOTH, torrent, name)?.bytes(1).is_err())
}

#[test]
fn liars_that_do_not_wait_for_the_verdict_are_found_out_and_banned_by_ip() {
    // No piece is completed by liars alone.
    let torrent = Recipe::single("t", 524_288, content(3 * 524_288, 3)).build();
    let (content, lied, over) = (torrent.clone(), Gate::default(), Gate::default());
    let mut giver = Giver::with(&torrent, [], 1 << 16).rules(staying());
    let (given, gate) = (torrent.clone(), lied.clone());
    let good = giver.other(move |talk| {
        talk.hello(PLAIN, &given)?;
        talk.has(&given, &ALL)?;
        gate.opens()?;
        talk.give(&given)
    });
    let (ran, _) = listening(giver, move |address| {
        let (content, over) = (&content, &over);
        // An honest peer at a liar's IP.
        let mut watcher = met_over(connect_from(LIARS.start, address)?, BOTH, content, [9; 20])?;
        let ours = watcher.greet(&[]).must("it greets")?;
        for number in 0..VISITS {
            for host in LIARS {
                visit(host, number, &ALL, address, content).must("it is asked for a block")?;
            }
        }
        let mut stays =
            visit(STAYS, 0, &ALL[..2], address, content).must("it is asked for a block")?;
        lied.open();
        std::thread::scope(|scope| {
            // They go on, for as long as they are let in.
            let goes_on = |host| {
                let mut visits = (VISITS..=u8::MAX).cycle().take_while(|_| !over.is_open());
                move || {
                    while let Some(number) = visits.next()
                        && !has_hung_up(visit(host, number, &ALL, address, content))?
                    {
                    }
                    Ok(())
                }
            };
            let liars: Vec<_> = LIARS.map(|host| scope.spawn(goes_on(host))).collect();
            let watched = watch(&mut watcher, 3);
            over.open();
            let gone = liars
                .into_iter()
                .map(|liar| liar.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            gone.collect::<Verdict>().and(watched)
        })?;
        let why = stays.hold().err().must("it is to be hung up on")?;
        insist!(why.kind() != ErrorKind::TimedOut, "it is left alone");
        for host in LIARS {
            let begun = Instant::now();
            // The verdict about the last piece may still be on its way.
            let mut times = (0..=u8::MAX).cycle();
            while let Some(time) = times.next()
                && !is_turned_away(host, time, address, content)?
            {
                insist!(begun.elapsed() < LIMIT, "127.0.0.{host} is still let in");
            }
        }
        insist!(!is_turned_away(50, 0, address, content)?, "others are let in");
        watcher.fence(&ours).map(drop).must("a peer that is here and has not lied stays")
    });
    let outcome = ran.is_complete(&torrent);
    let mut banned: BTreeMap<IpAddr, u8> = BTreeMap::new();
    outcome.banned.iter().for_each(|address| *banned.entry(address.ip()).or_default() += 1);
    assert!(!banned.contains_key(&good.ip()), "the good seeder is not banned");
    for host in LIARS {
        let bans = banned.remove(&IpAddr::from([127, 0, 0, host]));
        assert!(bans.is_some_and(|bans| bans >= VISITS), "127.0.0.{host}: {bans:?}");
    }
    assert_eq!(banned.remove(&IpAddr::from([127, 0, 0, STAYS])), Some(1));
    assert!(banned.is_empty(), "nobody else is banned: {banned:?}");
}

/// A stranger behind a peer's own router, under the peer's name: it gives one block, or nothing, and
/// then only stays.
#[test]
fn a_stranger_with_a_peers_id_and_ip_does_not_keep_us_from_it_for_long() {
    for gives in [true, false] {
        let torrent = Torrent::sample();
        let (given, content, here) = (torrent.clone(), torrent.clone(), Gate::default());
        let mut giver = Giver::with(&torrent, [], 1 << 16).rules(staying());
        // It is dialed again after 2 s.
        giver.plan.patience = Duration::from_secs(2);
        let good = giver.net.peer_at(SocketAddr::from(([127, 0, 0, 77], 7000)), move |talk| {
            talk.hello_as(PLAIN, &given, NAME)?;
            talk.has(&given, &[0, 1, 2, 3, 4])?;
            talk.give(&given)
        });
        giver.plan.sources.push(Box::new(Late(here.clone(), good)));
        let (ran, _) = listening(giver, move |address| {
            let mut talk = met_over(connect_from(77, address)?, BOTH, &content, NAME)?;
            // Not all, or it would not be told of any.
            talk.has(&content, &[0, 1, 2, 3]).must("it listens")?;
            if gives {
                let asked = talk.asked().must("it has what we lack")?;
                talk.block(&content, asked).must("it listens")?;
                talk.choke().must("it listens")?;
            } else {
                talk.until(wire::INTERESTED).must("it has what we lack")?;
            }
            here.open();
            // We tell it of each piece that the other one gives.
            watch(&mut talk, 5)
        });
        ran.is_complete(&torrent);
        assert!(
            matches!(ran.left(good)[..], [Ended::Twice, ..]),
            "it gives: {gives}; {:?}",
            ran.left(good)
        );
    }
}

#[test]
fn one_ip_that_comes_again_and_again_leaves_places_for_those_that_are_only_named() {
    let torrent = Torrent::sample();
    let (content, here) = (torrent.clone(), Gate::default());
    let mut giver = Giver::with(&torrent, [], 1 << 16).rules(staying());
    giver.plan.max_peers = 4;
    let good = giver.net.seed(9, &torrent, [0, 1, 2, 3, 4]);
    giver.plan.sources.push(Box::new(Late(here.clone(), good)));
    let (ran, _) = listening(giver, move |address| {
        let stranger = |number| {
            let mut talk = met_over(connect_from(66, address)?, BOTH, &content, [number; 20])?;
            talk.has(&content, &[0, 1, 2, 3])
                .and_then(|()| talk.interested())
                .must("it listens")?;
            Ok(talk)
        };
        // Four have all places, and four wait for one.
        let has_a_place = |number| {
            let mut talk = stranger(number)?;
            talk.until(wire::INTERESTED).must("there is room")?;
            Ok(talk)
        };
        let mut crowd: Vec<Talk> = (0..4).map(has_a_place).collect::<Verdict<_>>()?;
        let _others: Vec<Talk> = (4..8).map(stranger).collect::<Verdict<_>>()?;
        here.open();
        // One has to go. The others are told of what comes.
        let told = crowd.iter_mut().filter_map(|talk| talk.until(wire::HAVE).ok()).count();
        insist_eq!(told, 3, "another peer gives everything");
        Ok(())
    });
    ran.is_complete(&torrent);
}

/// Waits until we have said that we have this many pieces.
fn watch(talk: &mut Talk, pieces: usize) -> Verdict {
    (0..pieces).try_for_each(|_| {
        talk.until(wire::HAVE).map(drop).must("each piece is verified in the end")
    })
}

const NAME: [u8; 20] = *b"-SC0001-the same one";

/// Names somebody when a gate opens.
struct Late(Gate, SocketAddr);

impl PeerSource for Late {
    fn name(&self) -> String {
        "late".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        self.0.opens()?;
        finder.found(NamedBy::User, vec![self.1]);
        Ok(())
    }
}
