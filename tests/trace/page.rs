//! The page of a capture, in a headless browser. Without a browser these tests are skipped, with a
//! note.

use super::tape::{Tape, ours, small};
use crate::support::browser::{browser, show};

#[test]
fn a_browser_shows_every_message_and_runs_nothing_that_a_peer_sent() {
    let Some(browser) = browser() else { return };
    let script =
        "<script>document.title='bad'</script><img src=x onerror=\"document.title='bad'\">";
    let evil = Tape(small().0.replace("127.0.0.2:6881", &script.replace('"', "\\\"")));
    let page = evil.explain(&["--as", "html"]).succeeds().out();
    let shown = show(&browser, &page, &["--dump-dom"]);
    assert!(shown.contains("<title>tape</title>") && !shown.contains("<img"), "{shown}");
    assert_eq!(shown.matches("<details").count(), page.matches("<details").count(), "{shown}");
    show(&browser, &page, &["--window-size=1100,900", "--screenshot=page.png"]);
}

#[test]
fn a_page_of_many_peers_is_shown_too() {
    let Some(browser) = browser() else { return };
    let mut tape = Tape::new();
    for connection in 0..60 {
        tape = tape.says(1, connection, &format!("10.0.0.{connection}:6881"), "out", ours());
    }
    let page = tape.explain(&["--as", "html"]).succeeds().out();
    assert!(show(&browser, &page, &["--dump-dom"]).contains("36 more rows not shown"));
}
