//! The sheet as text for people, as a table for spreadsheets, and as JSON for programs. (lab)

use piecemeal::s01_bencode::{counted, printable};
use serde_json::{Value, json};

use super::Sheet;

/// The most letters of a name, but for JSON and spreadsheets.
const MAX_NAME: usize = 24;

/// The most differences that the text lists.
const MAX_DIFFERENCES: usize = 10;

/// A unit for all figures of a sheet, so that they can be compared.
#[derive(Clone, Copy)]
pub struct Unit {
    bytes: u64,
    pub name: &'static str,
}

impl Unit {
    /// Returns the largest unit in which this figure is at least 10.
    pub fn of(largest: u64) -> Unit {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let fits = units.into_iter().find(|(bytes, _)| largest / bytes >= 10);
        let (bytes, name) = fits.unwrap_or((1, "bytes"));
        Unit { bytes, name }
    }

    /// Returns a figure in this unit, with at most one decimal.
    pub fn figure(self, bytes: u64) -> String {
        let decimals = usize::from(self.bytes > 1);
        format!("{:.decimals$}", bytes as f64 / self.bytes as f64)
    }
}

/// Returns the name of the torrent, or else its info hash.
pub fn title(sheet: &Sheet) -> String {
    sheet.content.as_ref().map_or(sheet.info_hash.clone(), |(name, _)| printable(name))
}

/// Returns a name without its middle, if it is long: in a class, names differ at either end.
pub fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= MAX_NAME {
        return name.to_owned();
    }
    let (first, last) = (&letters[..MAX_NAME / 2], &letters[letters.len() - MAX_NAME / 2 + 1..]);
    first.iter().chain(&['…']).chain(last).collect()
}

/// Returns how often the content fits into this many bytes.
fn copies(sheet: &Sheet, bytes: u64) -> Option<String> {
    let (_, length) = sheet.content.as_ref().filter(|(_, length)| *length > 0)?;
    Some(format!("{:.2}", bytes as f64 / *length as f64))
}

/// Returns the sheet as text.
pub fn text(sheet: &Sheet) -> String {
    let all = 0..sheet.peers.len();
    let largest = all.clone().map(|at| sheet.gave(at).max(sheet.took(at))).max().unwrap_or(0);
    let unit = Unit::of(largest);
    let has_copies = copies(sheet, 0).is_some();
    let mut rows = vec![all.clone().map(|at| (at + 1).to_string()).collect::<Vec<String>>()];
    rows[0].push("gave".to_owned());
    rows[0].extend(has_copies.then(|| "copies".to_owned()));
    for giver in all.clone() {
        let mut row: Vec<String> =
            all.clone().map(|taker| figure(sheet, (giver, taker), unit)).collect();
        row.push(unit.figure(sheet.gave(giver)));
        row.extend(copies(sheet, sheet.gave(giver)));
        rows.push(row);
    }
    rows.push(all.clone().map(|at| unit.figure(sheet.took(at))).collect());
    rows[all.len() + 1].push(unit.figure(sheet.total()));
    if has_copies {
        rows.push(all.clone().filter_map(|at| copies(sheet, sheet.took(at))).collect());
    }
    let heads = sheet.peers.iter().zip(1..).map(|(row, number)| {
        let name = shortened(&row.name);
        format!("{number:>3}  {name}{}", if row.file.is_none() { "?" } else { "" })
    });
    let mut heads: Vec<String> = std::iter::once(String::new()).chain(heads).collect();
    heads.push("     took".to_owned());
    heads.extend(has_copies.then(|| "     copies".to_owned()));

    let content =
        sheet.content.as_ref().map(|(_, length)| format!(", {}", counted(*length, "byte")));
    let mut text = format!(
        "{}{}: who gave what to whom, in {}.\nGivers down, takers across.\n",
        title(sheet),
        content.unwrap_or_default(),
        unit.name
    );
    for line in aligned(&heads, &rows) {
        text += &format!("\n{line}");
    }
    text + &remarks(sheet)
}

/// Returns a cell: a dash where a peer meets itself, a point for nothing, a `!` where the two
/// sides do not say the same.
fn figure(sheet: &Sheet, (giver, taker): (usize, usize), unit: Unit) -> String {
    let cell = sheet.cell(giver, taker);
    match cell.bytes() {
        0 if giver == taker => "-".to_owned(),
        0 if !cell.differs() => ".".to_owned(),
        bytes => unit.figure(bytes) + if cell.differs() { "!" } else { "" },
    }
}

