//! The floor: what a download costs at the least, if nothing can go wrong.
//!
//! Raw sockets, a thread for each seeder, whole pieces in the order of their numbers,
//! SHA-1, one positioned write a piece. It trusts every peer, waits for ever, and knows
//! neither trackers nor other peers' pieces.
//!
//! And what a check costs at the least: to read a file and hash it, on all cores.

use std::collections::VecDeque;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use piecemeal::s02_metainfo::{Info, Metainfo};
use sha1::{Digest, Sha1};

use crate::Summary;
use crate::wire::{BLOCK, HEAD, block_head, requests, until_unchoked};

/// The pieces of a file that is hashed.
const PIECE: u64 = 1 << 20;

/// `TORRENT OUTPUT AHEAD ADDRESS...`; AHEAD is how many bytes a thread has asked for at
/// the least, besides the next piece.
pub fn play(arguments: &[String]) -> Summary<()> {
    let [torrent, output, ahead, addresses @ ..] = arguments else {
        return Err("floor: TORRENT OUTPUT AHEAD ADDRESS".into());
    };
    let info = Metainfo::read(Path::new(torrent))?.info;
    let ahead: u64 = ahead.parse()?;
    let (file, next) = (File::create(output)?, AtomicU32::new(0));
    file.set_len(info.length)?;
    let outcomes: Vec<io::Result<()>> = thread::scope(|scope| {
        let fetch = |(number, address): (usize, &String)| {
            fetch(address, number, &info, ahead, &next, &file)
        };
        let threads: Vec<_> =
            addresses.iter().enumerate().map(|each| scope.spawn(move || fetch(each))).collect();
        threads.into_iter().map(join).collect()
    });
    Ok(outcomes.into_iter().collect::<io::Result<()>>()?)
}

/// `FILE`; hashes it in pieces, one thread a core, and throws the hashes away.
pub fn hash(arguments: &[String]) -> Summary<()> {
    let [path] = arguments else { return Err("hash: FILE".into()) };
    let (file, next) = (File::open(path)?, AtomicU64::new(0));
    let length = file.metadata()?.len();
    let hash = || -> io::Result<()> {
        // A part at a time: what was read is still in the cache of the core that hashes it.
        let mut part = vec![0; 128 << 10];
        loop {
            let begin = next.fetch_add(PIECE, Ordering::Relaxed);
            if begin >= length {
                return Ok(());
            }
            let (mut at, end) = (begin, length.min(begin + PIECE));
            let mut hasher = Sha1::new();
            while at < end {
                let size = (end - at).min(part.len() as u64);
                let part = &mut part[..size as usize];
                file.read_exact_at(part, at)?;
                hasher.update(part);
                at += size;
            }
            black_box(hasher.finalize());
        }
    };
    let outcomes: Vec<io::Result<()>> = thread::scope(|scope| {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(hash)).collect();
        threads.into_iter().map(join).collect()
    });
    Ok(outcomes.into_iter().collect::<io::Result<()>>()?)
}

fn join(thread: thread::ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a panic")))
}

fn fetch(
    address: &str,
    number: usize,
    info: &Info,
    ahead: u64,
    next: &AtomicU32,
    file: &File,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    until_unchoked(&mut stream, &info.info_hash.0, number)?;
    let (mut asked, mut on_the_way) = (VecDeque::new(), 0);
    let mut buffer = Vec::new();
    loop {
        // The next piece is asked for before this one is read: the line is never idle.
        while asked.len() < 2 || on_the_way < ahead {
            let Some(piece) = info.piece(next.fetch_add(1, Ordering::Relaxed)) else { break };
            stream.write_all(&requests(piece.get(), info.piece_size(piece)))?;
            on_the_way += u64::from(info.piece_size(piece));
            asked.push_back(piece);
        }
        let Some(piece) = asked.pop_front() else { return Ok(()) };
        let size = info.piece_size(piece);
        on_the_way -= u64::from(size);
        buffer.resize(size as usize, 0);
        read_piece(&mut stream, piece.get(), &mut buffer)?;
        if Sha1::digest(&buffer)[..] != *info.piece_hash(piece) {
            return Err(io::Error::other(format!("piece {piece:?} has the wrong hash")));
        }
        file.write_all_at(&buffer, info.piece_offset(piece))?;
    }
}

/// Reads heads and blocks in turn, each to its place, without a copy between.
fn read_piece(stream: &mut TcpStream, piece: u32, buffer: &mut [u8]) -> io::Result<()> {
    let mut heads = vec![[0; HEAD]; buffer.len().div_ceil(BLOCK as usize)];
    let sizes: Vec<u32> = buffer.chunks(BLOCK as usize).map(|block| block.len() as u32).collect();
    let blocks = buffer.chunks_mut(BLOCK as usize);
    let pairs = heads.iter_mut().zip(blocks);
    let mut slices: Vec<IoSliceMut> =
        pairs.flat_map(|(head, block)| [IoSliceMut::new(head), IoSliceMut::new(block)]).collect();
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match stream.read_vectored(rest)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => IoSliceMut::advance_slices(&mut rest, read),
        }
    }
    let expected = sizes
        .iter()
        .zip((0..).step_by(BLOCK as usize))
        .map(|(size, begin)| block_head(piece, begin, *size));
    if !expected.eq(heads) {
        return Err(io::Error::other("a block came that was not the next one"));
    }
    Ok(())
}
