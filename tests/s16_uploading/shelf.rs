//! Files that somebody changes while they are given.

use super::super::support::{
    Gate, Must, Recipe, Torrent, Verdict, content, folder, has_hung_up, insist, insist_eq, wire,
};
use super::giver::{BOTH, DONT_HAVE_ID, Giver, block_of};
use super::memory::info;
use super::net::{PLAIN, Talk};
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{Storage, Store};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// Eight pieces of one block in one file, sealed and given.
fn shelf() -> (TempDir, PathBuf, Torrent, Giver) {
    let torrent = Recipe::single("t", 16_384, content(8 * 16_384 - 1000, 8)).build();
    let folder = folder();
    let path = folder.path().join("t.bin");
    fs::write(&path, &torrent.content).expect("the folder takes a file");
    let giver = sealed(&torrent, &path);
    (folder, path, torrent, giver)
}

fn sealed(torrent: &Torrent, path: &Path) -> Giver {
    let storage = Storage::new(&info(torrent), path, false);
    storage.seal();
    let mut giver = Giver::new(torrent);
    giver.store = Arc::new(storage);
    giver
}

/// As if somebody had saved the file, so many seconds from now: two changes within one
/// tick of the file system's clock would look like one.
fn touch(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("it is ours");
}

fn overwrite(path: &Path, offset: u64, bytes: &[u8], seconds: u64) {
    let mut file = File::options().write(true).open(path).expect("it is there");
    file.seek(SeekFrom::Start(offset)).expect("a file can be sought in");
    file.write_all(bytes).expect("it is ours");
    drop(file);
    touch(path, seconds);
}

/// What one peer has heard.
#[derive(Default)]
struct Heard {
    /// Pieces that we have said are gone, in that order.
    gone: Vec<u32>,
}

impl Heard {
    fn hear(&mut self, id: u8, payload: &[u8]) -> Verdict {
        if id == wire::EXTENDED && payload[0] == DONT_HAVE_ID {
            let index = payload[1..].try_into().must("lt_donthave is an index of four bytes")?;
            self.gone.push(u32::from_be_bytes(index));
        }
        Ok(())
    }

    /// Asks for pieces, and tells which of them came; the others are refused.
    fn asks(
        &mut self,
        talk: &mut Talk,
        torrent: &Torrent,
        pieces: impl IntoIterator<Item = u32>,
    ) -> io::Result<Vec<u32>> {
        let mut came = Vec::new();
        for piece in pieces {
            let asked = (piece, 0, torrent.piece(piece as usize).len() as u32);
            talk.request(piece, 0, asked.2)?;
            let (answer, given) = loop {
                match talk.next()? {
                    (wire::PIECE, payload) => break (block_of(torrent, &payload)?, true),
                    (wire::REJECT, payload) => {
                        break (wire::three(&payload).expect("three numbers"), false);
                    }
                    (id, payload) => self.hear(id, &payload)?,
                }
            };
            assert_eq!(answer, asked);
            came.extend(given.then_some(piece));
        }
        Ok(came)
    }

    /// The pieces that we have said are gone, in order of their numbers, once there are
    /// so many.
    fn gone(&mut self, talk: &mut Talk, count: usize) -> io::Result<Vec<u32>> {
        while self.gone.len() < count {
            let (id, payload) = talk.next()?;
            self.hear(id, &payload)?;
        }
        self.gone.sort_unstable();
        Ok(self.gone.clone())
    }
}

