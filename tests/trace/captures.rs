//! The forms of a capture: text, a diagram, a page, JSON.

use super::tape::{PEER, TRACKER, Tape, ours, small};
use crate::support::wire;
use serde_json::{Value, json};

#[test]
fn a_capture_is_shown_event_by_event() {
    small().explain(&[]).prints(include_str!("capture.txt"));
}

#[test]
fn a_capture_becomes_a_sequence_diagram() {
    small().explain(&["--as", "mermaid"]).prints(include_str!("capture.mmd"));
}

/// Bytes from a peer and a tracker that attack the viewer of the page or the diagram.
fn evil() -> Tape {
    let script = "</pre><script>alert(1)</script>";
    let mut hello = ours();
    hello[48..].copy_from_slice(b"-<b>'&;-<script>#%\"\n");
    let refusal = format!("d14:failure reason{}:{script}e", script.len());
    let name = "a;b#c<d>\\\"e";
    Tape::new()
        .tracker(1, &format!("http://t/?{script}"), "in", refusal)
        .says(2, 1, name, "in", hello)
        .says(
            3,
            1,
            name,
            "out",
            [ours(), wire::extended(0, b"d1:md23:wrap:<script>;#x%%\n\x1b[2Ji9eee")].concat(),
        )
        .says(4, 1, name, "in", wire::extended(9, b"<script>"))
}

#[test]
fn nothing_that_a_peer_sends_becomes_a_part_of_the_page() {
    let page = evil().explain(&["--as", "html"]).succeeds().out();
    assert!(!page.to_lowercase().contains("<script"), "{page}");
    assert_eq!((page.matches("<pre>").count(), page.matches("</pre>").count()), (5, 5), "{page}");
    assert_eq!(page.matches("<details").count(), page.matches("</details>").count());
    assert!(page.contains("&lt;script&gt;") && page.contains("a;b#c&lt;d&gt;&quot;e"), "{page}");
    for outside in ["src=", "href=", "url(", "@import", "<link"] {
        assert!(!page.contains(outside), "it needs nothing but itself: {outside}");
    }
}

#[test]
fn nothing_that_a_peer_sends_becomes_a_part_of_the_diagram() {
    let diagram = evil().explain(&["--as", "mermaid"]).succeeds().out();
    let expected = "\
sequenceDiagram
    participant us as piecemeal
    participant p0 as tracker http://t/#63;#60;/pre#62;#60;script#62;alert(1)#60;/script#62;
    participant p1 as a#59;b#35;c#60;d#62;#34;e, -#60;b#62;#39;#38;#59;-, a program that is not known here
    p0->>us: tracker answer: the tracker refuses: #60;/pre#62;#60;script#62;alert(1)#60;/script#62; +0.0000s
    p1->>us: handshake: -#60;b#62;#39;#38;#59;-, a program that is not known here +0.0000s
    us->>p1: handshake: piecemeal 0.1 +0.0000s
    us->>p1: extension handshake: wrap:#60;script#62;#59;#35;x#37;#37;#92;n#92;u#123;1b#125;#91;2J 9 +0.0000s
    p1->>us: wrap#58;#60;script#62;#59;#35;x#37;#37;#92;n#92;u#123;1b#125;#91;2J +0.0000s
";
    assert_eq!(diagram, expected);
}

#[test]
fn many_blocks_of_a_piece_are_one_arrow() {
    let mut tape = Tape::new().out(1, ours());
    for block in 0..8 {
        tape = tape.out(10 + block, super::tape::request(3, 16 * block as u32));
        tape = tape.comes(
            20 + block,
            if block == 0 { ours() } else { wire::block(3, 16 * (block as u32 - 1), &[1; 16]) },
        );
    }
    tape = tape.out(50, super::tape::request(4, 0));
    let diagram = tape.explain(&["--as", "mermaid"]).succeeds().out();
    assert!(diagram.contains("    us->>p0: request: 8 blocks of piece 3 +0.0000s\n"), "{diagram}");
    assert!(diagram.contains("    p0->>us: piece: 7 blocks of piece 3 +0.0000s\n"), "{diagram}");
    assert!(
        diagram.ends_with("    us->>p0: request: piece 4, begin 0, 16 bytes +0.0000s\n"),
        "{diagram}"
    );
    let page = tape.explain(&["--as", "html"]).succeeds().out();
    assert!(page.contains("<b>5 more like these, until +0.0000s</b>"), "{page}");
}

