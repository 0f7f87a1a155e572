//! A process that may have only a few descriptors, and more peers and files than that.

use crate::support::{FakePeer, Gate, Recipe, Run, content, folder};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[cfg(unix)]
#[test]
fn more_peers_files_and_strangers_than_descriptors_do_not_end_a_download() {
    let folder = folder();
    let names: Vec<String> = (0..70).map(|number| format!("d{}/f{number}", number % 10)).collect();
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().map(|name| (name.as_str(), content(5_000, 7))).collect();
    let torrent = Recipe::files("many", 16_384, &files).build();
    let (port, strangers_are_here) = (free_port(), Gate::default());
    let peers: Vec<FakePeer> = (2..62)
        .map(|host| FakePeer::of(&torrent).host(host).once(strangers_are_here.clone()).start())
        .collect();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let mut run = Run::new(["download", "--port", &port.to_string(), "-o"])
        .with_descriptors(64)
        .arg(&out)
        .arg(file);
    for peer in &peers {
        run = run.peer(peer.address());
    }
    let running = run.start();
    let strangers: Vec<TcpStream> = (0..80).map(|_| knock(port)).collect();
    strangers_are_here.open();
    running.finish().succeeds();
    drop(strangers);
    for (name, data) in files {
        assert!(std::fs::read(out.join(name)).expect("the file is there") == data, "{name}");
    }
}

/// A port on which nothing listens yet.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Connects once something listens there, and says nothing.
fn knock(port: u16) -> TcpStream {
    let begun = Instant::now();
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody listens");
        std::thread::sleep(Duration::from_millis(3));
    }
}
