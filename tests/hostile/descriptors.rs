//! A process that may have only a few descriptors, and more peers and files than that.

use crate::support::{FakePeer, Gate, Recipe, Run, Serving, content, folder};
use std::net::TcpStream;

#[cfg(unix)]
#[test]
fn more_peers_files_and_strangers_than_descriptors_do_not_end_a_download() {
    let folder = folder();
    let names: Vec<String> = (0..70).map(|number| format!("d{}/f{number}", number % 10)).collect();
    let files: Vec<(&str, Vec<u8>)> =
        names.iter().map(|name| (name.as_str(), content(5_000, 7))).collect();
    let torrent = Recipe::files("many", 16_384, &files).build();
    let strangers_are_here = Gate::default();
    let peers: Vec<FakePeer> = (2..62)
        .map(|host| FakePeer::of(&torrent).host(host).once(strangers_are_here.clone()).start())
        .collect();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let mut run = Run::new(["download", "-o"]).with_descriptors(64).arg(&out).arg(file);
    for peer in &peers {
        run = run.peer(peer.address());
    }
    let running = Serving::start(run, &folder.path().join("said"));
    let knock = |_| TcpStream::connect(running.address).expect("it listens");
    let strangers: Vec<TcpStream> = (0..80).map(knock).collect();
    strangers_are_here.open();
    running.finish().outcome.succeeds();
    drop(strangers);
    for (name, data) in files {
        assert!(std::fs::read(out.join(name)).expect("the file is there") == data, "{name}");
    }
}
