//! A network that loses, repeats and forges packets, and what `peers` makes of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::book::Book;
use super::requests::{Asked, ask, few};
use crate::actors::udp_tracker::{Deed, action, answer};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{peers, prints};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

/// The time between a wrong packet and the right one.
const BETWEEN: Duration = Duration::from_millis(60);
/// BEP 15 sends a packet again after 15 s; others do it sooner.
const PATIENCE: u64 = 20;

pub fn lost(scene: &mut Scene) -> Finding {
    scene.within(PATIENCE);
    for (number, name) in [(0, "the connect"), (1, "the announce")] {
        let (book, there) = few(scene);
        let lost = AtomicBool::new(false);
        let asked = ask(scene, move |packet, _| {
            let first = action(packet) == Some(number) && !lost.swap(true, Ordering::Relaxed);
            if first { Vec::new() } else { book.deeds(packet) }
        })?;
        prints(&asked.outcome, &there).map_err(|miss| {
            miss.detail(format!("the first packet with {name} was lost, on purpose")).perhaps(
                "nobody but you notices a loss in UDP: when no answer comes, send it again",
            )
        })?;
    }
    Ok(())
}

/// Answers each request twice: first with what `wrong` makes of an answer that is right but for
/// what it names, then as a good tracker does. Insists that the good answer counts.
fn between(
    scene: &mut Scene,
    wrong: impl Fn(Vec<u8>) -> Deed + Send + 'static,
    likely: &'static str,
) -> Finding {
    let (book, there) = few(scene);
    let (decoy, others) = few(scene);
    let asked = ask(scene, move |packet, _| match book.answer(packet) {
        Some(right) => {
            let first = decoy.reply(packet).map(&wrong);
            first.into_iter().chain([Deed::Wait(BETWEEN), Deed::Send(right)]).collect()
        }
        None => Vec::new(),
    })?;
    let text = asked.outcome.text();
    ensure(!others.iter().any(|peer| text.contains(&peer.to_string())), || {
        Miss::new("the peers on stdout are those of the wrong packet").likely(likely)
    })?;
    prints(&asked.outcome, &there).map_err(|miss| miss.likely(likely))
}

pub fn other_id(scene: &mut Scene) -> Finding {
    let wrong = |mut packet: Vec<u8>| {
        packet[4..8].iter_mut().for_each(|byte| *byte = !*byte);
        Deed::Send(packet)
    };
    between(
        scene,
        wrong,
        "bytes 4 to 7 repeat your transaction id: pass over a packet with another one, and wait on",
    )
}

pub fn forged(scene: &mut Scene) -> Finding {
    between(
        scene,
        Deed::Forge,
        "connect the socket to the tracker's address, or compare the sender of each packet",
    )
}

pub fn short(scene: &mut Scene) -> Finding {
    // The connection id of such an answer is not all there, and neither are an announce's counts.
    let wrong = |packet: Vec<u8>| Deed::Send(packet[..12].to_vec());
    for length in [0, 3, 7] {
        let (book, there) = few(scene);
        let asked = ask(scene, move |packet, _| match book.answer(packet) {
            Some(right) => {
                vec![Deed::Send(right[..length].to_vec()), Deed::Wait(BETWEEN), Deed::Send(right)]
            }
            None => Vec::new(),
        })?;
        prints(&asked.outcome, &there).map_err(|miss| {
            miss.detail(format!("before the answer came a packet of {length} bytes"))
                .perhaps("look at a packet's length before its fields, and pass over a short one")
        })?;
    }
    between(scene, wrong, "an answer to connect has 16 bytes, and one to announce 20 at least")
}

pub fn twice(scene: &mut Scene) -> Finding {
    let (book, there) = few(scene);
    let asked = ask(scene, move |packet, _| {
        let deeds = book.deeds(packet);
        [deeds.clone(), deeds].concat()
    })?;
    prints(&asked.outcome, &there).map_err(|miss| {
        miss.detail("each answer came twice").perhaps(
            "the second answer to connect arrives while you wait for that to the announce: compare the transaction id, and the action",
        )
    })
}

pub fn error(scene: &mut Scene) -> Finding {
    let (book, _) = few(scene);
    let word = scene.dice.word(8);
    let text = format!("torrent {word} is not registered");
    let reason = text.clone();
    let asked = ask(scene, move |packet, _| match action(packet) {
        Some(1) => vec![Deed::Send(answer(packet, 3, reason.as_bytes()))],
        _ => book.deeds(packet),
    })?;
    asked
        .outcome
        .refuses()
        .map_err(|miss| miss.perhaps("action 3 is an error; its text follows"))?;
    let told = String::from_utf8_lossy(&asked.outcome.stderr).contains(&word);
    ensure(told, || {
        Miss::new("the tracker's reason is not on stderr")
            .instead(format!("\"{text}\""), asked.outcome.last_words().unwrap_or_default())
            .likely("action 3 is an error; all that follows the transaction id is its text")
            .half()
    })
}

pub fn silence(scene: &mut Scene) -> Finding {
    scene.within(PATIENCE);
    let Asked { outcome, .. } = ask(scene, |_, _| Vec::new())?;
    outcome
        .refuses_after_a_wait()
        .map_err(|miss| miss.likely("set a time limit: sending again has to end at some point"))
}

pub fn many(scene: &mut Scene) -> Finding {
    let there = peers(&mut scene.dice, 200);
    let book = Book::new(&mut scene.dice, &there);
    let asked = ask(scene, move |packet, _| book.deeds(packet))?;
    prints(&asked.outcome, &there).map_err(|miss| {
        miss.detail("the answer has 1220 bytes")
            .perhaps("a packet that is longer than your buffer is cut, without a word: take 64 KiB")
    })
}
