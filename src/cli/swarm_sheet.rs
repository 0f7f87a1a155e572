//! The sheet of a swarm: who gave what to whom, as both sides tell it. (lab)
//!
//! Each program prints what it gave to each peer and took from each. So most transfers are told
//! twice, once by the giver and once by the taker. The two sides know each other by their peer ids:
//! an address looks different from different machines, and its port may be one that nobody listens
//! on. The taker's figure counts, since a block that was sent may never have arrived.

mod accounts;
mod drawing;
mod tables;
mod who_is_who;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::{fs, io};

use piecemeal::s01_bencode::printable;

use self::accounts::{Account, Teller};
use self::who_is_who::Rows;
use super::Options;
use super::exit_codes::{BAD_INPUT, LOCAL, USAGE};
use super::failure::{Failure, at_the_disk};

/// The page about swarms in a class.
pub const PAGE: &str = "a-swarm-in-class";

/// The most files of one sheet.
const MAX_FILES: usize = 100;

/// The most peers without an account that have a row of their own. A seed may name a thousand.
const MAX_OTHERS: usize = 30;

/// How to get what is merged.
const COLLECT: &str = "run each download and seed as `piecemeal download --json ... > NAME.json`, and end it with Ctrl-C";

/// Who gave what to whom.
pub struct Sheet {
    pub info_hash: String,
    /// The torrent's name and length, if one of the accounts has them.
    pub content: Option<(String, u64)>,
    pub peers: Vec<Row>,
    cells: BTreeMap<(usize, usize), Cell>,
    /// What could not be used, in words.
    pub passed_over: Vec<String>,
}

/// A peer, which is a row and a column.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    /// The file with its account. Without one, only the others tell of it.
    pub file: Option<String>,
}

/// A transfer from a giver to a taker, as each of them tells it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cell {
    /// What the giver says, if it has an account.
    pub given: Option<u64>,
    /// What the taker says, if it has an account.
    pub taken: Option<u64>,
}

impl Cell {
    /// Returns the bytes that count.
    pub fn bytes(self) -> u64 {
        self.taken.or(self.given).unwrap_or(0)
    }

    /// Whether both sides tell of it, and do not say the same.
    pub fn differs(self) -> bool {
        self.given.zip(self.taken).is_some_and(|(given, taken)| given != taken)
    }
}

impl Sheet {
    /// Merges the accounts in some files, and in the .json files of folders. The sheet is about
    /// one torrent: the wanted one, or else the one with most accounts.
    pub fn read(
        paths: &[PathBuf],
        wanted: Option<&str>,
        options: &Options,
    ) -> Result<Sheet, Failure> {
        let tell = |lines: &[String]| {
            lines.iter().for_each(|line| options.note(&format!("note: {line}")));
        };
        let files = files(paths)?;
        let (mut all, mut passed_over) = (Vec::new(), Vec::new());
        for file in &files {
            let accounts =
                accounts::read(file, &mut passed_over).map_err(|error| local(file, &error))?;
            all.extend(accounts.into_iter().map(|account| (file.as_path(), account)));
        }
        tell(&passed_over);
        let info_hash = torrent_of(&all, wanted).ok_or_else(|| nothing(&all, wanted))?;
        let told = passed_over.len();
        let mut sheet = Sheet {
            info_hash,
            content: None,
            peers: Vec::new(),
            cells: BTreeMap::new(),
            passed_over,
        };
        let all = sheet.of_one_torrent(all);
        tell(&sheet.passed_over[told..]);
        sheet.content = all.iter().find_map(|(_, account)| account.content.clone());
        sheet.enter(&all, &names(&files));
        sheet.shorten();
        Ok(sheet)
    }

