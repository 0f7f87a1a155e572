//! The book as a reader has it: built by mdBook, and read in a headless Chromium. What is not
//! installed is skipped with a note, unless `PIECEMEAL_BOOK` or `PIECEMEAL_BROWSER` is set.

mod support;

use piecemeal_book::book;
use piecemeal_book::names::Words;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use support::browser::{Browser, chromium};
use support::{crate_tree, root};

/// The book, built once for all tests here. `None` without mdBook.
fn built() -> Option<&'static Path> {
    static BOOK: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        if let Err(error) = book::mdbook(&root()) {
            assert!(std::env::var_os("PIECEMEAL_BOOK").is_none(), "this run must have it: {error}");
            println!("\nSKIPPED: {error}");
            return None;
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("book");
        let made =
            book::write(&crate_tree(), &Words::listed(), &folder.with_extension("pages"), &folder);
        made.unwrap_or_else(|error| panic!("{error}"));
        Some(folder)
    };
    BOOK.get_or_init(build).as_deref()
}

/// A browser with a profile of its own, and the book.
fn reader(name: &str) -> Option<(Browser, &'static Path)> {
    let book = built()?;
    let Some(program) = chromium() else {
        println!("\nSKIPPED: no Chromium is installed");
        return None;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    Some((Browser::start(&program, &folder), book))
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the book can be read") {
        let path = entry.expect("the book can be read").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The values of an attribute in HTML, with or without quotes.
fn attributes<'h>(html: &'h str, name: &str) -> Vec<&'h str> {
    let begins = format!(" {name}=");
    let values = html.match_indices(&begins).map(|(at, _)| {
        let rest = &html[at + begins.len()..];
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or_default(),
            None => rest.split([' ', '>']).next().unwrap_or_default(),
        }
    });
    values.collect()
}

