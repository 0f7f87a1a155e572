//! `serve`: one peer at a time, each unchoked, and what it has done at its end.

use super::signals::hear_hup;
use crate::support::leech::{Heard, Leech, is_served, numbers, peer_id, request};
use crate::support::serving::Ended;
use crate::support::{LIMIT, Recipe, Run, Serving, Torrent, content, folder, wire};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Serves a torrent from a folder of its own.
fn serve(folder: &Path, torrent: &Torrent, options: &[&str]) -> Serving {
    fs::write(folder.join("content"), &torrent.content).expect("the test's folder takes a file");
    torrent.write(folder, None);
    let run = options.iter().fold(Run::new(["serve"]), Run::arg);
    Serving::start(
        run.arg(folder.join("test.torrent")).arg(folder.join("content")),
        &folder.join("said"),
    )
}

fn names(ended: &Ended) -> Vec<&str> {
    ended.events.iter().map(|event| event["event"].as_str().expect("a name")).collect()
}

/// Bytes that went to each peer, in the order in which the peers left.
fn given(ended: &Ended) -> Vec<u64> {
    let left = ended.events.iter().filter(|event| event["event"] == "left");
    left.map(|event| event["bytes"].as_u64().expect("a number")).collect()
}

#[test]
fn each_of_our_downloads_gets_everything() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let length = torrent.content.len() as u64;
    let serving = serve(folder.path(), &torrent, &[]);
    let (address, file) = (serving.address.to_string(), folder.path().join("test.torrent"));
    let link = format!("{}&x.pe={address}", torrent.magnet(&[]));
    let out = |name: &str| folder.path().join(name);
    Run::new(["download_from", "-o"]).arg(out("one")).arg(&file).arg(&address).run().succeeds();
    Run::new(["download", "--port", "0", "-o"])
        .arg(out("two"))
        .arg(&file)
        .peer(serving.address)
        .run()
        .succeeds();
    Run::new(["magnet_download", "--port", "0", "-o"])
        .arg(out("three"))
        .arg(&link)
        .run()
        .succeeds();
    for name in ["one", "two", "three"] {
        assert!(
            fs::read(out(name)).expect("the download is there") == torrent.content,
            "{name} has other bytes"
        );
    }
    let ended = serving.interrupt();
    assert_eq!(
        (&ended.done()["uploaded"], &ended.done()["peers"]),
        (&(3 * length).into(), &3.into())
    );
    assert_eq!(
        names(&ended),
        ["listening", "joined", "left", "joined", "left", "joined", "left", "done"]
    );
    assert_eq!(given(&ended), [length; 3]);
}

#[test]
fn a_folder_of_several_files_is_served() {
    let folder = folder();
    let torrent =
        Recipe::files("t", 16_384, &[("a", content(40_000, 1)), ("sub/b", content(10_000, 2))])
            .build();
    fs::create_dir_all(folder.path().join("content/sub"))
        .expect("the test's folder takes a folder");
    fs::write(folder.path().join("content/a"), &torrent.content[..40_000]).expect("and a file");
    fs::write(folder.path().join("content/sub/b"), &torrent.content[40_000..])
        .expect("and another");
    let file = torrent.write(folder.path(), None);
    let run = Run::new(["serve", "--once"]).arg(file).arg(folder.path().join("content"));
    let serving = Serving::start(run, &folder.path().join("said"));
    is_served(serving.address, &torrent);
    assert_eq!(given(&serving.finish()), [50_000]);
}

#[test]
fn with_once_it_ends_after_the_first_peer_and_a_stranger_is_none() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let serving = serve(folder.path(), &torrent, &["--once"]);
    // One that only looks, a web browser, and one that wants another torrent.
    let strangers = [
        Vec::new(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        wire::handshake([0; 8], [9; 20], peer_id()).to_vec(),
    ];
    for said in strangers {
        let mut stranger = TcpStream::connect(serving.address).expect("it listens");
        stranger.set_read_timeout(Some(LIMIT)).expect("a stream takes a deadline");
        stranger.write_all(&said).expect("it takes what is said");
        let _ = stranger.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _ = stranger.read_to_end(&mut heard);
        assert!(heard.is_empty(), "it answers {said:?}");
    }
    let mut peer = Leech::fast(serving.address, &torrent);
    peer.takes(&torrent, [0, 4]);
    drop(peer);
    let ended = serving.finish();
    ended.done();
    assert_eq!(names(&ended), ["listening", "joined", "left", "done"]);
    assert_eq!(given(&ended), [(torrent.piece(0).len() + torrent.piece(4).len()) as u64]);
}

#[test]
fn a_second_peer_has_its_turn_when_the_first_has_left() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let mut serving = serve(folder.path(), &torrent, &[]);
    let mut first = Leech::plain(serving.address, &torrent);
    let (address, content) = (serving.address, torrent.clone());
    let second = std::thread::spawn(move || is_served(address, &content));
    // The second one's handshake is on its way, and the first one is served.
    first.takes(&torrent, 0..torrent.pieces());
    assert_eq!(serving.events().iter().filter(|event| event["event"] == "joined").count(), 1);
    drop(first);
    second.join().expect("it gets everything");
    let left = |event: &Value| event["bytes"] == torrent.content.len();
    serving.wait_for("left", left);
    let ended = serving.interrupt();
    assert_eq!(names(&ended), ["listening", "joined", "left", "joined", "left", "done"]);
}

