//! A peer id is a claim: whoever has heard it can use it.

use super::super::support::{Gate, Torrent, has_hung_up, insist, wire};
use super::net::{Net, PLAIN, Talk, brought, plan, run};
use piecemeal::s15_swarm::Ended;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const NAME: [u8; 20] = *b"-SC0001-the same one";
const ALL: [usize; 5] = [0, 1, 2, 3, 4];

/// Shakes hands under this name, and returns once it has been let in: we are interested in
/// what it has, and nothing has come of that yet.
fn is_let_in(talk: &mut Talk, torrent: &Torrent) -> io::Result<()> {
    talk.hello_as(PLAIN, torrent, NAME)?;
    talk.has(torrent, &ALL)?;
    talk.until(wire::INTERESTED).map(drop)
}

/// Under the same name. It comes when it is its turn.
fn comes_second(talk: &mut Talk, torrent: &Torrent, turn: &Gate) -> io::Result<()> {
    turn.opens()?;
    is_let_in(talk, torrent)
}

fn gives(talk: &mut Talk, torrent: &Torrent) -> io::Result<()> {
    talk.unchoke()?;
    talk.give(torrent)
}

#[test]
fn a_stranger_with_a_peers_id_neither_keeps_us_from_it_nor_takes_its_place() {
    for stranger_is_first in [true, false] {
        let (net, torrent, here, both) =
            (Net::new(), Torrent::sample(), Gate::default(), Gate::default());
        let peer = |host: u8, is_first: bool, is_good: bool| {
            let (content, here, both) = (torrent.clone(), here.clone(), both.clone());
            net.peer(host, move |talk| {
                if is_first {
                    is_let_in(talk, &content)?;
                    here.open();
                    both.opens()?;
                } else {
                    comes_second(talk, &content, &here)?;
                    both.open();
                }
                if is_good { gives(talk, &content) } else { talk.hold() }
            })
        };
        let (stranger, good) =
            (peer(1, stranger_is_first, false), peer(2, !stranger_is_first, true));
        let ran = run(&net, plan(&net, &torrent, &[stranger, good]), &torrent);
        assert_eq!(brought(ran.is_complete(&torrent)), [(good, 151_072)]);
        assert_eq!(
            (ran.left(good).len(), net.dials(good)),
            (0, 1),
            "the stranger is first: {stranger_is_first}"
        );
    }
}

#[test]
fn a_peer_at_two_ports_of_an_address_is_talked_to_at_one_of_them() {
    let (net, torrent, here, refused) =
        (Net::new(), Torrent::sample(), Gate::default(), Gate::default());
    let (content, first, second) = (torrent.clone(), here.clone(), refused.clone());
    let good = net.peer(1, move |talk| {
        is_let_in(talk, &content)?;
        first.open();
        second.opens()?;
        gives(talk, &content)
    });
    let content = torrent.clone();
    let double = net.peer_at(SocketAddr::new(good.ip(), 7000), move |talk| {
        let let_in = comes_second(talk, &content, &here);
        refused.open();
        insist!(has_hung_up(let_in)?, "we speak to it a second time");
        Ok(())
    });
    let ran = run(&net, plan(&net, &torrent, &[good, double]), &torrent);
    assert_eq!(brought(ran.is_complete(&torrent)), [(good, 151_072)]);
    assert!(matches!(ran.left(double)[..], [Ended::Twice]), "{:?}", ran.left(double));
}

#[test]
fn an_address_that_was_refused_as_a_double_is_dialed_again_when_the_other_goes() {
    let (net, torrent, here, refused) =
        (Net::new(), Torrent::sample(), Gate::default(), Gate::default());
    let (content, first, second) = (torrent.clone(), here.clone(), refused.clone());
    let stranger = net.peer(1, move |talk| {
        is_let_in(talk, &content)?;
        first.open();
        second.opens()?;
        Ok(()) // it goes, and has given nothing
    });
    let content = torrent.clone();
    let good = net.peer_at(SocketAddr::new(stranger.ip(), 7000), move |talk| {
        let let_in = comes_second(talk, &content, &here);
        refused.open();
        let_in?;
        gives(talk, &content)
    });
    let mut plan = plan(&net, &torrent, &[stranger, good]);
    // It is dialed again after 1.25 s. If it were not for the other's going, that would be 40 s.
    plan.patience = Duration::from_secs(40);
    let ran = run(&net, plan, &torrent);
    assert_eq!(brought(ran.is_complete(&torrent)), [(good, 151_072)]);
    assert!(matches!(ran.left(good)[..], [Ended::Twice, ..]), "{:?}", ran.left(good));
}

/// More ports than are remembered for one peer. While it is certain that the peer is connected,
/// none of them is dialed again.
#[test]
fn a_peer_at_a_hundred_and_ten_ports_is_dialed_once_at_each() {
    const PORTS: usize = 110;
    let (net, torrent) = (Net::new(), Torrent::of_pieces(40, 3));
    let (proved, over, refused) = (Gate::default(), Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (content, first, last) = (torrent.clone(), proved.clone(), over.clone());
    let good = net.peer(1, move |talk| {
        talk.hello_as(PLAIN, &content, NAME)?;
        talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
        for asked in talk.all_asked(16)? {
            talk.block(&content, asked)?;
        }
        // We ask for more only when some of these have come.
        let asked = talk.asked()?;
        first.open();
        last.opens()?;
        talk.block(&content, asked)?;
        talk.give(&content)
    });
    let doubles: Vec<SocketAddr> = (0..PORTS as u16)
        .map(|port| {
            let (content, proved, refused) =
                (torrent.clone(), proved.clone(), Arc::clone(&refused));
            net.peer_at(SocketAddr::new(good.ip(), 7000 + port), move |talk| {
                proved.opens()?;
                talk.hello_as(PLAIN, &content, NAME)?;
                let held = talk.hold();
                refused.fetch_add(usize::from(talk.dialed == 1), Ordering::SeqCst);
                held
            })
        })
        .collect();
    // Its pauses are those of an address at which nobody is: 0.5 s and 1 s, where a double whose
    // peer has gone is due after 62 ms.
    let nobody = net.peer(2, move |talk| {
        if talk.dialed >= 3 && refused.load(Ordering::SeqCst) == PORTS {
            over.open();
        }
        Ok(())
    });
    let mut plan = plan(&net, &torrent, &[&[good, nobody][..], &doubles].concat());
    plan.patience = Duration::from_secs(2);
    let ran = run(&net, plan, &torrent);
    assert_eq!(brought(ran.is_complete(&torrent)), [(good, torrent.content.len() as u64)]);
    let dials: Vec<usize> = doubles.iter().map(|double| net.dials(*double)).collect();
    assert_eq!(dials, [1; PORTS]);
}
