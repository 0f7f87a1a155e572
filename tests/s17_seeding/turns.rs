//! A seed gives in turn: each rule on its own, the rules that always hold, and whole
//! crowds with a clock that counts rounds.

use super::super::support::{Gate, Recipe, content, insist_eq, wire};
use super::giver::Giver;
use super::memory::Dice;
use super::net::{FAST, Talk};
use super::rules::staying;
use piecemeal::s17_seeding::Rules;
use piecemeal::s17_seeding::choking::{
    Decision, LUCKY_ROUNDS, Standing, TURN, is_ahead, take_turns,
};
use std::io;
use std::time::Duration;

const WAITS: Standing = Standing {
    interested: true,
    unchoked: false,
    rounds: 0,
    bytes: 0,
    idle: false,
    snubs: false,
    newcomer: false,
};
const NEW: Standing = Standing { newcomer: true, ..WAITS };
const CONTENT: Standing = Standing { interested: false, ..WAITS };

/// A peer that got its slot this many rounds ago, and takes what it can.
const fn holds(rounds: u32) -> Standing {
    Standing { unchoked: true, rounds, bytes: 1 << 20, ..WAITS }
}

const IDLE: Standing = Standing { idle: true, bytes: 0, ..holds(1) };

struct Row {
    rule: &'static str,
    peers: &'static [Standing],
    slots: usize,
    lucky: Option<usize>,
    /// Who gets a slot, and who of these by luck, if the draw names the first ticket.
    unchoked: &'static [usize],
    drawn: Option<usize>,
    tickets: usize,
}

const fn row(
    rule: &'static str,
    peers: &'static [Standing],
    slots: usize,
    unchoked: &'static [usize],
) -> Row {
    Row { rule, peers, slots, lucky: None, unchoked, drawn: None, tickets: 0 }
}

const TABLE: &[Row] = &[
    row(
        "everybody has a slot where there is room",
        &[WAITS, holds(9), NEW, IDLE],
        4,
        &[0, 1, 2, 3],
    ),
    row("a turn lasts three rounds", &[holds(2), holds(1), WAITS, WAITS], 2, &[0, 1]),
    row("a turn that is over passes on", &[holds(3), holds(1), WAITS], 2, &[1, 2]),
    row("a single slot goes by turn, not by luck", &[holds(3), WAITS, NEW, NEW], 1, &[1]),
    Row {
        drawn: Some(2),
        tickets: 2,
        ..row(
            "the longest wait comes first, and the last slot is for luck",
            &[WAITS, WAITS, WAITS, WAITS],
            3,
            &[0, 1, 2],
        )
    },
    Row {
        drawn: Some(1),
        tickets: 5,
        ..row("newcomers have three tickets", &[WAITS, WAITS, WAITS, NEW], 2, &[0, 1])
    },
    row(
        "a turn that is over goes on while nobody waits",
        &[holds(3), holds(7), CONTENT],
        2,
        &[0, 1],
    ),
    row(
        "the turn that has lasted longest ends first",
        &[holds(5), holds(4), holds(3), WAITS],
        3,
        &[1, 2, 3],
    ),
    row(
        "a peer that takes nothing makes room within its turn",
        &[IDLE, holds(2), WAITS],
        2,
        &[1, 2],
    ),
    row("it goes before a turn that is over", &[IDLE, holds(3), WAITS], 2, &[1, 2]),
    row("and keeps its slot while nobody waits", &[IDLE, IDLE], 2, &[0, 1]),
    row(
        "a peer that wants nothing gets nothing",
        &[CONTENT, Standing { interested: false, ..holds(1) }, WAITS],
        3,
        &[2],
    ),
    Row {
        lucky: Some(1),
        drawn: Some(1),
        ..row("luck stays while it may", &[holds(3), holds(4), WAITS, WAITS], 2, &[1, 2])
    },
    Row {
        lucky: Some(0),
        drawn: Some(0),
        ..row("luck is no turn of its own", &[holds(1), holds(1), WAITS], 2, &[0, 1])
    },
    Row {
        lucky: Some(0),
        ..row("luck that takes nothing is lost", &[IDLE, holds(1), WAITS], 2, &[1, 2])
    },
    Row {
        lucky: Some(0),
        drawn: Some(2),
        tickets: 4,
        ..row("luck that has left is drawn anew", &[CONTENT, WAITS, NEW, WAITS], 2, &[1, 2])
    },
    Row {
        lucky: Some(77),
        ..row("luck may be gone, and its number nobody's", &[holds(1), holds(1), WAITS], 2, &[0, 1])
    },
    row(
        "nobody is cut short so that luck can be drawn",
        &[holds(1), holds(2), WAITS, NEW],
        2,
        &[0, 1],
    ),
    row("fewer slots than before", &[holds(1), holds(1), holds(1), WAITS], 2, &[0, 1]),
    row("no slots", &[holds(1), WAITS], 0, &[]),
    row("nobody", &[], 5, &[]),
];