#[test]
fn pieces_that_are_wrong_or_change_are_rejected() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let mut damaged = torrent.content.clone();
    damaged[torrent.piece_length] ^= 1;
    fs::write(folder.path().join("content"), &damaged).expect("the test's folder takes a file");
    let run = Run::new(["serve", "--once"])
        .arg(torrent.write(folder.path(), None))
        .arg(folder.path().join("content"));
    let serving = Serving::start(run, &folder.path().join("said"));
    let mut peer = Leech::fast(serving.address, &torrent);
    peer.takes(&torrent, [0, 2, 3, 4]);
    peer.say(&request(1, 0, 16_384));
    assert_eq!(peer.until(wire::REJECT), numbers(1, 0, 16_384));
    // Piece 3 is changed now, and the file has another length: that is noticed at once.
    damaged[3 * torrent.piece_length] ^= 1;
    damaged.push(0);
    fs::write(folder.path().join("content"), &damaged).expect("the test's folder takes a file");
    peer.say(&request(3, 0, 16_384));
    assert_eq!(peer.until(wire::REJECT), numbers(3, 0, 16_384));
    peer.takes_on(&torrent, [0]);
    drop(peer);
    let ended = serving.finish();
    ended.done();
    let err = ended.outcome.err();
    assert!(err.contains("4 of 5 pieces are right"), "{err}");
    assert!(err.contains("piece 3 was changed on disk: it is no longer given"), "{err}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_whatever_it_waits_for_and_the_code_says_which() {
    hear_hup();
    for (signal, code) in [("INT", 0), ("TERM", 143), ("HUP", 129)] {
        for waits_for in ["a peer", "a handshake", "a request"] {
            let (folder, torrent) = (folder(), Torrent::sample());
            let serving = serve(folder.path(), &torrent, &[]);
            let (mut silent, mut peer) = (None, None);
            match waits_for {
                "a handshake" => {
                    let mut stream = TcpStream::connect(serving.address).expect("it listens");
                    stream.set_read_timeout(Some(LIMIT)).expect("a stream takes a deadline");
                    stream
                        .write_all(&wire::handshake([0; 8], torrent.info_hash, peer_id())[..48])
                        .expect("it takes that");
                    // It has our answer, and waits for the peer id.
                    stream.read_exact(&mut [0; 68]).expect("it answers");
                    silent = Some(stream);
                }
                "a request" => {
                    peer = Some(Leech::plain(serving.address, &torrent));
                    peer.as_mut().expect("it is there").wait_for_slot();
                }
                _ => {}
            }
            let begun = Instant::now();
            serving.signal(signal);
            let ended = serving.finish();
            // A handshake may take 10 s, and a session wakes up after 2 s.
            assert!(
                begun.elapsed() < Duration::from_secs(9),
                "{signal} while it waits for {waits_for}"
            );
            assert_eq!(ended.outcome.code, Some(code), "{signal}, {waits_for}: {}", ended.outcome);
            assert_eq!(ended.events.last().expect("it has said something")["event"], "done");
            if let Some(mut peer) = peer {
                assert_eq!(peer.hear_within(LIMIT), Heard::Closed);
            }
            drop(silent);
        }
    }
}

#[test]
fn people_are_told_what_was_given() {
    let (folder, torrent) = (folder(), Torrent::sample());
    fs::write(folder.path().join("content"), &torrent.content)
        .expect("the test's folder takes a file");
    torrent.write(folder.path(), None);
    let run = Run::new(["serve", "-v", "--once", "--port", "0", "test.torrent", "content"])
        .dir(folder.path());
    let said = folder.path().join("stderr");
    let running =
        run.stderr(fs::File::create(&said).expect("the test's folder takes a file")).start();
    let until = Instant::now() + LIMIT;
    let address = loop {
        let text = fs::read_to_string(&said).unwrap_or_default();
        // Whole lines only.
        let lines = text.rfind('\n').map_or("", |end| &text[..end]);
        if let Some(address) = lines.lines().find_map(|line| line.strip_prefix("listening at ")) {
            break address.parse().expect("an address");
        }
        assert!(Instant::now() < until, "{text}");
        std::thread::sleep(Duration::from_millis(5));
    };
    is_served(address, &torrent);
    let outcome = running.finish();
    assert_eq!(
        outcome.succeeds().out(),
        format!("Gave {} bytes to 1 peer.\n", torrent.content.len())
    );
    let text = fs::read_to_string(&said).expect("it has said something");
    for line in [
        "5 of 5 pieces are right",
        "a peer that wants a piece dials us; one at a time is let in, and all that it requests is answered (chapter 16)",
        "is connected: its handshake names this torrent, and ours has answered (chapter 4)",
        "is gone: the peer hung up (chapter 16)",
        &format!("127.0.0.1 took {} bytes, and has left", torrent.content.len()),
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
