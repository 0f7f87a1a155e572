//! When `announce` asks again, and when not.

use std::time::Duration;

use super::announcing::{Announcing, event, taken};
use crate::actors::tracker::Reply;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;
use crate::s03_tracker::Event;

/// How long a client is watched that should wait.
const WATCHED: Duration = Duration::from_secs(4);
/// A client may refuse to ask more often than every 30 s, whatever the tracker says, and so do the
/// large ones. So a check that waits for the next announce must have more patience than that.
const PATIENCE: u64 = 45;

pub fn started(scene: &mut Scene) -> Finding {
    let reply = taken(scene, 1800);
    let on = Announcing::start(scene, move |_, _| reply.clone())?.hear(1)?;
    let heard = on.announces()?;
    let [first, ..] = heard.as_slice() else {
        return Err(Miss::new("no announce came"));
    };
    ensure(first.announce.event == Some(Event::Started), || {
        Miss::new("the first announce has to say that it is the first")
            .instead("event=started", event(first))
            .likely(
                "event is one of started, completed and stopped, or absent in a regular announce",
            )
    })?;
    let (named, port) = (first.announce.port, on.port);
    ensure(named == port, || {
        Miss::new("the announce names another port than --port says")
            .instead(format!("port={port}"), format!("port={named}"))
    })
}

pub fn kept(scene: &mut Scene) -> Finding {
    let reply = taken(scene, 1800);
    let mut on = Announcing::start(scene, move |_, _| reply.clone())?.hear(1)?;
    on.watch(WATCHED, 3);
    ensure(!on.is_over(), || {
        Miss::new("it ended on its own; it is to announce until Ctrl-C")
            .likely("after the first announce wait for the interval, and announce again")
    })?;
    let heard = on.announces()?;
    // One more is allowed: a client may need peers.
    ensure(heard.len() <= 2, || {
        Miss::new("it does not wait for the interval")
            .instead(
                "the next announce after 1800 s",
                format!("{} announces in less than 4 s", heard.len()),
            )
            .likely("the tracker's answer says how long to wait: interval, in seconds")
    })
}

pub fn again(scene: &mut Scene) -> Finding {
    const INTERVAL: i64 = 3;
    scene.within(PATIENCE);
    let reply = taken(scene, INTERVAL);
    let on = Announcing::start(scene, move |_, _| reply.clone())?.hear(2).map_err(|miss| {
        miss.detail(format!("the tracker had asked for an announce every {INTERVAL} s"))
            .perhaps("after interval seconds announce again, and so on until Ctrl-C")
    })?;
    let heard = on.announces()?;
    let [_, second, ..] = heard.as_slice() else {
        return Err(Miss::new("no second announce came"));
    };
    ensure(second.announce.event.is_none(), || {
        Miss::new("a regular announce has no event")
            .instead("no event", event(second))
            .likely("started is said until a tracker has taken it, and then no more")
    })?;
    let times: Vec<_> = on.tracker.recordings().iter().map(|one| one.begun()).collect();
    let [first, second, ..] = times.as_slice() else { return Ok(()) };
    let pause = second.saturating_duration_since(*first);
    // A busy machine may have seen the first one late.
    ensure(pause >= Duration::from_secs(INTERVAL as u64 - 1), || {
        Miss::new("it asked again too soon").instead(
            format!("{INTERVAL} s or more after the first"),
            format!("{:.1} s", pause.as_secs_f64()),
        )
    })
}

pub fn hasty(scene: &mut Scene) -> Finding {
    let on = Announcing::start(scene, |_, _| Reply::failure("come back when you are registered"))?;
    without_pause(on, "after a refusal")
}

pub fn zero(scene: &mut Scene) -> Finding {
    let reply = taken(scene, 0);
    let on = Announcing::start(scene, move |_, _| reply.clone())?;
    without_pause(on, "although interval was 0")
}

/// Insists that it pauses between announces, though nobody has told it how long.
fn without_pause(on: Announcing, when: &str) -> Finding {
    const TOO_MANY: usize = 6;
    let mut on = on.hear(1)?;
    on.watch(WATCHED, TOO_MANY);
    let count = on.announces()?.len();
    ensure(count < TOO_MANY, || {
        Miss::new(format!("{count} announces in less than 4 s, {when}"))
            .likely("a pause has a least length, half a minute, and after a failure it doubles")
    })
}

pub fn comes_back(scene: &mut Scene) -> Finding {
    scene.within(PATIENCE);
    let reply = taken(scene, 1800);
    let answer = move |_: &str, number: usize| match number {
        0 => Reply::Status(503, b"<html>Service Unavailable</html>".to_vec()),
        _ => reply.clone(),
    };
    let on = Announcing::start(scene, answer)?.hear(2).map_err(|miss| {
        miss.detail("the tracker's answer was status 503")
            .perhaps("a tracker that fails is no reason to stop: wait, and ask again")
    })?;
    let heard = on.announces()?;
    let [_, second, ..] = heard.as_slice() else {
        return Err(Miss::new("no second announce came"));
    };
    ensure(second.announce.event == Some(Event::Started), || {
        Miss::new("the tracker has not taken started yet, and has to hear it again")
            .instead("event=started", event(second))
            .likely("started is said until a tracker has taken it")
    })
}
