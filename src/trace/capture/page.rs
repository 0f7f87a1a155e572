//! A capture as one page of HTML: a lane for each peer, an arrow for each message.
//!
//! It needs nothing else: no network, no font, no script. The parts that open and close are
//! `<details>`, which work in every browser, with the mouse and with the keyboard.

use std::fmt::Write;

use super::fold::{Run, folded};
use super::lines::{details, head, left_out};
use super::{Capture, EventKind};
use crate::trace::counted;
use crate::trace::stream::Way;
use crate::trace::text::{self, seconds};

/// The most rows, lanes besides our own, and bytes.
const MAX_ROWS: usize = 2_000;
const MAX_LANES: usize = 24;
const MAX_BYTES: usize = 8 << 20;

/// The most objects of a run that are shown field by field.
const MAX_OF_RUN: usize = 3;

/// The head of the page: it forbids fetching anything and running scripts.
pub(crate) const META: &str = include_str!("page.meta.html");
const STYLE: &str = include_str!("page.css");

/// Returns the page. `title` names the capture.
pub fn page(capture: &Capture, title: &str) -> String {
    let title = escaped(title);
    let lanes = capture.lanes.len().min(MAX_LANES);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n{META}\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n<p>{}</p>\n\
         <p class=\"hint\">A row is a message. Click it, or go to it with Tab and press Enter, and it shows its bytes.</p>\n\
         </header>\n<main style=\"--lanes:{lanes}\">\n",
        escaped(&head(capture)),
    );
    heads(capture, &mut out);
    let runs = folded(capture);
    let mut left = runs.len();
    for run in runs.iter().filter(|run| run.first.lane < MAX_LANES).take(MAX_ROWS) {
        if out.len() > MAX_BYTES {
            break;
        }
        row(capture, run, &mut out);
        left -= 1;
    }
    out += "</main>\n<footer>\n";
    if left > 0 {
        let _ = writeln!(out, "<p>{} not shown</p>", counted(left, "more row"));
    }
    if let Some(rest) = left_out(capture) {
        let _ = writeln!(out, "<p>{}</p>", escaped(&rest));
    }
    out += "<p>Made by <code>piecemeal explain --as html</code>. Offsets are in hex and count from the start of each message.</p>\n</footer>\n</body>\n</html>";
    out
}

/// Writes the heading of each lane.
fn heads(capture: &Capture, out: &mut String) {
    *out += "<div class=\"heads\"><span></span><b>piecemeal</b>";
    for lane in capture.lanes.iter().take(MAX_LANES) {
        let name = escaped(&lane.name);
        let what = lane.client.as_deref().unwrap_or(lane.role.word());
        let _ = write!(out, "<b title=\"{name}\">{name}<i>{}</i></b>", escaped(what));
    }
    *out += "</div>\n";
}

/// Writes an arrow, and below it the bytes, which are shown once it is opened.
fn row(capture: &Capture, run: &Run, out: &mut String) {
    let (time, label) = (seconds(run.first.time), escaped(&run.label()));
    let lane = run.first.lane + 1;
    let who = escaped(&capture.lane(run.first).name);
    let Some(captured) = run.captured() else {
        let _ = writeln!(
            out,
            "<div class=\"row end\" style=\"--to:{lane}\"><time>{time}</time><span class=\"arrow\"><span><em>{label}</em>\
             <span class=\"who\"> with {who}</span></span></span></div>"
        );
        return;
    };
    let way = captured.way.word();
    let broken = if captured.object.broken.is_some() { " broken" } else { "" };
    let (sign, to_whom) = if captured.way == Way::Out { ("→", "to") } else { ("←", "from") };
    let turn =
        run.turn().map_or(String::new(), |turn| format!(" <small>{}</small>", escaped(&turn)));
    let title = format!("{label} {}", text::place(&captured.object));
    let _ = write!(
        out,
        "<details class=\"row {way}{broken}\" style=\"--to:{lane}\"><summary title=\"{title}\"><time>{time}</time>\
         <span class=\"arrow\"><span><em>{label}{turn}</em>\
         <span class=\"who\"> {sign} {to_whom} {who}</span></span></span></summary>\n<pre>"
    );
    let events =
        run.places.iter().filter_map(|place| Some((place + 1, capture.events.get(*place)?)));
    for (number, event) in events.take(MAX_OF_RUN) {
        let EventKind::Object(captured) = &event.kind else { continue };
        let _ = writeln!(
            out,
            "<b>#{number:04} {}  {}</b> <i>{}</i>{}",
            seconds(event.time),
            escaped(&text::head(&captured.object)),
            text::place(&captured.object),
            rows(&details(capture, event, captured)),
        );
    }
    if let Some(more) = run.places.len().checked_sub(MAX_OF_RUN).filter(|more| *more > 0) {
        let _ = writeln!(out, "<b>{more} more like these, until {}</b>", seconds(run.until));
    }
    *out += "</pre></details>\n";
}

/// Makes each line of fields an element, so that the mouse can highlight it.
fn rows(fields: &str) -> String {
    let mut out = String::new();
    for line in fields.lines().filter(|line| !line.is_empty()) {
        let class = match line.trim_start().chars().next() {
            Some('^') => " class=\"carets\"",
            Some('*') => " class=\"change\"",
            _ => "",
        };
        let _ = write!(out, "\n<span{class}>{}</span>", escaped(line));
    }
    out
}

/// Escapes text for HTML and XML, also between quotes. XML has no way at all to write most control
/// characters: U+FFFD takes their place.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' | '\t' => out.push(letter),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ if letter.is_control() => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}