#[test]
fn every_link_source_and_fragment_exists() {
    let Some(book) = built() else { return };
    let book = book.canonicalize().expect("the book is there");
    let mut ids: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    let mut pages = BTreeMap::new();
    for path in files(&book) {
        let mut own = BTreeSet::new();
        if path.extension().is_some_and(|end| end == "html") {
            let html = std::fs::read_to_string(&path).expect("a page is text");
            own.extend(attributes(&html, "id").into_iter().map(str::to_owned));
            pages.insert(path.clone(), html);
        }
        ids.insert(path, own);
    }
    let mut broken = Vec::new();
    let mut links = 0;
    for (page, html) in &pages {
        for target in attributes(html, "href").into_iter().chain(attributes(html, "src")) {
            if ["https:", "http:", "data:", "mailto:"].iter().any(|it| target.starts_with(it)) {
                continue;
            }
            links += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
            let mut place = page.clone();
            if !path.is_empty() {
                place.pop();
                for part in path.split('/') {
                    if part == ".." {
                        place.pop();
                    } else {
                        place.push(part);
                    }
                }
            }
            // What is not in the book is not in the list either.
            let known = ids.get(&place);
            if !known.is_some_and(|ids| fragment.is_empty() || ids.contains(fragment)) {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(
        broken.is_empty(),
        "{} of {links} lead nowhere:\n  {}",
        broken.len(),
        broken.join("\n  ")
    );
    println!("{links} links in {} pages", pages.len());
}

/// 5 MB for 18 stages, and for each that is added as much as they have on average. The policy lab is
/// no stage: its chapter and its sources came later, with a third of a megabyte.
#[test]
fn the_book_grows_with_its_stages_and_no_faster() {
    const POLICY_LAB: u64 = 1_000_000 / 3;
    let Some(book) = built() else { return };
    let files = files(book);
    let size: u64 = files.iter().map(|path| path.metadata().expect("it is there").len()).sum();
    let is_chapter = |path: &&PathBuf| {
        path.parent() == Some(book)
            && path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit())
    };
    let chapters = files.iter().filter(is_chapter).count() as u64;
    println!("the book has {size} bytes, in {chapters} chapters");
    assert!(
        chapters >= 18 && size < 5_000_000 / 18 * chapters + POLICY_LAB,
        "{size} bytes, {chapters} chapters"
    );
}

#[test]
fn nothing_is_fetched_from_a_network() {
    let Some(book) = built() else { return };
    let mut fetched = Vec::new();
    for path in files(book) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let is_page = path.extension().is_some_and(|end| end == "html");
        let sources = if is_page { attributes(&text, "src") } else { Vec::new() };
        let styles =
            text.split("url(").skip(1).map(|rest| rest.split(')').next().unwrap_or_default());
        let outside = sources.into_iter().chain(styles).filter(|target| target.contains("//"));
        let outside = outside.filter(|target| !target.contains("www.w3.org"));
        fetched.extend(outside.map(|target| format!("{}: {target}", path.display())));
    }
    assert!(fetched.is_empty(), "{}", fetched.join("\n"));
}

/// What there is at each of three widths, light and dark.
const SIZES: [(u32, u32); 3] = [(1600, 1000), (1024, 768), (390, 844)];

#[test]
fn pages_are_shown_without_an_exception_a_request_or_a_sideways_scroll() {
    let Some((mut browser, book)) = reader("shown") else { return };
    let keep = std::env::var_os("PIECEMEAL_KEEP_PAGES").map(PathBuf::from);
    for page in ["index", "04-handshake", "15-swarm", "17-seeding", "src/s17_seeding/choking.rs"] {
        for (width, height) in SIZES {
            for dark in [false, true] {
                browser.window(width, height, dark);
                browser.open(&book.join(format!("{page}.html")), "");
                let body = browser.eval("document.documentElement.scrollWidth <= innerWidth");
                assert_eq!(body, true, "{page} scrolls sideways at {width}");
                let background = browser.eval("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] < 128");
                let html = browser.eval("getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)[0] < 128");
                assert!(!dark || background == true || html == true, "{page} is not dark");
                if let Some(folder) = &keep {
                    let theme = if dark { "dark" } else { "light" };
                    let name = page.rsplit('/').next().unwrap_or(page);
                    std::fs::write(
                        folder.join(format!("{name}-{width}-{theme}.png")),
                        browser.picture("png"),
                    )
                    .expect("a picture can be kept");
                }
            }
        }
    }
    silent(&browser);
}

#[track_caller]
fn silent(browser: &Browser) {
    assert!(browser.errors.is_empty(), "{:#?}", browser.errors);
    let outside: Vec<&String> = browser
        .requests
        .iter()
        .filter(|url| !["file:", "data:", "about:"].iter().any(|scheme| url.starts_with(scheme)))
        .collect();
    assert!(outside.is_empty(), "requests: {outside:#?}");
    assert!(browser.requests.len() > 10, "the log works: {:?}", browser.requests);
}

/// Clicks on the first link of the chapter with this text.
fn click(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('main a')].find(link => link.textContent === '{name}').click()"
    )
}

const TARGET: &str = "document.querySelector(':target')";