fn sorted(mut unchoked: Vec<usize>) -> Vec<usize> {
    unchoked.sort_unstable();
    unchoked
}

#[test]
fn each_rule_of_a_seed() {
    for Row { rule, peers, slots, lucky, unchoked, drawn, tickets } in TABLE {
        let mut seen = 0;
        let decision = take_turns(peers, *slots, *lucky, |hat| {
            seen = hat;
            0
        });
        assert_eq!(
            (sorted(decision.unchoked), decision.lucky, seen),
            (unchoked.to_vec(), *drawn, *tickets),
            "{rule}"
        );
    }
}

#[test]
fn what_a_peer_takes_does_not_count() {
    let fast = Standing { bytes: u64::MAX, ..holds(3) };
    let slow = Standing { bytes: 1, ..holds(2) };
    assert_eq!(sorted(take_turns(&[fast, slow, WAITS], 2, None, |_| 0).unchoked), [1, 2]);
}

#[test]
fn a_peer_is_ahead_that_took_more_than_half_as_much_again_as_the_average() {
    const KIB: u64 = 1024;
    for (all, ahead, why) in [
        (&[][..], &[][..], "nobody"),
        (&[0, 0], &[], "nobody takes anything"),
        (&[900 * KIB], &[], "one alone is the average"),
        (&[900 * KIB, 0, 0, 0], &[], "those that take nothing do not count"),
        (&[300, 100], &[], "three times the other is just half as much again as both"),
        (&[301, 100], &[0], "and a byte more is too much"),
        (&[100, 100, 100, 100, 100], &[], "all the same"),
        (&[60, 110, 90, 140, 100], &[], "and nearly the same"),
        (&[46, 46, 46, 332, 46], &[3], "a quick line among slow ones"),
        (&[46, 46, 46, 188, 188], &[3, 4], "and two of them"),
        (&[10, 10, 10, 1, 1, 1], &[0, 1, 2], "slow ones count as much as quick ones"),
    ] {
        let found: Vec<usize> =
            (0..all.len()).filter(|number| is_ahead(all[*number], all)).collect();
        assert_eq!(found, ahead, "{why}");
    }
}

/// Checks what holds whatever the peers are like.
fn holds_always(peers: &[Standing], slots: usize, lucky: Option<usize>, decision: &Decision) {
    let Decision { unchoked, lucky: drawn } = decision;
    let interested: Vec<usize> =
        (0..peers.len()).filter(|number| peers[*number].interested).collect();
    assert_eq!(
        unchoked.len(),
        interested.len().min(slots),
        "no slot is left over while a peer wants it"
    );
    for (at, number) in unchoked.iter().enumerate() {
        assert!(interested.contains(number), "{number} wants nothing");
        assert!(!unchoked[..at].contains(number), "{number} has two slots");
    }
    assert!(drawn.is_none_or(|drawn| unchoked.contains(&drawn)));
    assert!(slots > 1 || lucky.is_some() || drawn.is_none(), "a single slot is not for luck");
    let has_turn = |number: usize| {
        peers[number].unchoked && !peers[number].idle && peers[number].rounds < TURN
    };
    let waits = |number: usize| !peers[number].unchoked;
    for other in interested.iter().filter(|other| !unchoked.contains(other)) {
        if has_turn(*other) {
            assert!(
                unchoked.iter().all(|number| has_turn(*number) || Some(*number) == lucky),
                "{other} is cut short"
            );
        }
        if waits(*other) {
            let passed =
                |number: &usize| Some(*number) != *drawn && waits(*number) && number > other;
            assert!(!unchoked.iter().any(passed), "{other} has waited longer");
            let over =
                |number: &usize| !waits(*number) && !has_turn(*number) && Some(*number) != *drawn;
            assert!(!unchoked.iter().any(over), "{other} waits, and a turn goes on that is over");
        }
    }
}

