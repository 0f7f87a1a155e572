//! Extensions that a plan brings along: they are asked for each peer, and take part in the session.

use super::super::support::{
    Gate, Must, Recipe, Torrent, bencode, content, insist, insist_eq, wire,
};
use super::net::{EXTENDED, Net, magnet, plan, run};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::Message;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::BoxError;
use piecemeal::s07_extension::extension::{Extension, Offer, Reply};
use piecemeal::s15_swarm::Ended;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Offers the extension to all peers but one, and writes down what it is told.
#[derive(Clone)]
struct Diary {
    told: Arc<Mutex<Vec<String>>>,
    not_for: Option<SocketAddr>,
}

impl Diary {
    fn write(&self, line: String) {
        self.told.lock().expect("nobody panics with this lock").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.told.lock().expect("nobody panics with this lock").clone()
    }
}

impl Offer for Diary {
    fn bit(&self) -> Option<usize> {
        Some(0)
    }

    fn open(&self, peer: &Connection) -> Option<Box<dyn Extension>> {
        (self.not_for != Some(peer.peer)).then(|| Box::new(Entry(self.clone(), false)) as _)
    }
}

/// One session's; whether it has said that time passes.
struct Entry(Diary, bool);

impl Extension for Entry {
    fn name(&self) -> &'static str {
        "x_diary"
    }

    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        self.0.write(format!("message {}", String::from_utf8_lossy(payload)));
        reply.send.push(b"heard".to_vec());
        Ok(())
    }

    fn opened(&mut self, theirs: &Handshake, reply: &mut Reply) {
        self.0.write(format!("opened {}", theirs.has_bit(0)));
        Message::Port { port: 6881 }.encode_to(&mut reply.plain);
    }

    fn tick(&mut self, _: Instant, reply: &mut Reply) {
        if !std::mem::replace(&mut self.1, true) {
            reply.send.push(b"tick".to_vec());
        }
    }

    fn plain(&mut self, message: &Message, reply: &mut Reply) -> Result<bool, BoxError> {
        match *message {
            Message::Port { port } => self.0.write(format!("port {port}")),
            Message::Unknown { id: 21, payload: b"bad" } => return Err("it is bad".into()),
            Message::Unknown { id: 21, payload } => {
                self.0.write(format!("21 {}", payload.len()));
                reply.plain.extend(wire::message(23, payload));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Our extension handshake's id for the diary; `None` if it is not in it.
fn our_id(payload: &[u8]) -> Option<u8> {
    let (ours, _) = bencode::decode(payload.get(1..)?)?;
    u8::try_from(ours.get("m")?.get("x_diary")?.int()?).ok()
}

const BIT_0: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x01];

#[test]
fn an_extension_of_the_plan_takes_part_in_each_session() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        let ours = talk.hello(BIT_0, &content)?;
        insist_eq!(ours[20..28], [0, 0, 0, 0, 0, 0x10, 0, 0x05], "the offer's bit is set");
        let (id, greeting) = talk.next()?;
        insist_eq!((id, greeting[0]), (20, 0), "the extension handshake is first");
        let id = our_id(&greeting).must("x_diary is in it")?;
        // Nothing of BEP 10 is needed for this one.
        insist_eq!(talk.next()?, (9, 6881_u16.to_be_bytes().to_vec()), "it speaks first");
        talk.send(&wire::message(9, &[0x12, 0x34]))?;
        talk.send(&wire::message(21, &[7; 48]))?;
        insist_eq!(talk.next()?, (23, vec![7; 48]), "its own kind of answer");
        // Only now does the peer say that it speaks it, and as number 200.
        let names = bencode::dict(&[("x_diary", bencode::int(200))]);
        talk.send(&wire::extended(0, &bencode::dict(&[("m", names)])))?;
        insist_eq!(talk.next()?, (20, b"\xc8tick".to_vec()), "with no word from the peer");
        talk.send(&wire::extended(id, b"hello"))?;
        insist_eq!(talk.next()?, (20, b"\xc8heard".to_vec()));
        // An id that nobody takes is passed over.
        talk.send(&wire::message(99, b"x"))?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let diary = Diary { told: Arc::default(), not_for: None };
    let mut plan = plan(&net, &torrent, &[peer]);
    plan.extensions.push(Arc::new(diary.clone()));
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(diary.lines(), ["opened true", "port 4660", "21 48", "message hello"]);
}

#[test]
fn an_offer_can_leave_out_a_peer_and_a_broken_message_ends_the_connection() {
    let (net, torrent, seen) = (Net::new(), Torrent::sample(), Gate::default());
    let (content, gate) = (torrent.clone(), seen.clone());
    let without = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        let (_, greeting) = talk.next()?;
        insist!(our_id(&greeting).is_none(), "it is not offered to this peer");
        gate.opens()?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let bad = net.peer(2, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.send(&wire::message(21, b"bad"))?;
        let end = talk.hold();
        seen.open();
        end
    });
    let diary = Diary { told: Arc::default(), not_for: Some(without) };
    let mut plan = plan(&net, &torrent, &[without, bad]);
    plan.extensions.push(Arc::new(diary));
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    let left: Vec<String> = ran.left(bad).into_iter().map(Ended::to_string).collect();
    assert!(matches!(&left[..], [why, ..] if why.contains("x_diary: it is bad")), "{left:?}");
}

