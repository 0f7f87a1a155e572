//! A tracker that answers every announce with the same peers.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use piecemeal::s01_bencode::encode::{bytes, dictionary, integer};

use crate::Summary;

/// A thread of this process; it waits while something is measured.
pub struct Tracker {
    pub url: String,
    peers: Arc<Mutex<Vec<u8>>>,
}

impl Tracker {
    /// Listens at a free port.
    pub fn start() -> Summary<Tracker> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/announce", listener.local_addr()?);
        let peers = Arc::<Mutex<Vec<u8>>>::default();
        let shared = Arc::clone(&peers);
        thread::Builder::new().stack_size(128 << 10).spawn(move || {
            for stream in listener.incoming().flatten() {
                let peers = shared.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Whoever hangs up has had enough.
                let _ = answer(stream, peers);
            }
        })?;
        Ok(Tracker { url, peers })
    }

    /// From now on these are the peers.
    pub fn set_peers(&self, addresses: &[String]) -> Summary<()> {
        let mut compact = Vec::new();
        for address in addresses {
            let SocketAddr::V4(address) = address.parse()? else {
                return Err("an IPv6 seeder".into());
            };
            compact.extend(address.ip().octets());
            compact.extend(address.port().to_be_bytes());
        }
        *self.peers.lock().unwrap_or_else(PoisonError::into_inner) = compact;
        Ok(())
    }
}

fn answer(mut stream: TcpStream, peers: Vec<u8>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    let body = dictionary([("interval", integer(1800)), ("peers", bytes(peers))]);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), &body].concat())
}
