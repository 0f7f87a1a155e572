//! Who is unchoked through a whole swarm, and what a choke does to a queue.

use super::super::support::{
    Complaint, Gate, Must, Recipe, Torrent, content, insist, insist_eq, wire,
};
use super::giver::{ALLOWED_FAST, BOTH, Giver, SUGGEST, block_of};
use super::net::{EXTENDED, FAST, Talk};
use super::rules::staying;
use piecemeal::s17_seeding::Rules;
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// It is interested, which we know, and has no slot.
fn waits(talk: &mut Talk) -> io::Result<()> {
    talk.interested()?;
    talk.request(0, 0, 1)?;
    loop {
        match talk.next()? {
            (wire::UNCHOKE, _) => {
                return Err(Complaint::new("it is unchoked, but all slots were taken").into());
            }
            (wire::REJECT, _) => return Ok(()),
            _ => {}
        }
    }
}

#[test]
fn there_are_so_many_slots_and_who_needs_one_no_more_makes_room_at_once() {
    let torrent = Torrent::sample();
    for leaves in [false, true] {
        let mut giver = Giver::new(&torrent).rules(Rules { slots: 2, ..staying() });
        let (entered, waiting, given_up) =
            ([Gate::default(), Gate::default()], Gate::default(), Gate::default());
        let last = Gate::default();
        // One keeps its slot all the time.
        let (content, gate, end) = (torrent.clone(), entered[0].clone(), last.clone());
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            gate.open();
            end.opens()?;
            talk.takes(&content, 0, 0, 1)
        });
        let (content, gate, come, gone, end) =
            (torrent.clone(), entered[1].clone(), waiting.clone(), given_up.clone(), last.clone());
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            gate.open();
            come.opens()?;
            gone.open();
            if !leaves {
                talk.not_interested()?;
                end.opens()?;
            }
            Ok(())
        });
        let content = torrent.clone();
        giver.taker(move |talk| {
            entered.iter().try_for_each(Gate::opens)?;
            talk.hello(FAST, &content)?;
            waits(talk)?;
            waiting.open();
            talk.until(wire::UNCHOKE)?;
            insist!(given_up.is_open(), "there was no room before");
            talk.takes_piece(&content, 4)?;
            last.open();
            Ok(())
        });
        let ran = giver.run();
        assert!(ran.result.is_ok(), "{:?}", ran.result);
    }
}

#[test]
fn without_slots_nobody_gets_anything() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent).rules(Rules { slots: 0, ..staying() });
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        waits(talk)?;
        talk.not_interested()?;
        waits(talk)
    });
    assert_eq!(giver.run().result.expect("it gives, or would").uploaded, 0);
}

#[test]
fn who_has_waited_longest_comes_first() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent).rules(Rules { slots: 1, ..staying() });
    let gates: Vec<Gate> = (0..4).map(|_| Gate::default()).collect();
    let order: Arc<Mutex<Vec<usize>>> = Arc::default();
    // They are dialed in one order, and become interested in another.
    for number in [2, 0, 3, 1] {
        let (content, gates, order) = (torrent.clone(), gates.clone(), Arc::clone(&order));
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            if number == 0 {
                talk.admitted()?;
            } else {
                gates[number - 1].opens()?;
                waits(talk)?;
            }
            gates[number].open();
            gates[3].opens()?;
            if number > 0 {
                talk.until(wire::UNCHOKE)?;
            }
            order.lock().must("nobody panics with this lock")?.push(number);
            talk.takes(&content, 0, 0, 1)
        });
    }
    assert!(giver.run().result.is_ok());
    assert_eq!(*order.lock().expect("nobody panics with this lock"), [0, 1, 2, 3]);
}

/// Forty pieces of one block.
fn forty() -> Torrent {
    Recipe::single("t", 16_384, content(40 * 16_384, 3)).build()
}

/// BEP 6's set of ten for this address, computed a second time.
fn set_of(torrent: &Torrent, ip: IpAddr) -> Vec<u32> {
    let IpAddr::V4(ip) = ip else { panic!("scripts live at IPv4 addresses") };
    let [a, b, c, _] = ip.octets();
    let mut text = [&[a, b, c, 0], &torrent.info_hash[..]].concat();
    let mut set = Vec::new();
    while set.len() < 10 {
        text = Sha1::digest(&text).to_vec();
        for at in (0..20).step_by(4) {
            let index = u32::from_be_bytes(text[at..at + 4].try_into().expect("four bytes"))
                % torrent.pieces() as u32;
            if !set.contains(&index) && set.len() < 10 {
                set.push(index);
            }
        }
    }
    set
}

