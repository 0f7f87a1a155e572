//! Seeders that answer as cheaply as can be: all requests that one read brought are
//! answered by one write, straight from memory.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use crate::Summary;
use crate::content::{Content, MOST, Torrent};
use crate::helper::{self, Helper, until_stdin_ends};
use crate::wire::{self, block_head, handshake, message, number, write_all};

/// How many requests a peer may have outstanding: more than any link here needs.
const QUEUE: u32 = 2000;
const STACK: usize = 128 << 10;

/// `LENGTH PIECE_LENGTH SEEDERS`: prints an address for each, and serves until its
/// input ends.
pub fn play(arguments: &[String]) -> Summary<()> {
    let [length, piece_length, seeders] = arguments else {
        return Err("seeder: LENGTH PIECE_LENGTH SEEDERS".into());
    };
    let (length, piece_length) = (length.parse::<u64>()?, piece_length.parse::<u64>()?);
    let shared = Arc::new((Content::new(), length.div_ceil(piece_length), piece_length));
    for seeder in 0..seeders.parse::<usize>()? {
        // An address each: some clients keep one connection per address.
        let address = Ipv4Addr::new(127, 0, 1 + (seeder / 250) as u8, 1 + (seeder % 250) as u8);
        let listener = TcpListener::bind((address, 0))?;
        println!("{}", listener.local_addr()?);
        let shared = Arc::clone(&shared);
        thread::Builder::new().stack_size(STACK).spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Whoever hangs up ends it.
                let serve = move || drop(serve(stream, &shared.0, shared.1, shared.2, seeder));
                let _ = thread::Builder::new().stack_size(STACK).spawn(serve);
            }
        })?;
    }
    until_stdin_ends();
    Ok(())
}

/// Starts so many seeders of a torrent.
pub fn start(torrent: &Torrent, seeders: usize) -> Summary<(Helper, Vec<String>)> {
    let mut command: Command = helper::command("seeder")?;
    command.args([
        torrent.length.to_string(),
        torrent.piece_length.to_string(),
        seeders.to_string(),
    ]);
    let mut helper = Helper::start(&mut command)?;
    let addresses = (0..seeders).map(|_| helper.line()).collect::<Summary<_>>()?;
    Ok((helper, addresses))
}

fn serve(
    mut stream: TcpStream,
    content: &Content,
    pieces: u64,
    piece_length: u64,
    seeder: usize,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut hello = [0; 68];
    stream.read_exact(&mut hello)?;
    let mut greeting = handshake(&hello[28..48], true, seeder);
    greeting.extend(message(5, &bitfield(pieces)));
    if hello[25] & 0x10 != 0 {
        greeting.extend(message(20, format!("\0d1:mde4:reqqi{QUEUE}ee").as_bytes()));
    }
    stream.write_all(&greeting)?;

    let mut buffer = vec![0; 16 << 10];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            read => filled += read,
        }
        let (mut used, mut heads, mut blocks) = (0, Vec::new(), Vec::new());
        while filled - used >= 4 {
            let length = number(&buffer, used) as usize;
            if length > buffer.len() - 4 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let Some(frame) = buffer[used..filled].get(4..4 + length) else { break };
            match frame.first() {
                Some(2) => stream.write_all(&message(1, &[]))?,
                Some(6) => {
                    let (piece, begin, size) =
                        (number(frame, 1), number(frame, 5), number(frame, 9));
                    if size as usize > MOST {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    heads.push(block_head(piece, begin, size));
                    blocks.push(
                        content.part(
                            u64::from(piece) * piece_length + u64::from(begin),
                            size as usize,
                        ),
                    );
                }
                _ => {}
            }
            used += 4 + length;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        let pairs = heads.iter().zip(blocks);
        let mut slices: Vec<IoSlice> =
            pairs.flat_map(|(head, block)| [IoSlice::new(head), IoSlice::new(block)]).collect();
        write_all(&mut stream, &mut slices)?;
    }
}

/// All pieces, and no bit more.
fn bitfield(pieces: u64) -> Vec<u8> {
    let mut bits = vec![0xff; pieces.div_ceil(8) as usize];
    if let (Some(last), spare @ 1..) = (bits.last_mut(), (8 - pieces % 8) % 8) {
        *last <<= spare;
    }
    bits
}

const _: () = assert!(wire::BLOCK as usize <= MOST);
