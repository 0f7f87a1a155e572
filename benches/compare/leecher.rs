//! A downloader that throws away what it gets, to measure whoever gives it; and
//! connections that want nothing.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::{Info, Metainfo};

use crate::Summary;
use crate::helper::until_stdin_ends;
use crate::wire::{HEAD, handshake, requests, until_unchoked};

/// How long a seeder may take until it serves: it hashes its file first.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the idle connections may take together.
const HURRY: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(15);

/// `TORRENT ADDRESS CONNECTIONS`: says `ready` once each connection was given a
/// piece, waits for the end of its input, fetches everything once, and prints the seconds.
pub fn play(arguments: &[String]) -> Summary<()> {
    let [torrent, address, connections] = arguments else {
        return Err("leecher: TORRENT ADDRESS CONNECTIONS".into());
    };
    let info = Arc::new(Metainfo::read(torrent.as_ref())?.info);
    let streams: Vec<TcpStream> = (0..connections.parse()?)
        .map(|number| served(address, &info, number))
        .collect::<io::Result<_>>()?;
    println!("ready");
    until_stdin_ends();

    let (start, next) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let threads: Vec<_> = streams
        .into_iter()
        .map(|stream| {
            let (info, next) = (Arc::clone(&info), Arc::clone(&next));
            thread::spawn(move || discard(stream, &info, &next))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a connection's thread panicked")??;
    }
    println!("{}", start.elapsed().as_secs_f64());
    Ok(())
}

/// A connection over which a first piece has come.
fn served(address: &str, info: &Info, number: usize) -> io::Result<TcpStream> {
    let start = Instant::now();
    let first = info.pieces().next().ok_or(io::ErrorKind::InvalidInput)?;
    let attempt = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        until_unchoked(&mut stream, &info.info_hash.0, number)?;
        let size = info.piece_size(first);
        stream.write_all(&requests(first.get(), size))?;
        take(&mut BufReader::with_capacity(HEAD, &stream), u64::from(size))?;
        Ok(stream)
    };
    loop {
        match attempt() {
            Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(100)),
            outcome => return outcome,
        }
    }
}

/// Fetches pieces that no other connection fetches, the next one always asked for.
fn discard(stream: TcpStream, info: &Info, next: &AtomicU32) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(256 << 10, &stream);
    let mut sizes = std::collections::VecDeque::new();
    loop {
        while sizes.len() < 2 {
            let Some(piece) = info.piece(next.fetch_add(1, Ordering::Relaxed)) else { break };
            (&stream).write_all(&requests(piece.get(), info.piece_size(piece)))?;
            sizes.push_back(u64::from(info.piece_size(piece)));
        }
        let Some(size) = sizes.pop_front() else { return Ok(()) };
        take(&mut reader, size)?;
    }
}

/// Passes over messages until blocks of so many bytes have come.
fn take(reader: &mut impl BufRead, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let mut head = [0; 4];
        reader.read_exact(&mut head)?;
        let length = u64::from(u32::from_be_bytes(head));
        if length == 0 {
            continue;
        }
        let mut id = [0];
        reader.read_exact(&mut id)?;
        match id {
            [0] => return Err(io::Error::other("choked in the middle")),
            [7] => bytes = bytes.saturating_sub(length.saturating_sub(9)),
            _ => {}
        }
        let mut rest = length - 1;
        while rest > 0 {
            let there = reader.fill_buf()?.len() as u64;
            if there == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            reader.consume(there.min(rest) as usize);
            rest -= there.min(rest);
        }
    }
    Ok(())
}

/// `TORRENT ADDRESS CONNECTIONS`: opens them, says `ready`, and holds them until its
/// input ends.
pub fn idle(arguments: &[String]) -> Summary<()> {
    let [torrent, address, connections] = arguments else {
        return Err("idlers: TORRENT ADDRESS CONNECTIONS".into());
    };
    let info = Metainfo::read(torrent.as_ref())?.info;
    served(address, &info, 0)?;
    let (start, mut streams) = (Instant::now(), Vec::new());
    for number in 1..=connections.parse()? {
        if start.elapsed() > HURRY {
            return Err(format!("{} connections after {} s", streams.len(), HURRY.as_secs()).into());
        }
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.write_all(&handshake(&info.info_hash.0, false, number))?;
        // The handshake and the head of the first message: it has let us in.
        stream.read_exact(&mut [0; 73]).map_err(|error| format!("connection {number}: {error}"))?;
        streams.push(stream);
    }
    println!("ready");
    until_stdin_ends();
    Ok(())
}