/// The pieces that are offered in spite of a choke: what comes before the unchoke.
fn offered(talk: &mut Talk) -> io::Result<Vec<u32>> {
    let mut offered = Vec::new();
    loop {
        match talk.next()? {
            (ALLOWED_FAST, payload) => {
                offered.push(u32::from_be_bytes(payload.try_into().must("four bytes")?))
            }
            (wire::UNCHOKE, _) => return Ok(offered),
            _ => {}
        }
    }
}

#[test]
fn a_newcomer_may_have_ten_pieces_without_a_slot_and_others_none() {
    let torrent = forty();
    let mut giver = Giver::new(&torrent).rules(Rules { slots: 0, ..staying() });
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.interested()?;
        let heard = talk.fence(&ours)?;
        let set = set_of(&content, talk.address.ip());
        let expected: Vec<_> =
            set.iter().map(|index| (ALLOWED_FAST, index.to_be_bytes().to_vec())).collect();
        insist_eq!(heard, expected);
        for piece in 0..40 {
            talk.request(piece, 0, 16_384)?;
            insist_eq!(talk.answer(&content)?, ((piece, 0, 16_384), set.contains(&piece)));
        }
        Ok(())
    });
    // Who has ten pieces can look after itself.
    for (count, least) in [(9, true), (10, false), (39, false)] {
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(BOTH, &content)?;
            let ours = talk.greet(&[])?;
            talk.has(&content, &(0..count).collect::<Vec<_>>())?;
            talk.interested()?;
            insist_eq!(!talk.fence(&ours)?.is_empty(), least, "{count} pieces");
            Ok(())
        });
    }
    // And who does not speak of such things is not told.
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(EXTENDED, &content)?;
        let ours = talk.greet(&[])?;
        talk.interested()?;
        insist_eq!(talk.fence(&ours)?, []);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}

