//! The two pictures on the README's first screen, which `make pictures` takes: a chapter beside its
//! source, and a download. Both are real.

mod support;

#[path = "../../../tests/support/screen.rs"]
mod screen;

use piecemeal_book::book;
use piecemeal_book::drawing::escaped;
use piecemeal_book::names::Words;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::browser::{Browser, chromium};
use support::{crate_tree, root};

/// A program that runs until this is dropped, and what it has written.
struct Running(Child, Arc<Mutex<Vec<u8>>>);

impl Running {
    fn start(command: &mut Command) -> Running {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let mut output = child.stdout.take().expect("it is a pipe");
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut some) {
                sink.lock().expect("nobody panics with it").extend_from_slice(&some[..count]);
            }
        });
        Running(child, written)
    }

    /// Waits until what it has written has this.
    fn waits_for(&self, enough: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let bytes = self.1.lock().expect("nobody panics with it").clone();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if enough(&text) {
                return text;
            }
            assert!(begun.elapsed() < Duration::from_secs(180), "it never came: {text}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn keep(browser: &mut Browser, name: &str) {
    std::fs::write(root().join("docs").join(name), browser.picture("webp"))
        .expect("it can be written");
}

#[test]
#[ignore = "make pictures"]
fn the_pictures_are_taken() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder can be made");
    // The book has a page that shows them, so they have to be there.
    for name in ["a-book.webp", "a-download.webp"] {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root().join("docs").join(name));
        file.expect("it can be made");
    }
    let place = folder.join("book");
    let made = book::write(&crate_tree(), &Words::listed(), &folder.join("pages"), &place);
    made.unwrap_or_else(|error| panic!("{error}"));
    let mut browser = Browser::start(&chromium().expect("there is a Chromium"), &folder);
    browser.window(1440, 620, false);
    browser.open(&place.join("17-seeding.html"), "#the-four-rules-of-a-download");
    browser.eval("[...document.querySelectorAll('main a')].find(link => link.textContent === 'decide').click()");
    browser.wait_in_frame("document.querySelector(':target')?.textContent.includes('fn decide(')");
    keep(&mut browser, "a-book.webp");

    let command = "piecemeal download --peers --map -o slow lab/made-7-12MiB.torrent";
    let program = root().join("target/debug/piecemeal");
    let program = program.to_str().expect("a plain path");
    let lab = ["lab", "--size", "12MiB", "--rate", "150KiB", "--faults", "none,choke"];
    let lab = Running::start(Command::new(program).args(lab).current_dir(&folder));
    lab.waits_for(|text| text.contains("Below you see"));
    let line = format!("exec {}", command.replacen("piecemeal", program, 1));
    let download = Running::start(
        Command::new("script")
            .args(["-qfec", &line, "/dev/null"])
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .current_dir(&folder),
    );
    // A frame that is whole: from the bar to the line under the map, in the second third.
    let whole = |text: &str| {
        let rows = screen::rows(text);
        let bar = rows.iter().find(|row| row.starts_with("downloading"));
        let percent = bar.and_then(|bar| bar.split('%').next()?.rsplit(' ').next()?.parse().ok());
        let ends = rows.last().is_some_and(|row| row.contains("on loan"));
        ends && rows.iter().filter(|row| row.contains("lab 0.1")).count() == 3
            && percent > Some(39_u32)
    };
    let rows = screen::rows(&download.waits_for(whole));
    let page = folder.join("download.html");
    let style = "body{margin:0;background:#161923;color:#c8cdd8}pre{margin:0;padding:14px 18px;\
        font:14px/1.4 'DejaVu Sans Mono',monospace;display:inline-block}";
    let text = escaped(&format!("$ {command}\n{}", rows.join("\n")));
    let html =
        format!("<!DOCTYPE html><meta charset=utf-8><style>{style}</style><pre>{text}</pre>");
    std::fs::write(&page, html).expect("a page can be written");
    browser.window(800, 600, true);
    browser.open(&page, "");
    let size = |browser: &mut Browser, side: &str| {
        let pixels = browser.eval(&format!(
            "Math.ceil(document.querySelector('pre').getBoundingClientRect().{side})"
        ));
        u32::try_from(pixels.as_u64().expect("a number")).expect("a small one")
    };
    let (width, height) = (size(&mut browser, "width"), size(&mut browser, "height"));
    browser.window(width, height, true);
    keep(&mut browser, "a-download.webp");
}