#[test]
fn the_rules_of_a_seed_hold_for_peers_of_all_kinds() {
    let mut dice = Dice::new(21);
    for _ in 0..20_000 {
        let peers: Vec<Standing> = (0..dice.roll(9))
            .map(|_| {
                let unchoked = dice.one_in(2);
                Standing {
                    interested: !dice.one_in(4),
                    unchoked,
                    rounds: if unchoked { 1 + dice.roll(6) } else { 0 },
                    bytes: u64::from(dice.roll(4)),
                    idle: unchoked && dice.one_in(4),
                    newcomer: dice.one_in(3),
                    ..WAITS
                }
            })
            .collect();
        let slots = dice.roll(6) as usize;
        let lucky = (0..peers.len()).find(|number| peers[*number].unchoked && dice.one_in(3));
        let decision =
            take_turns(&peers, slots, lucky, |tickets| dice.roll(tickets as u32) as usize);
        holds_always(&peers, slots, lucky, &decision);
    }
}

/// A seed's peers, as its waiting list keeps them. The clock counts rounds.
struct Crowd {
    slots: usize,
    clock: u32,
    peers: Vec<Member>,
    lucky: Option<(usize, u32)>,
    dice: Dice,
}

#[derive(Clone, Copy)]
struct Member {
    id: usize,
    came: u32,
    since: u32,
    /// Since when it has a slot, and whether that came by luck.
    slot: Option<(u32, bool)>,
    /// Whether it comes back with a new connection every round in which it has no slot.
    reconnects: bool,
}

/// A slot that a peer has had: whose, from which round to which, and whether by luck.
struct Had {
    id: usize,
    from: u32,
    to: u32,
    lucky: bool,
}

impl Crowd {
    fn new(slots: usize, patient: usize, reconnecting: usize) -> Crowd {
        let member = |id| Member { id, came: 0, since: 0, slot: None, reconnects: id >= patient };
        let peers = (0..patient + reconnecting).map(member).collect();
        Crowd { slots, clock: 0, peers, lucky: None, dice: Dice::new(slots as u64) }
    }

    /// Plays this many rounds, and returns all slots that have come to an end.
    fn play(&mut self, rounds: u32) -> Vec<Had> {
        let mut had = Vec::new();
        for _ in 0..rounds {
            self.clock += 1;
            for peer in self.peers.iter_mut().filter(|peer| peer.reconnects && peer.slot.is_none())
            {
                (peer.came, peer.since) = (self.clock, self.clock);
            }
            self.peers.sort_by_key(|peer| peer.since);
            self.lucky = self.lucky.map(|(id, left)| (id, left - 1)).filter(|(_, left)| *left > 0);
            let standings: Vec<Standing> =
                self.peers.iter().map(|peer| peer.standing(self.clock)).collect();
            let place = |id| self.peers.iter().position(|peer| peer.id == id);
            let lucky = self.lucky.and_then(|(id, _)| place(id));
            let decision = take_turns(&standings, self.slots, lucky, |hat| {
                self.dice.roll(hat as u32) as usize
            });
            holds_always(&standings, self.slots, lucky, &decision);
            if decision.lucky != lucky {
                self.lucky = decision.lucky.map(|place| (self.peers[place].id, LUCKY_ROUNDS));
            }
            for (place, peer) in self.peers.iter_mut().enumerate() {
                match (peer.slot, decision.unchoked.contains(&place)) {
                    (None, true) => peer.slot = Some((self.clock, decision.lucky == Some(place))),
                    (Some((from, lucky)), false) => {
                        had.push(Had { id: peer.id, from, to: self.clock, lucky });
                        peer.slot = None;
                    }
                    _ => continue,
                }
                peer.since = self.clock;
            }
        }
        had
    }
}

