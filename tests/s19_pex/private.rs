//! Private torrents: nobody is told of anybody, and nobody is believed (BEP 27).

use super::super::support::{
    Gate, Must, Recipe, Torrent, bencode, content, insist, insist_eq, wire,
};
use super::net::{EXTENDED, Net, magnet, plan, run};
use super::swarm::{all, greet, is_pex, is_read, naming, our_id, with_pex};
use piecemeal::s15_swarm::{Event, Plan};

fn torrent(private: bool) -> Torrent {
    let recipe = Recipe::single("t", 32 << 10, content(100_000, 2));
    let recipe = if private { recipe.extra("private", bencode::int(1)) } else { recipe };
    recipe.build()
}

#[test]
fn for_a_private_torrent_there_is_no_peer_exchange() {
    for private in [true, false] {
        let (net, torrent) = (Net::new(), torrent(private));
        let other = net.seed(2, &torrent, 0..torrent.pieces());
        let content = torrent.clone();
        let seed = net.peer(1, move |talk| {
            let id = greet(talk, &content)?;
            insist_eq!(id.is_some(), !private, "whether we offer ut_pex");
            // It says so anyway, to the number that it would have.
            talk.send(&wire::extended(id.unwrap_or(3), &naming(&[other])))?;
            if private {
                talk.has(&content, &all(&content))?;
                return talk.give(&content);
            }
            talk.hold()
        });
        let ran = run(&net, with_pex(plan(&net, &torrent, &[seed])), &torrent);
        ran.is_complete(&torrent);
        assert_eq!(net.dials(other), usize::from(!private));
        let said = |event: &&Event| {
            matches!(event, Event::Source { name, what, .. }
                if name == "peer exchange" && what.contains("this torrent is private"))
        };
        assert_eq!(ran.events.iter().filter(said).count(), usize::from(private));
    }
}

/// A link whose torrent turns out to be private, or not. The peers come in this order:
///
/// 1. `early` speaks ut_pex before anybody knows what the torrent is;
/// 2. `knows` gives the info dictionary;
/// 3. `early` names `named`, and leaves;
/// 4. `next` gets its place, and gives the content, unless `named` shall do it.
#[test]
fn a_magnet_link_that_turns_out_to_be_private_ends_peer_exchange() {
    for private in [true, false] {
        let (net, torrent) = (Net::new(), torrent(private));
        let (offered, known) = (Gate::default(), Gate::default());
        let named = net.seed(4, &torrent, 0..torrent.pieces());
        let (content, is_offered, is_known) = (torrent.clone(), offered.clone(), known.clone());
        let early = net.peer(1, move |talk| {
            if talk.dialed > 1 {
                return talk.hold(); // it is given another chance
            }
            talk.hello(EXTENDED, &content)?;
            let (_, greeting) = talk.next()?;
            let id = our_id(&greeting, "ut_pex")?.must("nobody knows yet that it is private")?;
            let metadata = our_id(&greeting, "ut_metadata")?.must("we speak it")?;
            talk.send(&wire::extended(0, b"d1:md11:ut_metadatai3e6:ut_pexi7eee"))?;
            is_offered.open();
            is_known.opens()?;
            talk.send(&wire::extended(id, &naming(&[named])))?;
            is_read(talk, metadata)
        });
        let content = torrent.clone();
        let knows = net.peer(2, move |talk| {
            offered.opens()?;
            talk.give_info(&content)?;
            talk.has(&content, &all(&content))?;
            talk.until(wire::INTERESTED)?;
            known.open();
            talk.hold()
        });
        let content = torrent.clone();
        let next = net.peer(3, move |talk| {
            let id = greet(talk, &content)?;
            insist_eq!(id.is_some(), !private, "whether we offer ut_pex");
            if !private {
                return talk.hold();
            }
            talk.has(&content, &all(&content))?;
            loop {
                let (id, payload) = talk.next()?;
                insist!(!is_pex(id, &payload), "we name our peers in a private torrent");
                if id == wire::INTERESTED {
                    talk.unchoke()?;
                } else if id == wire::REQUEST {
                    let asked = wire::three(&payload).must("a request has three numbers")?;
                    talk.block(&content, asked)?;
                }
            }
        });
        let plan = with_pex(magnet(&net, &torrent, &[early, knows, next]));
        let ran = run(&net, Plan { max_peers: if private { 2 } else { 3 }, ..plan }, &torrent);
        ran.is_complete(&torrent);
        assert_eq!(net.dials(named), usize::from(!private), "{:?}", ran.told());
    }
}
