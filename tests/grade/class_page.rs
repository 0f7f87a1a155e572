//! The page of a class, in a headless browser. Without a browser these tests are skipped, with a
//! note.

use super::classes::Class;
use super::scripts::STRINGS;
use crate::support::browser::{browser, show};

/// Puts a page into a frame of this width. The title of the frame's page is the width that it has
/// room for, and the one that it takes.
fn framed(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    format!(
        "<!doctype html><title></title>\n<iframe width={width} height=640 srcdoc=\"{page}\"></iframe>\n\
         <script>onload = () => {{\n\
         const page = document.querySelector('iframe').contentDocument.documentElement;\n\
         document.title = `${{page.clientWidth}} of ${{page.scrollWidth}}`; }}</script>\n"
    )
}

#[test]
fn a_phone_shows_the_pages_without_scrolling_sideways() {
    let Some(browser) = browser() else { return };
    let long = "a_name_without_a_place_to_break_it_".repeat(4);
    let shout = format!("echo '{long}{long}' >&2; exit 1");
    let class = Class::new()
        .student("ada", STRINGS)
        .student(&long, &format!("case $2 in [0-9]*:*) {STRINGS} ;; *) {shout} ;; esac"))
        .settings("[hidden]\nuntil = 2999-12-31\nchecks = [\"1.3\"]\n");
    class.grade(&["--until", "2"]);
    let report = class.read(&format!("students/{long}.html"));
    for page in [report, class.read("class.html")] {
        let shown = show(&browser, &framed(&page, 360), &["--dump-dom"]);
        let title = shown.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
        let (title, _) = title.expect("there is a title");
        let (room, taken) = title.split_once(" of ").expect("the frame was measured");
        let [room, taken] = [room, taken].map(|width| width.parse::<u32>().expect("a number"));
        assert!((300..=360).contains(&room), "{room}");
        assert!(taken <= room, "{taken} of {room} pixels: {page}");
    }
}

#[test]
fn a_browser_shows_the_matrix_and_runs_nothing_that_a_student_wrote() {
    let Some(browser) = browser() else { return };
    let bad = "<script>document.title='bad'</script><img src=x onerror=\"document.title='bad'\">";
    let name = bad.replace('/', "-");
    let class = Class::new()
        .student("ada", STRINGS)
        .student("bob", "exit 1")
        .student("grace", &format!("echo '{}' >&2; exit 1", bad.replace('\'', "\"")))
        .student(&name, "exit 1");
    class.grade(&["--stage", "1"]);
    let page = class.read("class.html");
    let shown = show(&browser, &page, &["--dump-dom"]);
    assert!(shown.contains("<title>piecemeal grade: class</title>"), "{shown}");
    assert!(!shown.contains("<img") && !shown.contains("<script"), "{shown}");
    let rows = shown.matches("<tr").count();
    assert_eq!(rows, 5 + 6, "a head and four students; these and the share of the class: {shown}");
    // Only one of the four has begun.
    assert!(shown.contains("title=\"1 of 1\">100%"), "{shown}");
    assert!(shown.contains("<h2>The next lesson</h2>"), "{shown}");
    assert!(shown.contains("passed by 0 of the 1 who got this far"), "{shown}");
    show(&browser, &page, &["--window-size=1300,800", "--screenshot=page.png"]);
    let report = class.read("students/ada.html");
    let shown = show(&browser, &report, &["--dump-dom"]);
    assert!(shown.contains("<title>piecemeal grade: ada</title>"), "{shown}");
}