impl Member {
    fn standing(&self, clock: u32) -> Standing {
        let newcomer = clock - self.came < 6;
        match self.slot {
            Some((since, _)) => Standing { newcomer, ..holds(clock - since) },
            None => Standing { newcomer, ..WAITS },
        }
    }
}

#[test]
fn of_hundreds_each_gets_its_turn() {
    for slots in [1, 2, 5, 20] {
        let mut crowd = Crowd::new(slots, 300, 0);
        let by_turn = (slots - 1).max(1) as u32;
        // One slot is for luck; each of the others serves a peer every three rounds.
        let lap = 300u32.div_ceil(by_turn) * TURN;
        let had = crowd.play(3 * lap);
        for slot in &had {
            assert_eq!(
                slot.to - slot.from,
                TURN,
                "{slots} slots: {} from round {}",
                slot.id,
                slot.from
            );
        }
        for id in 0..300 {
            let begun: Vec<u32> =
                had.iter().filter(|slot| slot.id == id).map(|slot| slot.from).collect();
            assert!(
                begun.first().is_some_and(|first| *first <= lap),
                "{slots} slots: {id} waits for {begun:?}"
            );
            let longest = begun.windows(2).map(|pair| pair[1] - pair[0]).max();
            assert!(
                longest.is_some_and(|longest| longest <= lap + TURN),
                "{slots} slots: {id} waits for {longest:?}"
            );
        }
    }
}

#[test]
fn peers_that_come_back_again_and_again_do_not_pass_those_that_wait() {
    for slots in [1, 2, 5] {
        let (patient, reconnecting) = (40, 40);
        let mut crowd = Crowd::new(slots, patient, reconnecting);
        let lap = 40u32.div_ceil((slots - 1).max(1) as u32) * TURN;
        let had = crowd.play(20 * lap);
        for id in 0..patient {
            let turns = had.iter().filter(|slot| slot.id == id).count();
            assert!(turns >= 18, "{slots} slots: {turns} turns of 20 for {id}, which waits");
        }
        // What they get, they get by luck.
        let jumped = had.iter().filter(|slot| slot.id >= patient && !slot.lucky).count();
        assert_eq!(jumped, 0, "{slots} slots");
    }
}

#[test]
fn a_newcomer_need_not_wait_for_all_the_others() {
    let mut soon = 0;
    for seed in 0..200 {
        let mut crowd = Crowd::new(5, 40, 0);
        crowd.dice = Dice::new(seed);
        crowd.play(30);
        let clock = crowd.clock;
        crowd.peers.push(Member {
            id: 40,
            came: clock,
            since: clock,
            slot: None,
            reconnects: false,
        });
        // There are two draws in a minute, and it has three of some forty tickets in each.
        let had = crowd.play(9);
        soon += usize::from(had.iter().any(|slot| slot.id == 40 && slot.lucky));
    }
    // By turn alone it would wait for 30 rounds. With one ticket, about 10 of 200 are so lucky.
    assert!((20..50).contains(&soon), "{soon} of 200");
}

/// Takes block after block, as fast as it can, until it is choked.
fn takes_its_turn(talk: &mut Talk, length: u32) -> io::Result<()> {
    loop {
        talk.request(0, 0, length)?;
        if talk.next()?.0 == wire::CHOKE {
            return Ok(());
        }
    }
}

#[test]
fn a_seed_with_one_slot_passes_it_round_however_fast_its_holder_takes() {
    // Nobody takes a whole piece, so nobody is ahead.
    let torrent = Recipe::single("t", 16 << 20, content(16_384, 3)).build();
    let rules = Rules { slots: 1, round: Duration::from_millis(100), ..staying() };
    let mut giver = Giver::new(&torrent).rules(rules);
    let (held, served) = (Gate::default(), Gate::default());
    for first in [true, false] {
        let (content, held, served) = (torrent.clone(), held.clone(), served.clone());
        giver.taker(move |talk| {
            if !first {
                held.opens()?;
            }
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            held.open();
            // The first has the slot, loses it, gets it again when the other's turn is
            // over, and then the other gets it again, too.
            takes_its_turn(talk, 64)?;
            talk.until(wire::UNCHOKE)?;
            if first {
                takes_its_turn(talk, 64)?;
                served.opens()?;
            } else {
                served.open();
            }
            Ok(())
        });
    }
    let ran = giver.run();
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}

