//! A piece that two peers brought, and that is wrong: the hashes of its blocks show whose block
//! was, and only that one is fetched again.

use super::super::support::{Gate, Must, assert_number, assert_value, insist, wire};
use super::net::{EXTENDED, Names, Net, Talk, US, run};
use super::torrents::{V2, numbers};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::transport::Dial;
use piecemeal::s15_swarm::summary::Giver;
use piecemeal::s15_swarm::{Event, Plan};
use piecemeal::s24_hash_transfer::plug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const CLAUSE: &str = "BEP 52, hash proofs";
const BLOCK: u32 = 16_384;

/// A download of a torrent whose info dictionary is known.
fn plan(net: &Arc<Net>, v2: &V2, peers: &[SocketAddr]) -> Plan {
    let info = v2.info();
    let mut plan = Plan::new(info.names.clone(), Some(info), PeerId(US));
    plan.dial = Arc::clone(net) as Arc<dyn Dial>;
    plan.patience = Duration::from_secs(10);
    plan.sources.push(Box::new(Names(peers.to_vec())));
    plug(&mut plan);
    plan
}

/// The block that is asked for by a request's payload.
fn block_of(payload: &[u8]) -> io::Result<(u32, u32, u32)> {
    Ok(wire::three(payload).must("a request has three numbers")?)
}

/// Gives the first two blocks, and the hashes of all; then whatever is asked for.
fn honest(talk: &mut Talk, v2: &V2, begun: &Gate) -> io::Result<()> {
    talk.hello(EXTENDED, &v2.torrent)?;
    talk.send(&wire::extended(0, b"de"))?;
    talk.has(&v2.torrent, &[0])?;
    talk.unchoke()?;
    let (mut explained, mut held) = (false, Vec::new());
    loop {
        match talk.next()? {
            (wire::REQUEST, payload) => {
                let asked = block_of(&payload)?;
                // The rest is left to the other one, until it has lied.
                if !explained && (asked.1 >= 2 * BLOCK || begun.is_open()) {
                    held.push(asked);
                    continue;
                }
                talk.block(&v2.torrent, asked)?;
                if asked.1 == BLOCK {
                    begun.open();
                }
            }
            (21, request) => {
                insist!(numbers(&request) == [0, 0, 4, 1], "all blocks: {:?}", numbers(&request));
                talk.send(&wire::message(22, &v2.answer(&request)))?;
                explained = true;
                for asked in held.drain(..) {
                    talk.block(&v2.torrent, asked)?;
                }
            }
            _ => {}
        }
    }
}

/// Gives the last block, and a wrong one before it; refuses hashes, and gives nothing more.
fn liar(talk: &mut Talk, v2: &V2, begun: &Gate) -> io::Result<()> {
    talk.hello(EXTENDED, &v2.torrent)?;
    talk.send(&wire::extended(0, b"de"))?;
    begun.opens()?;
    talk.has(&v2.torrent, &[0])?;
    talk.unchoke()?;
    let mut given = 0;
    loop {
        match talk.next()? {
            (wire::REQUEST, payload) if given < 2 => {
                given += 1;
                let asked = block_of(&payload)?;
                match asked.1 / BLOCK {
                    2 => talk.wrong_block(&v2.torrent, asked)?,
                    _ => talk.block(&v2.torrent, asked)?,
                }
            }
            (21, request) => talk.send(&wire::message(23, &request))?,
            _ => {}
        }
    }
}

#[test]
fn only_the_wrong_block_is_fetched_again_and_only_its_sender_is_banned() {
    for v2 in [V2::new(65_536, 65_536 - 100), V2::hybrid(65_536, 65_536 - 100)] {
        let (net, begun) = (Net::new(), Gate::default());
        let (content, gate) = (v2.clone(), begun.clone());
        // Both go by the name of version 2, whichever they were dialed by.
        let honest = net.peer(1, move |talk| honest(talk, &content, &gate));
        let content = v2.clone();
        let liar = net.peer(2, move |talk| liar(talk, &content, &begun));
        let mut plan = plan(&net, &v2, &[honest, liar]);
        plan.names = super::swarm::only(&v2);
        let ran = run(&net, plan, &v2.torrent);
        let banned = &ran.is_complete(&v2.torrent).banned;
        assert_value("who is banned", &banned[..], [liar], CLAUSE);
        let lied =
            |event: &&Event| matches!(event, Event::Lied(_, Giver::Peer(peer)) if *peer == liar);
        assert_number(
            "times that it is found out",
            ran.events.iter().filter(lied).count(),
            1,
            CLAUSE,
            &[],
        );
        assert!(ran.left(honest).is_empty(), "{:?}", ran.told());
        let writes = ran.store.writes();
        let times = |block: u64| {
            let at = block * u64::from(BLOCK);
            writes.iter().filter(|range| range.contains(&at)).count()
        };
        let found: Vec<usize> = (0..4).map(times).collect();
        assert_value("how often each block was written", found, [1, 1, 2, 1], CLAUSE);
    }
}