#[test]
fn a_file_that_was_only_touched_is_given_as_before() {
    let (folder, path, torrent, mut giver) = shelf();
    let (content, again) = (torrent.clone(), Gate::default());
    let (gate, file) = (again.clone(), path.clone());
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, 0..4)?, [0, 1, 2, 3]);
        for times in 1..3 {
            touch(&file, times * 10);
            insist_eq!(heard.asks(talk, &content, 0..8)?, [0, 1, 2, 3, 4, 5, 6, 7]);
        }
        insist!(talk.fence(&ours)?.is_empty() && heard.gone.is_empty(), "nothing is gone");
        gate.open();
        Ok(())
    });
    let content = torrent.clone();
    giver.taker(move |talk| {
        again.opens()?;
        talk.hello(BOTH, &content)?;
        insist_eq!(talk.next()?.0, wire::HAVE_ALL);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

#[test]
fn a_piece_that_was_changed_is_refused_taken_back_and_never_given_again() {
    let (folder, path, torrent, mut giver) = shelf();
    let (content, again) = (torrent.clone(), Gate::default());
    let (gate, file) = (again.clone(), path.clone());
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, 0..8)?, [0, 1, 2, 3, 4, 5, 6, 7]);
        // One byte of the third piece.
        let offset = 2 * 16_384 + 5000;
        overwrite(&file, offset, &[!content.content[offset as usize]], 10);
        insist_eq!(heard.asks(talk, &content, [1, 2, 3])?, [1, 3]);
        insist_eq!(heard.gone(talk, 1)?, [2]);
        insist_eq!(heard.asks(talk, &content, [2, 7])?, [7]);
        // Back to what it was: but we have said that it is gone.
        overwrite(&file, offset, &[content.content[offset as usize]], 20);
        insist_eq!(heard.asks(talk, &content, 0..8)?, [0, 1, 3, 4, 5, 6, 7]);
        gate.open();
        Ok(())
    });
    let content = torrent.clone();
    giver.taker(move |talk| {
        again.opens()?;
        talk.hello(BOTH, &content)?;
        insist_eq!(talk.next()?, (wire::BITFIELD, vec![0b1101_1111]));
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, [2, 3])?, [3]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

#[test]
fn everybody_is_told_that_a_piece_is_gone() {
    let (folder, path, torrent, mut giver) = shelf();
    let (ready, told) = ([Gate::default(), Gate::default()], [Gate::default(), Gate::default()]);
    for number in 0..2 {
        let (content, ready, told) = (torrent.clone(), ready[number].clone(), told[number].clone());
        giver.taker(move |talk| {
            talk.hello(BOTH, &content)?;
            talk.greet(&[])?;
            ready.open();
            let mut heard = Heard::default();
            // Nobody asks for anything here; it is told all the same.
            insist_eq!(heard.gone(talk, 1)?, [4]);
            told.open();
            Ok(())
        });
    }
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.admitted()?;
        let mut heard = Heard::default();
        ready.iter().try_for_each(Gate::opens)?;
        overwrite(&path, 4 * 16_384, b"something else", 10);
        insist!(heard.asks(talk, &content, [4])?.is_empty());
        told.iter().try_for_each(Gate::opens)?;
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

#[test]
fn who_cannot_be_told_in_words_is_hung_up_on() {
    let (folder, path, torrent, mut giver) = shelf();
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, [2])?, [2]);
        overwrite(&path, 2 * 16_384, b"something else", 10);
        talk.request(2, 0, 16_384)?;
        let next = talk.next();
        let kind = next.as_ref().err().map(io::Error::kind);
        insist!(has_hung_up(next)?, "nothing more is to be said");
        insist!(kind != Some(ErrorKind::TimedOut), "it waits forever");
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

#[test]
fn of_a_file_that_was_cut_the_rest_is_given() {
    let (folder, path, torrent, mut giver) = shelf();
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, [0, 7])?, [0, 7]);
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_len(3 * 16_384 + 100))
            .must("it is ours")?;
        insist_eq!(heard.asks(talk, &content, 0..8)?, [0, 1, 2]);
        insist_eq!(heard.gone(talk, 5)?, [3, 4, 5, 6, 7]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

#[test]
fn a_file_that_is_gone_before_it_was_opened_is_given_to_nobody() {
    let (folder, path, torrent, mut giver) = shelf();
    fs::remove_file(&path).expect("it is ours");
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist!(heard.asks(talk, &content, [0, 5])?.is_empty());
        insist_eq!(heard.gone(talk, 2)?, [0, 5]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    assert!(!path.exists(), "nothing is made by giving");
    drop(folder);
}

/// A download that stays gives its own files, and these can be changed as well, once we
/// are done with them.
#[test]
fn what_a_download_has_completed_is_watched_like_anything_else() {
    let torrent = Recipe::single("t", 16_384, content(4 * 16_384, 8)).build();
    let folder = folder();
    let path = folder.path().join("t.bin");
    let stop = AtomicBool::new(false);
    let output =
        Output::open(&info(&torrent), &path, false, &stop, &|_| {}).expect("there is nothing yet");
    output.storage.write(0, &torrent.content).expect("there is room");
    output.complete().expect("all of it is there");
    let mut giver = Giver::new(&torrent);
    giver.store = output.storage;
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, 0..4)?, [0, 1, 2, 3]);
        overwrite(&path, 2 * 16_384, b"something else", 10);
        insist_eq!(heard.asks(talk, &content, 0..4)?, [0, 1, 3]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}

/// The first and the last piece lie in one file each, the second in both.
#[test]
fn a_piece_is_looked_at_again_whichever_of_its_files_has_changed() {
    let files = [("a", content(24_000, 1)), ("b", content(24_000, 2))];
    let torrent = Recipe::files("t", 16_384, &files).build();
    let folder = folder();
    let paths = [folder.path().join("a"), folder.path().join("b")];
    for (path, (_, data)) in paths.iter().zip(&files) {
        fs::write(path, data).expect("the folder takes a file");
    }
    let mut giver = sealed(&torrent, folder.path());
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        talk.greet(&[])?;
        talk.admitted()?;
        let mut heard = Heard::default();
        insist_eq!(heard.asks(talk, &content, 0..3)?, [0, 1, 2]);
        touch(&paths[0], 10);
        insist_eq!(heard.asks(talk, &content, 0..3)?, [0, 1, 2]);
        // The other file, as often as the first one.
        overwrite(&paths[1], 100, b"something else", 10);
        insist_eq!(heard.asks(talk, &content, 0..3)?, [0, 2]);
        insist_eq!(heard.gone(talk, 1)?, [1]);
        Ok(())
    });
    assert!(giver.run().result.is_ok());
    drop(folder);
}
