//! What `peers` asks, and whom.

use crate::actors::torrent::{Recipe, Torrent};
use crate::actors::tracker::Reply;
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{
    announce, excerpt, names, peers, prints, tiers_file, was_asked,
};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;
use crate::s03_tracker::Event;

/// Four random hashes: with a space, with a byte that has a meaning in a URL, with one that ends a
/// line or a text, and any.
pub fn info_hash(scene: &mut Scene) -> Finding {
    for wanted in [&b" "[..], b"&+#%", b"\0\n", b""] {
        let torrent = hashed(scene, wanted);
        let there = peers(&mut scene.dice, 1);
        let tracker = scene.tracker_of(&there)?;
        let file = scene.torrent_file(&torrent, &tracker.url())?;
        let outcome = scene.run(&["peers", &file])?;
        for target in was_asked(&tracker, &outcome)? {
            names(&target, &torrent, &tracker.url())?;
        }
    }
    Ok(())
}

/// Returns a torrent whose hash has one of these bytes.
fn hashed(scene: &mut Scene, wanted: &[u8]) -> Torrent {
    let mut tries = 0..1_000;
    loop {
        let length = scene.dice.length(1, 60);
        let torrent = scene.torrent_of(16_384, length);
        let has = torrent.info_hash.iter().any(|byte| wanted.contains(byte));
        if has || wanted.is_empty() || tries.next().is_none() {
            return torrent;
        }
    }
}

pub fn parameters(scene: &mut Scene) -> Finding {
    let torrent = scene.torrent(3);
    asked_for(scene, &torrent)
}

pub fn several_files(scene: &mut Scene) -> Finding {
    let name = scene.dice.word(6);
    let mut file = || {
        let (path, length) = (scene.dice.word(7), scene.dice.length(1, 50_000));
        (path, scene.dice.bytes(length))
    };
    let files = [file(), file(), file()];
    let files = [0, 1, 2].map(|at| (files[at].0.as_str(), files[at].1.clone()));
    let torrent = Recipe::files(name, 32_768, &files).build();
    asked_for(scene, &torrent)
}

/// Insists that all parameters of an announce are right.
fn asked_for(scene: &mut Scene, torrent: &Torrent) -> Finding {
    let there = peers(&mut scene.dice, 1);
    let tracker = scene.tracker_of(&there)?;
    let file = scene.torrent_file(torrent, &tracker.url())?;
    let outcome = scene.run(&["peers", &file])?;
    for target in was_asked(&tracker, &outcome)? {
        let heard = announce(&target)?;
        let (said, length) = (&heard.announce, torrent.content.len() as u64);
        ensure(said.left == length, || {
            let miss = Miss::new("left is the number of bytes that are still missing")
                .instead(format!("left={length}"), format!("left={}", said.left));
            match said.left {
                0 => miss.likely("with left=0 you say that you have everything"),
                _ => miss.likely("it is the length of all files together"),
            }
        })?;
        for (key, found) in [("uploaded", said.uploaded), ("downloaded", said.downloaded)] {
            ensure(found == 0, || {
                Miss::new(format!("{key}={found}, and nothing has been {key} yet"))
            })?;
        }
        ensure(matches!(said.event, None | Some(Event::Started)), || {
            Miss::new("event is started, or absent, in a first announce")
        })?;
        ensure(heard.compact == Some(true), || {
            Miss::new("compact=1 is missing")
                .likely("without it some trackers answer with a list of dictionaries (BEP 23)")
        })?;
    }
    Ok(())
}

pub fn own_query(scene: &mut Scene) -> Finding {
    let (torrent, there) = (scene.torrent(1), peers(&mut scene.dice, 2));
    let tracker = scene.tracker_of(&there)?;
    let key = format!("passkey={}", scene.dice.word(9));
    let url = format!("{}?{key}", tracker.url());
    let file = scene.torrent_file(&torrent, &url)?;
    let outcome = scene.run(&["peers", &file])?;
    for target in was_asked(&tracker, &outcome)? {
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        ensure(path == "/announce" && query.split('&').any(|pair| pair == key), || {
            Miss::new("the query of the tracker's own URL did not arrive")
                .instead(format!("/announce?{key}&info_hash=…"), excerpt(&target))
                .likely("the URL has a ? already: what you add to it goes on with &")
        })?;
        names(&target, &torrent, &url)?;
    }
    prints(&outcome, &there)
}

pub fn down(scene: &mut Scene) -> Finding {
    let first = format!("http://{}/announce", scene.nobody()?);
    second_tier(scene, first, "nobody listens at the first")
}

pub fn refused(scene: &mut Scene) -> Finding {
    let first = scene.tracker(|_, _| Reply::failure("this torrent is not registered here"))?;
    second_tier(scene, first.url(), "the first answers with a failure reason")
}

/// Insists that the tracker of the second tier is asked.
fn second_tier(scene: &mut Scene, first: String, why: &str) -> Finding {
    let (torrent, there) = (scene.torrent(1), peers(&mut scene.dice, 3));
    let second = scene.tracker_of(&there)?;
    let file = tiers_file(scene, &torrent, &[first, second.url()])?;
    let outcome = scene.run(&["peers", &file])?;
    let unasked = |miss: Miss| {
        miss.detail(format!("it is the tracker of the second tier; {why}")).likely(
            "announce-list has tiers of trackers: if no tracker of a tier answers, ask the next tier",
        )
    };
    was_asked(&second, &outcome).map_err(unasked)?;
    prints(&outcome, &there)
}
