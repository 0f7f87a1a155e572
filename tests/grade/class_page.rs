//! The page of a class, in a headless browser. Without a browser these tests are skipped, with a
//! note.

use super::classes::Class;
use super::scripts::STRINGS;
use crate::support::browser::{browser, show};

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
    assert_eq!(rows, 6, "a head, the share of the class and four students: {shown}");
    assert!(shown.contains("25%") && shown.contains("The next lesson"), "{shown}");
    show(&browser, &page, &["--window-size=1300,800", "--screenshot=page.png"]);
    let report = class.read("students/ada.html");
    let shown = show(&browser, &report, &["--dump-dom"]);
    assert!(shown.contains("<title>piecemeal grade: ada</title>"), "{shown}");
}