#[test]
fn before_the_info_dictionary_is_known_an_extension_hears_its_messages_already() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        let (_, greeting) = talk.next()?;
        let names =
            bencode::dict(&[("x_diary", bencode::int(9)), ("ut_metadata", bencode::int(3))]);
        let size = bencode::int(content.info.len() as i64);
        let greet = bencode::dict(&[("m", names), ("metadata_size", size)]);
        talk.send(&wire::extended(0, &greet))?;
        talk.send(&wire::extended(our_id(&greeting).must("it is offered")?, b"early"))?;
        // Our request and the answer of the extension may come in either order.
        let (mut heard, mut asked) = (false, false);
        while !(heard && asked) {
            let (_, payload) = talk.next()?;
            heard |= payload == b"\x09heard";
            asked |= payload.starts_with(b"\x03");
        }
        let (ours, _) = bencode::decode(&greeting[1..]).must("it is bencode")?;
        let ours = ours.get("m").and_then(|m| m.get("ut_metadata")).and_then(bencode::Value::int);
        let head = bencode::dict(&[
            ("msg_type", bencode::int(1)),
            ("piece", bencode::int(0)),
            ("total_size", bencode::int(content.info.len() as i64)),
        ]);
        let ours = u8::try_from(ours.must("an id")?).must("an id is a byte")?;
        talk.send(&wire::extended(ours, &[&head[..], &content.info].concat()))?;
        talk.until(9)?; // the session begins only now
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let diary = Diary { told: Arc::default(), not_for: None };
    let mut plan = magnet(&net, &torrent, &[peer]);
    plan.extensions.push(Arc::new(diary.clone()));
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(diary.lines(), ["message early", "opened false"]);
}

/// Notes whether the time was told a second time in less than a quarter of a second.
#[derive(Clone, Default)]
struct Hurried(Arc<AtomicBool>);

impl Offer for Hurried {
    fn open(&self, _: &Connection) -> Option<Box<dyn Extension>> {
        Some(Box::new(Pace(self.clone(), None)))
    }
}

/// One session's; when the time was told last.
struct Pace(Hurried, Option<Instant>);

impl Extension for Pace {
    fn name(&self) -> &'static str {
        "x_pace"
    }

    fn is_listed(&self) -> bool {
        false
    }

    fn message(&mut self, _: &[u8], _: &mut Reply) -> Result<(), BoxError> {
        Ok(())
    }

    fn tick(&mut self, now: Instant, _: &mut Reply) {
        let last = self.1.replace(now);
        if last.is_some_and(|last| now - last < Duration::from_millis(250)) {
            self.0.0.store(true, Ordering::SeqCst);
        }
    }
}

/// One peer brings the first block of the only piece, another one the second, and lies. Returns
/// whether an extension was told the time out of turn.
fn hurries(lies: bool) -> bool {
    let torrent = Recipe::single("t", 32_768, content(32_768, 5)).build();
    let (net, begun, second) = (Net::new(), Gate::default(), Gate::default());
    let (whole, first, gate) = (torrent.clone(), begun.clone(), second.clone());
    let honest = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &whole)?;
        talk.has(&whole, &[0])?;
        loop {
            let asked = talk.asked()?;
            // The second block is left to the other one, the first time.
            if asked.1 == 0 || gate.is_open() {
                talk.block(&whole, asked)?;
                first.open();
            }
        }
    });
    let whole = torrent.clone();
    let liar = net.peer(2, move |talk| {
        talk.hello(EXTENDED, &whole)?;
        begun.opens()?;
        talk.has(&whole, &[0])?;
        loop {
            let asked = talk.asked()?;
            let lies = lies && asked.1 > 0 && !second.is_open();
            second.open();
            if lies { talk.wrong_block(&whole, asked) } else { talk.block(&whole, asked) }?;
        }
    });
    let hurried = Hurried::default();
    let mut plan = plan(&net, &torrent, &[honest, liar]);
    plan.extensions.push(Arc::new(hurried.clone()));
    run(&net, plan, &torrent).is_complete(&torrent);
    hurried.0.load(Ordering::SeqCst)
}

#[test]
fn after_a_wrong_piece_that_several_peers_brought_extensions_need_not_wait_for_their_turn() {
    assert!(!hurries(false), "they are told the time four times a second");
    // On a slow machine, their turn may have come by then anyway.
    assert!((0..20).any(|_| hurries(true)), "they could find out which peer has lied");
}