/// Returns lines in which the figures are below each other, also where one has a `!`.
fn aligned(heads: &[String], rows: &[Vec<String>]) -> Vec<String> {
    let letters = |text: &String| text.trim_end_matches('!').chars().count();
    let widest = heads.iter().map(letters).max().unwrap_or(0);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(letters).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |(head, row): (&String, &Vec<String>)| {
        let mut line = format!("{head:<widest$}");
        for (cell, width) in row.iter().zip(&widths) {
            let mark = if cell.ends_with('!') { '!' } else { ' ' };
            line += &format!(" {:>width$}{mark}", cell.trim_end_matches('!'));
        }
        line.trim_end().to_owned()
    };
    heads.iter().zip(rows).map(line).collect()
}

/// Returns the lines below the table: what its marks mean.
fn remarks(sheet: &Sheet) -> String {
    let mut text = String::new();
    if sheet.peers.iter().any(|row| row.file.is_none()) {
        text += "\n\n? has no result here: its figures are what the others say.";
    }
    let all = sheet.differences().count();
    if all > 0 {
        text += "\n\n! The two sides do not say the same. What was taken counts:";
    }
    for (giver, taker, cell) in sheet.differences().take(MAX_DIFFERENCES) {
        let (given, taken) = (cell.given.unwrap_or(0), cell.taken.unwrap_or(0));
        text += &format!(
            "\n  {} gave {} {}, which took {taken}",
            giver.name,
            taker.name,
            counted(given, "byte")
        );
    }
    if all > MAX_DIFFERENCES {
        text += &format!("\n  and {} more", all - MAX_DIFFERENCES);
    }
    text
}

/// Returns the sheet for spreadsheets, in bytes.
pub fn csv(sheet: &Sheet) -> String {
    let names = sheet.peers.iter().map(|row| quoted(&row.name));
    let heads = std::iter::once(quoted("giver")).chain(names).chain([quoted("gave")]);
    let mut lines = vec![heads.collect::<Vec<String>>().join(",")];
    let all = 0..sheet.peers.len();
    for (giver, row) in sheet.peers.iter().enumerate() {
        let cells = all.clone().map(|taker| sheet.cell(giver, taker).bytes().to_string());
        let cells = std::iter::once(quoted(&row.name)).chain(cells);
        lines.push(cells.chain([sheet.gave(giver).to_string()]).collect::<Vec<String>>().join(","));
    }
    let sums = all.map(|taker| sheet.took(taker).to_string());
    let sums = std::iter::once(quoted("took")).chain(sums).chain([sheet.total().to_string()]);
    lines.push(sums.collect::<Vec<String>>().join(","));
    lines.join("\r\n") + "\r\n"
}

/// Quotes a text. A spreadsheet would compute what begins like a formula.
fn quoted(text: &str) -> String {
    let sign = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{sign}{}\"", text.replace('"', "\"\""))
}

/// Returns the sheet for programs.
pub fn json(sheet: &Sheet) -> Value {
    let all = 0..sheet.peers.len();
    let peers = sheet.peers.iter().enumerate().map(|(at, row)| {
        json!({ "name": row.name, "file": row.file, "gave": sheet.gave(at), "took": sheet.took(at) })
    });
    let matrix = all.clone().map(|giver| {
        all.clone().map(|taker| sheet.cell(giver, taker).bytes()).collect::<Vec<u64>>()
    });
    let differences = sheet.differences().map(|(giver, taker, cell)| {
        json!({ "giver": giver.name, "taker": taker.name, "given": cell.given, "taken": cell.taken })
    });
    json!({
        "info_hash": sheet.info_hash,
        "name": sheet.content.as_ref().map(|(name, _)| name),
        "length": sheet.content.as_ref().map(|(_, length)| length),
        "peers": peers.collect::<Vec<Value>>(),
        "matrix": matrix.collect::<Vec<Vec<u64>>>(),
        "total": sheet.total(),
        "differences": differences.collect::<Vec<Value>>(),
        "passed_over": sheet.passed_over,
    })
}