#[test]
fn a_reader_clicks_through_a_chapter() {
    let Some((mut browser, book)) = reader("clicks") else { return };
    browser.window(1600, 1000, false);
    browser.open(&book.join("17-seeding.html"), "");
    // The stage's own file is there from the start.
    browser
        .wait_in_frame("document.title === 's17_seeding.rs' && document.readyState === 'complete'");
    browser.eval(&click("decide"));
    browser.wait_in_frame(&format!(
        "document.title.endsWith('choking.rs') && {TARGET}?.textContent.includes('fn decide(')"
    ));
    let top = browser.eval_in_frame(&format!("{TARGET}.getBoundingClientRect().top"));
    let top = top.as_f64().expect("it is a number");
    assert!((40.0..200.0).contains(&top), "the comment is under the tabs, not at {top}");
    assert_eq!(browser.eval_in_frame(&format!("{TARGET}.textContent.startsWith('/// ')")), true);
    let colors = "document.querySelectorAll('main .hljs-comment').length > 0 && document.querySelectorAll('main .hljs-meta').length > 0";
    assert_eq!(browser.eval(colors), true, "code in the chapter has colors");
    // Another file of the stage.
    browser.eval(&click("fill"));
    browser.wait_in_frame(&format!("{TARGET}?.id === 'Slots.fill'"));
    assert_eq!(
        browser.eval("location.pathname.endsWith('17-seeding.html')"),
        true,
        "the chapter stays"
    );
    browser.eval_in_frame("[...document.querySelectorAll('nav a')].find(link => link.textContent === 'listener').click()");
    browser.wait_in_frame("document.title.endsWith('listener.rs')");
    // A theme that is chosen holds for both halves.
    browser.wait_in_frame("document.documentElement.classList.contains('light')");
    browser.eval("document.getElementById('mdbook-theme-navy').click()");
    browser.wait_in_frame("document.documentElement.classList.contains('dark')");
    browser.eval("document.getElementById('mdbook-theme-light').click()");
    browser.wait_in_frame("document.documentElement.classList.contains('light')");
    // The pane off: it stays off in the next chapter, and a name opens a page of its own.
    browser.eval("document.getElementById('source-toggle').click()");
    assert_eq!(browser.eval("document.querySelector('iframe.source').offsetWidth"), 0);
    browser.eval("[...document.querySelectorAll('nav.end a')].at(-1).click()");
    browser.wait(
        "location.pathname.endsWith('18-udp-tracker.html') && document.readyState === 'complete'",
    );
    assert_eq!(browser.eval("document.querySelector('iframe.source') === null"), true);
    browser.eval(&click("UdpTracker"));
    browser.wait(&format!(
        "location.pathname.endsWith('s18_udp_tracker.rs.html') && {TARGET}?.id === 'UdpTracker'"
    ));
    browser.eval("[...document.querySelectorAll('header a')].find(link => link.textContent === 'Chapter 18').click()");
    browser.wait(
        "location.pathname.endsWith('18-udp-tracker.html') && document.readyState === 'complete'",
    );
    silent(&browser);
}

#[test]
fn a_search_finds_a_sentence() {
    let Some((mut browser, book)) = reader("search") else { return };
    browser.window(1024, 768, false);
    browser.open(&book.join("15-swarm.html"), "?search=optimistic+unchoke");
    browser.wait("document.querySelectorAll('#mdbook-searchresults li').length > 0");
    browser.wait("[...document.querySelectorAll('#mdbook-searchresults a')].some(link => link.href.includes('17-seeding'))");
    silent(&browser);
}

#[test]
fn on_a_phone_a_name_opens_a_page_and_wide_things_scroll() {
    let Some((mut browser, book)) = reader("phone") else { return };
    browser.window(390, 844, true);
    browser.open(&book.join("17-seeding.html"), "");
    assert_eq!(browser.eval("document.getElementById('source-toggle').hidden"), true);
    let wide = "document.querySelector('.wide:has(svg)')";
    browser.wait(&format!(
        "{wide}.classList.contains('goes-on') && !{wide}.previousElementSibling.hidden"
    ));
    let size = "document.querySelector('svg.conversation text')";
    let height = browser
        .eval(&format!("parseFloat(getComputedStyle({size}).fontSize) * {size}.getScreenCTM().a"));
    assert!(
        height.as_f64().is_some_and(|height| height >= 11.0),
        "the letters are {height} px high"
    );
    browser.eval(&format!("{wide}.scrollLeft = 9999"));
    browser.wait(&format!("!{wide}.classList.contains('goes-on')"));
    // So does a drawing in the source.
    browser.open(&book.join("src/s17_seeding.rs.html"), "");
    browser.wait("document.querySelector('.drawing.goes-on') !== null");
    browser.open(&book.join("17-seeding.html"), "");
    browser.eval(&click("decide"));
    browser.wait(&format!("{TARGET}?.textContent.includes('fn decide(')"));
    assert_eq!(browser.eval("document.documentElement.classList.contains('framed')"), false);
    silent(&browser);
}

#[test]
fn without_scripts_a_name_still_opens_its_source() {
    let Some(book) = built() else { return };
    let page = std::fs::read_to_string(book.join("17-seeding.html")).expect("the chapter is there");
    assert!(
        page.contains("<a href=\"src/s17_seeding/choking.rs.html#decide\"><code>decide</code></a>")
    );
}