/// A round takes longer than this test may: only being ahead ends a turn.
#[test]
fn a_peer_that_is_ahead_makes_room_at_a_seed_with_a_limit_once_it_has_had_a_piece() {
    // At a download it does not, nor at a seed without a limit, nor before it has had as much
    // as a piece. With ten pieces, none may be asked for without a slot.
    let table = [
        (16_384, 10, true, true),
        (16_384, 10, false, false),
        (16_384, 9, true, false),
        (131_072, 10, true, false),
    ];
    for (length, pieces, scarce, makes_room) in table {
        let torrent = Recipe::single("t", length, content(10 * length, 3)).build();
        let rules = Rules { slots: 2, scarce, round: Duration::from_secs(600), ..staying() };
        let mut giver = Giver::with(&torrent, 0..pieces, 1 << 16).rules(rules);
        let (slow, quick, over) = (Gate::default(), Gate::default(), Gate::default());
        let (content, entered, end) = (torrent.clone(), slow.clone(), over.clone());
        giver.taker(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            talk.takes(&content, 0, 0, 16_384)?;
            entered.open();
            end.opens()?;
            // It has had a piece, and keeps its slot: it is not ahead.
            talk.takes(&content, 1, 0, 16_384)
        });
        let (content, before, entered, end) =
            (torrent.clone(), slow.clone(), quick.clone(), over.clone());
        giver.taker(move |talk| {
            before.opens()?;
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            // Five pieces to one. Nobody waits yet, so it keeps its slot.
            for piece in 0..5 {
                talk.takes(&content, piece, 0, 16_384)?;
            }
            entered.open();
            if makes_room {
                talk.until(wire::CHOKE)?;
                end.opens()?;
                return Ok(());
            }
            end.opens()?;
            talk.takes(&content, 5, 0, 16_384)
        });
        let content = torrent.clone();
        giver.taker(move |talk| {
            quick.opens()?;
            talk.hello(FAST, &content)?;
            if makes_room {
                talk.admitted()?;
            } else {
                talk.interested()?;
                talk.request(0, 0, 1)?;
                insist_eq!(talk.answer(&content)?, ((0, 0, 1), false), "both slots are taken");
            }
            over.open();
            Ok(())
        });
        let ran = giver.run();
        assert_eq!(ran.result.is_ok(), pieces == 10, "{:?}", ran.result); // a download ends before it is complete
    }
}

/// The one that is ahead comes first in the list, wants more, and keeps its slot.
#[test]
fn a_peer_that_wants_nothing_makes_room_before_one_that_is_ahead() {
    let torrent = Recipe::single("t", 16_384, content(10 * 16_384, 3)).build();
    let rules = Rules { slots: 2, scarce: true, round: Duration::from_secs(600), ..staying() };
    let mut giver = Giver::new(&torrent).rules(rules);
    let (entered, sated, over) = (Gate::default(), Gate::default(), Gate::default());
    let (content, here, end) = (torrent.clone(), entered.clone(), over.clone());
    giver.taker(move |talk| {
        talk.hello(FAST, &content)?;
        talk.admitted()?;
        for piece in 0..5 {
            talk.takes_piece(&content, piece)?;
        }
        here.open();
        end.opens()?;
        // Answered with a block: it has not been choked.
        talk.takes_piece(&content, 5)
    });
    let (content, leaves, end) = (torrent.clone(), sated.clone(), over.clone());
    giver.taker(move |talk| {
        entered.opens()?;
        talk.hello(FAST, &content)?;
        talk.admitted()?;
        talk.takes_piece(&content, 0)?;
        talk.not_interested()?;
        // It has its slot still, and its answer shows that we know that it wants no more.
        talk.takes(&content, 0, 0, 1)?;
        leaves.open();
        talk.until(wire::CHOKE)?;
        end.opens()?;
        Ok(())
    });
    let content = torrent.clone();
    giver.taker(move |talk| {
        sated.opens()?;
        talk.hello(FAST, &content)?;
        talk.admitted()?;
        over.open();
        Ok(())
    });
    let ran = giver.run();
    assert!(ran.result.is_ok(), "{:?}", ran.result);
}
