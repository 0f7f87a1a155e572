//! A disk that is full, and one that is read-only.

use crate::support::mount::Mount;
use crate::support::{FakePeer, Run, Torrent, folder};

#[test]
fn a_full_disk_ends_the_download_with_a_local_error() {
    let folder = folder();
    let Some(disk) = Mount::small(&folder.path().join("disk"), 256) else { return };
    let torrent = Torrent::of_pieces(32, 50);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let out = disk.path().join("out");
    let outcome = Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run();
    outcome.fails(&[7]).mentions("space");
    let outcome = Run::new(["magnet_download", "-o"])
        .arg(disk.path().join("o2"))
        .arg(torrent.magnet(&[]))
        .peer(peer.address())
        .run();
    outcome.fails(&[7]);
}

#[test]
fn a_download_stopped_by_a_full_disk_goes_on_where_there_is_room() {
    let folder = folder();
    let Some(disk) = Mount::small(&folder.path().join("disk"), 256) else { return };
    let torrent = Torrent::of_pieces(7, 51);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 100 * 1024]).expect("there is room for this much");
    let out = disk.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run().fails(&[7]);
    std::fs::remove_file(&ballast).expect("the ballast is ours");
    Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

#[test]
fn a_folder_that_takes_no_writes_is_a_local_error_before_anything_is_fetched() {
    let folder = folder();
    let Some(disk) = Mount::read_only(&folder.path().join("disk")) else { return };
    let torrent = Torrent::of_pieces(4, 52);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let out = disk.path().join("out");
    let outcome = Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run();
    outcome.fails(&[7]).mentions("out");
    assert_eq!(peer.served(), 0, "nothing is fetched that cannot be kept");
    Run::new(["download_piece", "-o"])
        .arg(&out)
        .arg(&file)
        .arg("0")
        .peer(peer.address())
        .run()
        .fails(&[7]);
    Run::new(["magnet_download", "-o"])
        .arg(&out)
        .arg(torrent.magnet(&[]))
        .peer(peer.address())
        .run()
        .fails(&[7]);
}

#[test]
fn an_output_inside_a_file_is_a_local_error() {
    let folder = folder();
    let torrent = Torrent::of_pieces(2, 53);
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    std::fs::write(folder.path().join("plain"), b"x").expect("a temporary folder takes a file");
    let out = folder.path().join("plain").join("out");
    Run::new(["download", "-o"]).arg(&out).arg(&file).peer(peer.address()).run().fails(&[7]);
    Run::new(["download_piece", "-o"])
        .arg(&out)
        .arg(&file)
        .arg("0")
        .peer(peer.address())
        .run()
        .fails(&[7]);
}