#[test]
fn the_page_says_what_each_message_changed() {
    let page = small().explain(&["--as", "html"]).succeeds().out();
    let beside: Vec<&str> =
        page.split("<small>").skip(1).filter_map(|rest| rest.split("</small>").next()).collect();
    assert_eq!(
        beside,
        ["am choked: yes -&gt; no", "am interested: no -&gt; yes"],
        "beside the arrows"
    );
    let inside: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("<span class=\"change\">  * ")).collect();
    assert_eq!(inside.len(), 9, "{inside:?}");
    assert_eq!(inside[0], "both sides speak: the extension protocol (BEP 10)</span>");
}

#[test]
fn json_has_every_event_with_its_time_peer_and_object() {
    let outcome = small().explain(&["--json"]);
    outcome.succeeds();
    let json: Value = serde_json::from_str(&outcome.out()).expect("it prints JSON");
    assert_eq!(
        (&json["kind"], &json["started"], &json["left_out"]),
        (&"capture".into(), &1_792_161_600.into(), &0.into())
    );
    let events = json["events"].as_array().expect("a list of events");
    let of = |number: usize| {
        let event = &events[number];
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        (
            event["t"].as_u64(),
            word("direction"),
            event["object"]["name"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(events.len(), 17);
    assert_eq!(of(1), (Some(1_200), "in".to_owned(), "tracker answer".to_owned()));
    assert_eq!(of(13), (Some(2_000_000), "in".to_owned(), "piece".to_owned()));
    assert_eq!(of(15), (Some(2_100_000), "end".to_owned(), String::new()));
    assert_eq!(
        (&events[2]["changes"], &events[6]["changes"]),
        (&json!([]), &json!(["am choked: yes -> no"]))
    );
    assert_eq!(
        (&events[0]["tracker"], &events[2]["peer"], &events[2]["connection"]),
        (&TRACKER.into(), &PEER.into(), &1.into())
    );
    assert_eq!(json["connections"][0]["client"], "Transmission 3.0");
}

#[test]
fn a_tracker_may_be_asked_over_udp_or_with_the_heads_of_http() {
    let tape = Tape::new()
        .tracker(1, "udp://127.0.0.1:1", "out", b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\0\0\0\x01")
        .tracker(
            2,
            "udp://127.0.0.1:1",
            "in",
            b"\0\0\0\0\0\0\0\x01\x11\x22\x33\x44\x55\x66\x77\x88",
        )
        .tracker(3, TRACKER, "out", "GET /announce?port=1 HTTP/1.1\r\nHost: t\r\n\r\n")
        .tracker(4, TRACKER, "in", "HTTP/1.1 200 OK\r\n\r\nd5:peers0:e");
    let out = tape.explain(&[]).succeeds().out();
    let heads: Vec<&str> = out
        .lines()
        .filter(|line| line.starts_with('#'))
        .filter_map(|line| line.split("   ").nth(1))
        .collect();
    assert_eq!(
        heads,
        [
            "UDP connect, 16 bytes",
            "UDP connect answer, 16 bytes",
            "HTTP request, 42 bytes",
            "tracker answer, 30 bytes: 0 peers"
        ],
        "{out}"
    );
}

#[test]
fn a_scrape_is_known_by_what_is_asked_and_answered() {
    let tape = Tape::new()
        .tracker(
            1,
            "http://t/scrape",
            "out",
            [&b"http://t/scrape?info_hash="[..], &[b'a'; 20]].concat(),
        )
        .tracker(2, "http://t/scrape", "in", super::samples::scraped())
        .tracker(
            3,
            "http://t/scrape",
            "in",
            [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &super::samples::scraped()].concat(),
        )
        .tracker(4, "http://t/scrape", "in", b"d5:filesdee")
        .tracker(5, "http://t/scrape", "in", b"d14:failure reason2:noe");
    let out = tape.explain(&[]).succeeds().out();
    let heads: Vec<String> = out
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.split("   ")
                .skip(1)
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    let counts = "3 seeders, 17 downloads, 1 leecher [stage 18, BEP 48]";
    assert_eq!(
        heads,
        [
            "scrape, 46 bytes [stage 18, BEP 48]",
            &format!("scrape answer, 119 bytes: {counts}"),
            &format!("scrape answer, 138 bytes: {counts}"),
            "scrape answer, 11 bytes: 0 torrents [stage 18, BEP 48]",
            "tracker answer, 23 bytes: the tracker refuses: no [stage 3, BEP 3]",
        ],
        "{out}"
    );
}

#[test]
fn what_is_said_to_be_a_capture_is_taken_for_one() {
    let tape = Tape("{}\n".to_owned());
    tape.explain(&["--as", "capture"])
        .mentions("line 1: expected \"piecemeal_capture\":1, found nothing");
}
