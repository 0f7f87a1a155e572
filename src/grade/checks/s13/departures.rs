//! What `announce` says from the first announce to the last, and to whom.

use super::announcing::{Announcing, NO_GOODBYE, ends_well, event, has_ended, says_goodbye, taken};
use crate::actors::bencode::{bytes, dict, int};
use crate::actors::tracker::{Reply, percent_decoded, query_of};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::tiers_file;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;
use crate::s03_tracker::Event;

/// Starts it with a good tracker, and waits until the first announce is answered.
fn greeted(scene: &mut Scene) -> Result<Announcing, Miss> {
    let reply = taken(scene, 1800);
    Announcing::start(scene, move |_, _| reply.clone())?.hear(1)
}

pub fn stopped(scene: &mut Scene) -> Finding {
    let (heard, outcome) = greeted(scene)?.leave()?;
    says_goodbye(&heard, &outcome, NO_GOODBYE)?;
    for one in &heard {
        let (first, this) = (&heard[0].announce, &one.announce);
        ensure(this.peer_id == first.peer_id, || {
            Miss::new("stopped has another peer id than started")
                .instead(first.peer_id, this.peer_id)
                .likely(
                    "choose the peer id once: by it the tracker finds whom to take off its list",
                )
        })?;
        ensure(this.port == first.port, || {
            Miss::new("stopped has another port than started").instead(first.port, this.port)
        })?;
    }
    ends_well(&outcome).map_err(Miss::half)
}

pub fn completed(scene: &mut Scene) -> Finding {
    let (heard, _) = greeted(scene)?.leave()?;
    ensure(heard.iter().all(|one| one.announce.event != Some(Event::Completed)), || {
        let events: Vec<String> = heard.iter().map(event).collect();
        Miss::new("it says completed, and has downloaded nothing")
            .instead("started, and at the end stopped", events.join(", "))
            .likely("completed makes the tracker count a download")
    })
}

pub fn left(scene: &mut Scene) -> Finding {
    let on = greeted(scene)?;
    let length = on.torrent.content.len() as u64;
    let (heard, _) = on.leave()?;
    for one in heard.iter().map(|one| &one.announce) {
        ensure(one.left == length, || {
            let miss = Miss::new("left is the number of bytes that are still missing")
                .instead(format!("left={length}"), format!("left={}", one.left));
            match one.left {
                0 => miss.likely("with left=0 it counts as a seed, and is named to others as one"),
                _ => miss,
            }
        })?;
        ensure(one.downloaded == 0 && one.uploaded == 0, || {
            Miss::new("nothing was downloaded or uploaded").instead(
                "downloaded=0, uploaded=0",
                format!("downloaded={}, uploaded={}", one.downloaded, one.uploaded),
            )
        })?;
    }
    Ok(())
}

/// Starts it with two tiers, of which the second has the good tracker.
fn with_first(scene: &mut Scene, first: String, why: &str) -> Result<Announcing, Miss> {
    let (torrent, reply) = (scene.torrent(2), taken(scene, 1800));
    let second = scene.tracker(move |_, _| reply.clone())?;
    let file = tiers_file(scene, &torrent, &[first, second.url()])?;
    Announcing::start_with(scene, torrent, second, &file)?.hear(1).map_err(|miss| {
        miss.detail(format!("it is the tracker of the second tier; {why}")).likely(
            "announce-list has tiers of trackers: if no tracker of a tier answers, ask the next tier",
        )
    })
}

pub fn refused(scene: &mut Scene) -> Finding {
    let first = scene.tracker(|_, _| Reply::failure("this torrent is not registered here"))?;
    let on = with_first(scene, first.url(), "the first answers with a failure reason")?;
    let heard = on.announces()?;
    drop(on.end());
    ensure(heard.first().is_some_and(|one| one.announce.event == Some(Event::Started)), || {
        Miss::new("the second tracker does not know this client yet: it has to hear started")
            .instead("event=started", heard.first().map_or("nothing".to_owned(), event))
    })
}

pub fn down(scene: &mut Scene) -> Finding {
    let first = format!("http://{}/announce", scene.nobody()?);
    let on = with_first(scene, first, "nobody listens at the first")?;
    let (heard, outcome) = on.leave()?;
    says_goodbye(&heard, &outcome, "say stopped to the tracker that has taken started")
}

pub fn id(scene: &mut Scene) -> Finding {
    let word = format!("{} & {}", scene.dice.word(5), scene.dice.word(5));
    let reply = Reply::Body(dict(&[
        ("interval", int(1800)),
        ("peers", bytes("")),
        ("tracker id", bytes(&word)),
    ]));
    let on = Announcing::start(scene, move |_, _| reply.clone())?.hear(1)?;
    let tracker = on.tracker.clone();
    let (heard, outcome) = on.leave()?;
    says_goodbye(&heard, &outcome, NO_GOODBYE)?;
    let last = tracker.asked().pop().unwrap_or_default();
    let sent = query_of(&last).into_iter().find(|(key, _)| key == "trackerid");
    let sent = sent.map(|(_, value)| percent_decoded(&value));
    ensure(sent.as_deref() == Some(word.as_bytes()), || {
        Miss::new("the tracker gave the client an id, and does not get it back")
            .instead(
                format!("trackerid={word}, percent-encoded"),
                match sent {
                    Some(bytes) => format!("trackerid={}", String::from_utf8_lossy(&bytes)),
                    None => "no trackerid".to_owned(),
                },
            )
            .likely("the answer's `tracker id` goes into each later announce, as trackerid=")
    })
}

pub fn silence(scene: &mut Scene) -> Finding {
    let reply = taken(scene, 1800);
    let answer =
        move |_: &str, number: usize| if number == 0 { reply.clone() } else { Reply::Silence };
    let on = Announcing::start(scene, answer)?.hear(1)?;
    let (_, outcome) = on.leave()?;
    has_ended(&outcome)
}