    /// Keeps the accounts of this sheet's torrent, each once.
    fn of_one_torrent<'f>(&mut self, all: Vec<(&'f Path, Account)>) -> Vec<(&'f Path, Account)> {
        let mut kept: Vec<(&Path, Account)> = Vec::new();
        let mut say = |file: &Path, what: String| {
            let line = format!("{}: {what}", file.display());
            if !self.passed_over.contains(&line) {
                self.passed_over.push(line);
            }
        };
        for (file, account) in all {
            let info_hash = &account.info_hash;
            let same = |(_, other): &&(&Path, Account)| match &account.teller {
                Teller::Client { .. } => other.teller == account.teller,
                // Its address is the same in each lab.
                Teller::Seeder { .. } => *other == account,
            };
            if *info_hash != self.info_hash {
                say(file, format!("is about another torrent, --info-hash {info_hash}"));
            } else if let Some((first, _)) = kept.iter().find(same) {
                say(file, format!("has the same run as {}; it counts once", first.display()));
            } else {
                kept.push((file, account));
            }
        }
        kept
    }

    /// Enters what the accounts say.
    fn enter(&mut self, all: &[(&Path, Account)], names: &HashMap<&Path, String>) {
        let mut rows = Rows::default();
        // The tellers first: any account may name any of them.
        let tellers: Vec<usize> = all
            .iter()
            .map(|(file, account)| rows.teller(file, &names[file], &account.teller))
            .collect();
        for ((_, account), own) in all.iter().zip(tellers) {
            for (peer, bytes) in &account.gave {
                let cell = self.cells.entry((own, rows.other(peer))).or_default();
                cell.given = plus(cell.given, Some(*bytes));
            }
            for (peer, bytes) in &account.took {
                let cell = self.cells.entry((rows.other(peer), own)).or_default();
                cell.taken = plus(cell.taken, Some(*bytes));
            }
        }
        self.peers = rows.rows;
        // An account that does not mention a transfer says that there was none.
        let speaks = |row: usize| self.peers[row].file.is_some().then_some(0);
        for ((giver, taker), cell) in &mut self.cells {
            cell.given = cell.given.or(speaks(*giver));
            cell.taken = cell.taken.or(speaks(*taker));
        }
    }

    /// Returns a transfer.
    pub fn cell(&self, giver: usize, taker: usize) -> Cell {
        self.cells.get(&(giver, taker)).copied().unwrap_or_default()
    }

    /// Returns the bytes that a peer gave.
    pub fn gave(&self, giver: usize) -> u64 {
        self.sum(|(from, _)| from == giver)
    }

    /// Returns the bytes that a peer took.
    pub fn took(&self, taker: usize) -> u64 {
        self.sum(|(_, to)| to == taker)
    }

    /// Returns all bytes that were moved.
    pub fn total(&self) -> u64 {
        self.sum(|_| true)
    }

    fn sum(&self, counts: impl Fn((usize, usize)) -> bool) -> u64 {
        let counted = self.cells.iter().filter(|(place, _)| counts(**place));
        // The figures come from files, and may be anything.
        counted.fold(0_u64, |sum, (_, cell)| sum.saturating_add(cell.bytes()))
    }

    /// Returns the transfers of which the two sides do not say the same.
    pub fn differences(&self) -> impl Iterator<Item = (&Row, &Row, Cell)> {
        let cells = self.cells.iter().filter(|(_, cell)| cell.differs());
        cells.map(|((giver, taker), cell)| (&self.peers[*giver], &self.peers[*taker], *cell))
    }

    /// Returns the sheet as text, in a unit that fits.
    pub fn text(&self) -> String {
        tables::text(self)
    }

    /// Returns the sheet for spreadsheets, in bytes.
    pub fn csv(&self) -> String {
        tables::csv(self)
    }

    /// Returns the sheet for programs.
    pub fn json(&self) -> serde_json::Value {
        tables::json(self)
    }

    /// Returns the sheet as a drawing.
    pub fn svg(&self) -> String {
        drawing::svg(self)
    }

    /// Puts the peers without an account behind the others, those with most bytes first, and makes
    /// one row of those that are too many.
    fn shorten(&mut self) {
        let moved: Vec<u64> =
            (0..self.peers.len()).map(|at| self.gave(at).saturating_add(self.took(at))).collect();
        let mut order: Vec<usize> = (0..self.peers.len()).collect();
        order.sort_by_key(|at| match &self.peers[*at].file {
            Some(_) => (false, 0),
            None => (true, u64::MAX - moved[*at]),
        });
        let told = self.peers.iter().filter(|row| row.file.is_some()).count();
        let last = told + MAX_OTHERS;
        let mut place = vec![0; order.len()];
        order.iter().enumerate().for_each(|(new, old)| place[*old] = new.min(last));
        let cells = std::mem::take(&mut self.cells);
        for ((giver, taker), cell) in cells {
            let merged = self.cells.entry((place[giver], place[taker])).or_default();
            merged.given = plus(merged.given, cell.given);
            merged.taken = plus(merged.taken, cell.taken);
        }
        let rest = order.len().saturating_sub(last);
        let rows = order.iter().take(last).map(|old| self.peers[*old].clone());
        let mut rows: Vec<Row> = rows.collect();
        if rest > 0 {
            rows.push(Row { name: format!("{rest} others"), file: None });
        }
        self.peers = rows;
    }
}

