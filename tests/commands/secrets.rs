//! Passkeys and passwords: never shown, unless the user asks.

use crate::support::bencode::{bytes, dict, int};
use crate::support::{FakePeer, FakeTracker, Reply, Run, Torrent, folder};
use std::path::Path;

const PATH_KEY: &str = "0ddba11c0ffee0ddba11c0ffee0ddba1";
const SECRETS: [&str; 3] = ["hunter2hunter2", PATH_KEY, "SECRETPASS"];
/// A tracker's id, which the client echoes back.
const COOKIE: &str = "c00kie of a tracker";

/// An announce URL with all three kinds.
fn url(tracker: &FakeTracker) -> String {
    format!(
        "http://me:{}@{}/{PATH_KEY}/announce?passkey={}",
        SECRETS[0],
        tracker.address(),
        SECRETS[2]
    )
}

/// All output of a scene with such a tracker, for people and for programs.
fn shown(
    folder: &Path,
    torrent: &Torrent,
    tracker: &FakeTracker,
    options: &[&str],
) -> Vec<(String, String)> {
    let (url, peer) = (url(tracker), FakePeer::of(torrent).start());
    torrent.write(folder, Some(&url));
    let link = torrent.magnet(&[&url]);
    let peer = peer.address().to_string();
    // Of an unknown kind, and cut short in the error.
    std::fs::write(folder.join("log"), format!("asked {url} in vain")).expect("the folder is ours");
    let answer =
        format!("d10:tracker id{}:{COOKIE}15:warning message{}:{url}e", COOKIE.len(), url.len());
    // An announce over UDP: 98 bytes, and the path as an option (BEP 41).
    let path = format!("/{PATH_KEY}/announce");
    let head = "00000417271019800000000100000000";
    let packet = format!("{head}{}02{:02x}{}", "00".repeat(82), path.len(), hex(path.as_bytes()));
    let commands: [&[&str]; 23] = [
        &[
            "download",
            "-v",
            "--force",
            "--trace=trace",
            "--capture",
            "cap",
            "-o",
            "out",
            "--peer",
            &peer,
            "test.torrent",
        ],
        &[
            "download",
            "--json",
            "--force",
            "--trace=trace.json",
            "-o",
            "out",
            "--peer",
            &peer,
            "test.torrent",
        ],
        &["magnet_download", "-v", "--force", "-o", "out", "--peer", &peer, &link],
        &["peers", "-v", "--trace", "test.torrent"],
        &["peers", "--json", "--trace", "test.torrent"],
        &["scrape", "test.torrent"],
        &["scrape", "--json", &link],
        &["info", "--json", "test.torrent"],
        &["magnet_parse", "--json", &link],
        &["explain", "cap"],
        &["explain", "--json", "cap"],
        &["explain", "--as", "html", "cap"],
        &["explain", "test.torrent"],
        &["explain", "--json", "test.torrent"],
        &["explain", "--as", "bencode", "test.torrent"],
        &["explain", "--json", "--as", "answer", "test.torrent"],
        &["explain", "--as", "url", "test.torrent"],
        &["explain", "--as", "peer-id", "test.torrent"],
        &["explain", &answer],
        &["explain", "--json", &packet],
        &["explain", &url],
        &["explain", "log"],
        &["explain", "--json", &link],
    ];
    let mut all = Vec::new();
    for words in commands {
        let run = options.iter().fold(Run::new(words), Run::arg).dir(folder).run();
        // The course's line has the argument as it was typed.
        let out: String =
            run.out().lines().filter(|line| !line.starts_with("Downloaded magnet:")).collect();
        all.push((words.join(" "), out + &run.err()));
    }
    for file in ["trace", "trace.json"] {
        all.push((
            file.to_owned(),
            std::fs::read_to_string(folder.join(file)).expect("it was written"),
        ));
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As text, and in both ways to write hex.
fn holds(text: &str, secret: &str) -> bool {
    let start = &secret.as_bytes()[..8];
    let hex: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
    text.contains(secret) || text.contains(&hex.join("")) || text.contains(&hex.join(" "))
}

#[test]
fn no_secret_is_shown_by_any_command() {
    // One that answers, and one that fails and repeats the URL in its own text.
    for fails in [false, true] {
        let (hidden, open, torrent) = (folder(), folder(), Torrent::sample());
        let tracker = FakeTracker::start(move |target, _| match fails {
            true => Reply::failure(&format!("unknown key: http://t{target}")),
            false => {
                let answer = dict(&[
                    ("interval", int(60)),
                    ("peers", bytes("")),
                    ("tracker id", bytes(COOKIE)),
                ]);
                Reply::Body(answer)
            }
        });
        for (what, text) in shown(hidden.path(), &torrent, &tracker, &[]) {
            // Hiding a secret changes nothing else.
            assert!(
                what != "explain test.torrent"
                    || text.contains(&torrent.hex()) && text.contains("announce"),
                "{text}"
            );
            for secret in SECRETS.into_iter().chain([COOKIE]) {
                assert!(!holds(&text, secret), "{what} shows {secret}:\n{text}");
            }
        }
        assert!(
            tracker
                .asked()
                .iter()
                .all(|target| target.contains(PATH_KEY) && target.contains(SECRETS[2])),
            "they are sent"
        );
        // Asked for, they are there.
        let all = shown(open.path(), &torrent, &tracker, &["--show-secrets"]);
        for (what, text) in &all[..1] {
            assert!(text.contains(SECRETS[2]), "{what}: {text}");
        }
        for (what, text) in all.iter().filter(|(what, _)| {
            what.starts_with("explain cap") || what.contains("html") || what == "trace"
        }) {
            assert!(text.contains(SECRETS[2]), "{what}: {text}");
        }
    }
}

#[test]
fn the_courses_lines_stay_as_they_are() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let tracker = FakeTracker::knowing(&[]);
    torrent.write(folder.path(), Some(&url(&tracker)));
    let line = format!("Tracker URL: {}\n", url(&tracker));
    for words in
        [&["info", "test.torrent"][..], &["magnet_parse", &torrent.magnet(&[&url(&tracker)])]]
    {
        let outcome = Run::new(words).dir(folder.path()).run();
        assert!(outcome.succeeds().out().starts_with(&line), "{outcome}");
    }
    Run::new(["decode", "36:http://t/announce?passkey=SECRETPASS"])
        .run()
        .prints("\"http://t/announce?passkey=SECRETPASS\"\n");
}

#[cfg(unix)]
#[test]
fn captures_and_traces_are_for_nobody_elses_eyes_and_say_what_they_hold() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, torrent) = (folder(), Torrent::sample());
    let tracker = FakeTracker::knowing(&[]);
    torrent.write(folder.path(), Some(&tracker.url()));
    let run = || {
        Run::new(["peers", "--trace=trace", "--capture", "cap", "test.torrent"])
            .dir(folder.path())
            .run()
    };
    let mode = |file: &str| {
        std::fs::metadata(folder.path().join(file)).expect("it is there").permissions().mode()
            & 0o777
    };
    for _ in 0..2 {
        run().succeeds();
        for (file, says) in [("cap", "keep it to yourself"), ("trace", "# A trace")] {
            assert_eq!(mode(file), 0o600, "{file}");
            let text = std::fs::read_to_string(folder.path().join(file)).expect("it is there");
            assert!(
                text.lines().next().is_some_and(|first| first.contains(says)),
                "{file}: {text}"
            );
            // One that an older version left readable for every user.
            let open = std::fs::Permissions::from_mode(0o644);
            std::fs::set_permissions(folder.path().join(file), open).expect("it is ours");
        }
    }
}

/// Text outside a URL that only looks like a secret is shown. And a link to paste is whole.
#[test]
fn names_of_files_and_links_to_paste_stay_as_they_are() {
    let folder = folder();
    let file = folder.path().join("pass=1.mkv");
    std::fs::write(&file, "x").expect("the folder is ours");
    Run::new(["create", "--json", "-o", "a.torrent", "pass=1.mkv"])
        .dir(folder.path())
        .run()
        .succeeds();
    let outcome = Run::new(["info", "--json", "a.torrent"]).dir(folder.path()).run();
    assert!(outcome.succeeds().out().contains("\"pass=1.mkv\""), "{outcome}");
    let link = "magnet:?dn=a&amp;tr=http://t/announce?passkey=x";
    let outcome = Run::new(["magnet_parse", link]).run();
    assert!(
        outcome.err().contains("should be 'magnet:?dn=a&tr=http://t/announce?passkey=x'"),
        "{outcome}"
    );
    let link = "magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&amp;tr=http://t/announce?passkey=x";
    let outcome = Run::new(["magnet_parse", link]).run();
    assert!(outcome.err().contains("&tr=http://t/announce?passkey=x"), "{outcome}");
}