#[test]
fn only_pieces_that_are_here_are_offered_without_a_slot_and_none_of_a_small_torrent() {
    let torrent = forty();
    let mut giver = Giver::with(&torrent, 0..20, 1 << 16).rules(staying());
    let whole = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(FAST, &whole)?;
        talk.interested()?;
        let mut expected = set_of(&whole, talk.address.ip());
        expected.retain(|index| *index < 20);
        insist_eq!(offered(talk)?, expected);
        Ok(())
    });
    giver.run();
    let small = Recipe::single("t", 16_384, content(10 * 16_384, 3)).build();
    let mut giver = Giver::new(&small).rules(staying());
    giver.taker(move |talk| {
        talk.hello(FAST, &small)?;
        talk.interested()?;
        insist!(offered(talk)?.is_empty());
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}

#[test]
fn a_seed_advises_each_to_take_another_piece() {
    let torrent = forty();
    let mut giver = Giver::new(&torrent).rules(staying());
    let advised: Arc<Mutex<Vec<u32>>> = Arc::default();
    for reserved in [BOTH, BOTH, BOTH, EXTENDED] {
        let (content, advised) = (torrent.clone(), Arc::clone(&advised));
        giver.taker(move |talk| {
            talk.hello(reserved, &content)?;
            let ours = talk.greet(&[])?;
            talk.admitted()?;
            let heard = talk.fence(&ours)?;
            if reserved == BOTH {
                let [(SUGGEST, payload)] = &heard[..] else {
                    return Err(Complaint::new(format!("one suggestion, not {heard:?}")).into());
                };
                let index = u32::from_be_bytes(payload[..].try_into().must("four bytes")?);
                advised.lock().must("nobody panics with this lock")?.push(index);
                talk.takes_piece(&content, index)
            } else {
                insist_eq!(heard, []);
                Ok(())
            }
        });
    }
    assert!(giver.run().result.is_ok());
    let advised = advised.lock().expect("nobody panics with this lock");
    assert_eq!(
        (advised.len(), advised.iter().collect::<BTreeSet<_>>().len()),
        (3, 3),
        "{advised:?}"
    );
}

/// Who has a slot and is no longer interested keeps it until another has a use for it. Two
/// have full queues then, and two others come.
#[test]
fn a_choke_empties_the_queue_but_for_what_needs_no_slot() {
    let torrent = forty();
    let mut giver = Giver::with(&torrent, 0..40, 1024).rules(Rules { slots: 2, ..staying() });
    let (first, second, choked) =
        (Gate::default(), Gate::default(), [Gate::default(), Gate::default()]);
    let (content, gate, over) = (torrent.clone(), first.clone(), choked.clone());
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.interested()?;
        let allowed = offered(talk)?;
        insist_eq!(allowed.len(), 10);
        let others: Vec<u32> = (0..40).filter(|piece| !allowed.contains(piece)).collect();
        // Six that need a slot, three that do not, six that do.
        let asked = [&others[..6], &allowed[..3], &others[6..12]].concat();
        asked.iter().try_for_each(|piece| talk.request(*piece, 0, 16_384))?;
        talk.not_interested()?;
        gate.open();
        over.iter().try_for_each(Gate::opens)?;
        let (mut before, mut refused) = (Vec::new(), Vec::new());
        loop {
            match talk.next()? {
                (wire::PIECE, payload) => before.push(block_of(&content, &payload)?.0),
                (wire::CHOKE, _) => break,
                (id, _) => insist_eq!(id, SUGGEST),
            }
        }
        // What was on its way already came before.
        insist!(before.len() <= 4 && asked.starts_with(&before), "{before:?}");
        let mut after = Vec::new();
        while refused.len() + after.len() < asked.len() - before.len() {
            match talk.answer(&content)? {
                ((piece, ..), true) => after.push(piece),
                ((piece, ..), false) => refused.push(piece),
            }
        }
        let due: Vec<u32> = asked[before.len()..]
            .iter()
            .copied()
            .filter(|piece| !allowed.contains(piece))
            .collect();
        insist_eq!((refused, after), (due, allowed[..3].to_vec()));
        insist_eq!(talk.fence(&ours)?, [], "each request has had one answer");
        // So it goes on until there is a slot again.
        talk.request(others[0], 0, 16_384)?;
        insist_eq!(talk.answer(&content)?, ((others[0], 0, 16_384), false));
        talk.takes_piece(&content, allowed[9])?;
        talk.admitted()?;
        talk.takes_piece(&content, others[0])
    });
    let (content, entered, gate, over) =
        (torrent.clone(), first.clone(), second.clone(), choked.clone());
    giver.taker(move |talk| {
        entered.opens()?;
        talk.hello(EXTENDED, &content)?;
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        (0..15).try_for_each(|piece| talk.request(piece, 0, 16_384))?;
        talk.not_interested()?;
        gate.open();
        over.iter().try_for_each(Gate::opens)?;
        let mut before = 0;
        loop {
            match talk.next()? {
                (wire::PIECE, payload) => before += block_of(&content, &payload)?.2 / 16_384,
                (id, _) => {
                    insist_eq!(id, wire::CHOKE);
                    break;
                }
            }
        }
        insist!(before <= 4, "{before}");
        // A request that comes too late is passed over, without a word for it.
        talk.request(20, 0, 16_384)?;
        insist_eq!(talk.fence(&ours)?, []);
        talk.admitted()?;
        talk.takes_piece(&content, 21)
    });
    for number in 0..2 {
        let (content, entered, choked) = (torrent.clone(), second.clone(), choked.clone());
        giver.taker(move |talk| {
            entered.opens()?;
            talk.hello(EXTENDED, &content)?;
            // Whose slot this was has been told before.
            talk.admitted()?;
            choked[number].open();
            // If it left before, the other one would get this slot.
            choked.iter().try_for_each(Gate::opens)?;
            Ok(())
        });
    }
    let ran = giver.run();
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}

#[test]
fn a_choke_uses_up_no_suggestion() {
    let torrent = forty();
    let mut giver = Giver::new(&torrent).rules(Rules { slots: 1, ..staying() });
    let advised = |talk: &mut Talk| {
        talk.admitted()?;
        let payload = talk.until(SUGGEST)?;
        io::Result::Ok(u32::from_be_bytes(payload.try_into().must("four bytes")?))
    };
    let (held, over, first) = (Gate::default(), Gate::default(), Arc::new(AtomicU32::new(0)));
    let (content, gate, end, index) =
        (torrent.clone(), held.clone(), over.clone(), Arc::clone(&first));
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        index.store(advised(talk)?, Ordering::SeqCst);
        talk.not_interested()?;
        gate.open();
        talk.until(wire::CHOKE)?;
        end.opens()?;
        Ok(())
    });
    let content = torrent.clone();
    giver.taker(move |talk| {
        held.opens()?;
        talk.hello(FAST, &content)?;
        insist_eq!(advised(talk)?, first.load(Ordering::SeqCst) + 1);
        over.open();
        Ok(())
    });
    let ran = giver.run();
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}