fn plus(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    more.map_or(sum, |more| Some(sum.unwrap_or(0).saturating_add(more)))
}

/// Returns the files, with those of folders: a shell of Windows does not expand `*.json`.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let inside = fs::read_dir(path).and_then(|entries| {
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<PathBuf>>>()
        });
        let mut inside = inside.map_err(|error| local(path, &error))?;
        inside.retain(|file| file.extension().is_some_and(|ending| ending == "json"));
        inside.sort();
        files.extend(inside);
    }
    files.dedup();
    match files.len() {
        0 => Err(Failure::new(BAD_INPUT, "no file in these folders has a name that ends in .json")
            .help(COLLECT)
            .see(PAGE)),
        1..=MAX_FILES => Ok(files),
        many => Err(Failure::new(USAGE, format!("{many} files: a sheet has at most {MAX_FILES}"))
            .help("give one for each machine, and only those of one swarm")
            .see(PAGE)),
    }
}

/// Returns a name for each file: without its folder and ending, unless two would be alike.
fn names(files: &[PathBuf]) -> HashMap<&Path, String> {
    let short = |file: &Path| file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = |file: &PathBuf| {
        let alike = files.iter().filter(|other| short(other) == short(file)).count() > 1;
        if alike { file.with_extension("").to_string_lossy().into_owned() } else { short(file) }
    };
    files.iter().map(|file| (file.as_path(), name(file))).collect()
}

/// Returns the torrent that the sheet is about.
fn torrent_of(all: &[(&Path, Account)], wanted: Option<&str>) -> Option<String> {
    let accounts = |hash: &str| all.iter().filter(|(_, it)| it.info_hash == hash).count();
    let mut hashes = all.iter().map(|(_, account)| account.info_hash.as_str());
    match wanted {
        Some(wanted) => hashes.find(|hash| *hash == wanted).map(str::to_owned),
        // Of those with equally many, the last one wins, so the first has to come last.
        None => hashes.rev().max_by_key(|hash| accounts(hash)).map(str::to_owned),
    }
}

/// Returns the failure if there is nothing to merge.
fn nothing(all: &[(&Path, Account)], wanted: Option<&str>) -> Failure {
    let (what, help) = match (wanted, all.first()) {
        (Some(wanted), Some((file, first))) => (
            format!("no result is about the torrent {wanted}"),
            format!("{} is about {}", printable(&file.to_string_lossy()), first.info_hash),
        ),
        _ => ("there is no result in these files".to_owned(), COLLECT.to_owned()),
    };
    Failure::new(BAD_INPUT, what).help(help).see(PAGE)
}

/// Returns the failure for a file that cannot be read or written.
pub fn local(path: &Path, error: &io::Error) -> Failure {
    Failure::new(LOCAL, format!("{}: {error}", path.display())).help(at_the_disk(error)).see(PAGE)
}
