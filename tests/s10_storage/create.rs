//! From files to a .torrent.

use super::super::files_in;
use super::super::support::bencode::{Value, decode};
use super::super::support::in_time;
use super::super::support::torrent::sha1;
use super::super::support::{content, folder};
use piecemeal::s02_metainfo::{Info, Metainfo};
use piecemeal::s10_storage::create::{Content, CreateError, Created, Draft, piece_length_for};
use piecemeal::s10_storage::{Storage, StorageError, verify};
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn pieces_of(length: u64) -> Draft {
    Draft { piece_length: Some(length), ..Draft::default() }
}

fn try_create(path: &Path, draft: &Draft) -> Result<Created, CreateError> {
    Content::find(path, None)?.torrent(draft, &AtomicBool::new(false), &|_| {})
}

fn create(path: &Path, draft: &Draft) -> Vec<u8> {
    try_create(path, draft).unwrap_or_else(|error| panic!("{}: {error}", path.display())).bytes
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let place = root.join(path);
    fs::create_dir_all(place.parent().expect("it lies in the root"))
        .expect("the folder takes a folder");
    fs::write(place, bytes).expect("the folder takes a file");
}

/// The whole torrent, by the tests' own decoder.
fn decoded(bytes: &[u8]) -> Value {
    let (value, length) = decode(bytes).expect("it is bencode");
    assert_eq!(length, bytes.len(), "nothing follows");
    value
}

fn bytes_at<'v>(value: &'v Value, keys: &[&str]) -> &'v [u8] {
    let found =
        keys.iter().fold(value, |value, key| value.get(key).unwrap_or_else(|| panic!("no {key}")));
    let Value::Bytes(bytes) = found else { panic!("{keys:?} is {found:?}") };
    bytes
}

/// The hashes in it, and those that its pieces should have.
#[track_caller]
fn assert_hashes(bytes: &[u8], content: &[u8], piece_length: usize) {
    let expected: Vec<u8> = content.chunks(piece_length).flat_map(sha1).collect();
    assert!(
        bytes_at(&decoded(bytes), &["info", "pieces"]) == expected,
        "the hashes of {} bytes",
        content.len()
    );
}

/// The paths in it, in order.
fn paths(bytes: &[u8]) -> Vec<String> {
    let value = decoded(bytes);
    let Some(Value::List(files)) = value.get("info").and_then(|info| info.get("files")) else {
        panic!("no files")
    };
    let path = |file: &Value| {
        let Some(Value::List(parts)) = file.get("path") else { panic!("no path") };
        let parts = parts.iter().map(|part| match part {
            Value::Bytes(part) => String::from_utf8(part.clone()).expect("we make no other names"),
            other => panic!("{other:?}"),
        });
        parts.collect::<Vec<_>>().join("/")
    };
    files.iter().map(path).collect()
}

#[test]
fn a_tiny_file_gives_exactly_these_bytes() {
    let folder = folder();
    write(folder.path(), "abc.txt", b"abc");
    // FIPS 180-1: the SHA-1 of "abc".
    let hash = b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
    let head = b"d4:infod6:lengthi3e4:name7:abc.txt12:piece lengthi16384e6:pieces20:";
    let expected = [&head[..], hash, b"ee"].concat();
    assert_eq!(create(&folder.path().join("abc.txt"), &Draft::default()), expected);
}

#[test]
fn a_folder_gives_exactly_these_bytes() {
    let folder = folder();
    write(folder.path(), "top/b", b"bc");
    write(folder.path(), "top/a/x", b"a");
    write(folder.path(), "top/none", b"");
    let hash = b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
    let head = b"d4:infod5:filesl\
        d6:lengthi1e4:pathl1:a1:xee\
        d6:lengthi2e4:pathl1:bee\
        d6:lengthi0e4:pathl4:noneee\
        e4:name3:top12:piece lengthi5e6:pieces20:";
    let expected = [&head[..], hash, b"ee"].concat();
    assert_eq!(create(&folder.path().join("top"), &pieces_of(5)), expected);
}

#[test]
fn every_option_is_a_key_in_its_place() {
    let folder = folder();
    write(folder.path(), "abc.txt", b"abc");
    let draft = Draft {
        piece_length: Some(4),
        tiers: vec![
            vec!["http://a/1".to_owned(), "udp://b:2".to_owned()],
            vec!["http://c".to_owned()],
        ],
        private: true,
        web_seeds: vec!["http://w/abc.txt".to_owned()],
        nodes: vec![("n".to_owned(), 6881), ("::1".to_owned(), 1)],
        comment: Some("grüße".to_owned()),
        source: Some("HERE".to_owned()),
        created_by: Some("us".to_owned()),
        creation_date: Some(1_234_567_890),
    };
    let hash = b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
    let head = "d8:announce10:http://a/113:announce-listll10:http://a/19:udp://b:2el8:http://cee\
        7:comment7:grüße10:created by2:us13:creation datei1234567890e\
        4:infod6:lengthi3e4:name7:abc.txt12:piece lengthi4e6:pieces20:";
    let tail = b"7:privatei1e6:source4:HEREe5:nodesll1:ni6881eel3:::1i1eee8:url-listl16:http://w/abc.txtee";
    let expected = [head.as_bytes(), hash, tail].concat();
    assert_eq!(create(&folder.path().join("abc.txt"), &draft), expected);
}

#[test]
fn one_tracker_needs_no_list_and_two_do() {
    let folder = folder();
    write(folder.path(), "a", b"abc");
    let with = |tiers: &[&[&str]]| {
        let tiers =
            tiers.iter().map(|tier| tier.iter().map(|url| (*url).to_owned()).collect()).collect();
        decoded(&create(&folder.path().join("a"), &Draft { tiers, ..Draft::default() }))
    };
    assert_eq!(with(&[]).get("announce"), None);
    let one = with(&[&["http://t"]]);
    assert_eq!((bytes_at(&one, &["announce"]), one.get("announce-list")), (&b"http://t"[..], None));
    let url = |url: &str| Value::Bytes(url.as_bytes().to_vec());
    let tiers = |value: &Value| value.get("announce-list").cloned();
    let apart = with(&[&["http://t"], &["http://u"]]);
    let expected =
        Value::List(vec![Value::List(vec![url("http://t")]), Value::List(vec![url("http://u")])]);
    assert_eq!(tiers(&apart), Some(expected));
    let together = with(&[&["http://t", "http://u"]]);
    assert_eq!(
        tiers(&together),
        Some(Value::List(vec![Value::List(vec![url("http://t"), url("http://u")])]))
    );
}

#[test]
fn the_name_is_the_paths_last_part_or_another() {
    let folder = folder();
    write(folder.path(), "top/in/abc", b"abc");
    let name = |path: &str, name| {
        Content::find(&folder.path().join(path), name).expect("it has a file").name
    };
    assert_eq!(name("top", None), "top");
    assert_eq!(name("top/", None), "top");
    assert_eq!(name("top/in/..", None), "top");
    assert_eq!(name("top/in/abc", None), "abc");
    assert_eq!(name("top", Some("other")), "other");
    for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", &"n".repeat(256)] {
        let error = Content::find(&folder.path().join("top"), Some(bad)).expect_err(bad);
        assert!(
            matches!(error, CreateError::Refused(_) | CreateError::Misread { .. }),
            "{bad:?}: {error}"
        );
    }
}

#[test]
fn hashes_are_right_for_every_length_around_a_piece() {
    let folder = folder();
    for piece_length in [1, 7, 40, 64] {
        for length in [1, 39, 40, 41, 63, 64, 65, 127, 128, 129, 280, 281] {
            let content = content(length, 5);
            write(folder.path(), "file", &content);
            assert_hashes(
                &create(&folder.path().join("file"), &pieces_of(piece_length)),
                &content,
                piece_length as usize,
            );
        }
    }
}

#[test]
fn pieces_longer_than_the_read_buffer_and_not_a_power_of_two_are_hashed_whole() {
    let folder = folder();
    // Several pieces of several reads each; the last one has one byte.
    let content = content(7 * 700_001 + 1, 6);
    write(folder.path(), "file", &content);
    assert_hashes(&create(&folder.path().join("file"), &pieces_of(700_001)), &content, 700_001);
}

#[test]
fn a_piece_runs_over_the_ends_of_files() {
    let folder = folder();
    let all = content(1000, 7);
    // Many files in one piece, empty ones between, one over several pieces.
    let lengths = [3, 0, 1, 60, 0, 500, 7, 1, 1, 427];
    let mut at = 0;
    for (number, length) in lengths.into_iter().enumerate() {
        write(folder.path(), &format!("top/{number}"), &all[at..at + length]);
        at += length;
    }
    assert_eq!(at, 1000);
    assert_hashes(&create(&folder.path().join("top"), &pieces_of(64)), &all, 64);
}

#[test]
fn files_are_in_the_order_of_their_names_bytes_folder_by_folder() {
    let names =
        ["a/z", "a/b/c", "a.txt", "a b", "B", "ä", "10", "9", ".hidden", ".dir/.x", "a-b/x", "zz"];
    // As bytes "a/z" is greater than "a.txt" and "a-b/x"; part by part it is less.
    let expected =
        [".dir/.x", ".hidden", "10", "9", "B", "a/b/c", "a/z", "a b", "a-b/x", "a.txt", "zz", "ä"];
    let mut seen = Vec::new();
    for turn in 0..names.len() {
        let folder = folder();
        // A folder lists its entries in an order that depends on how it was filled.
        let mut order = names;
        order.rotate_left(turn);
        order.iter().for_each(|name| write(folder.path(), &format!("top/{name}"), name.as_bytes()));
        let bytes = create(&folder.path().join("top"), &Draft::default());
        assert_eq!(paths(&bytes), expected);
        seen.push(bytes);
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "the same content is the same torrent");
}

#[test]
fn the_same_files_give_the_same_bytes_whatever_their_dates() {
    let folder = folder();
    write(folder.path(), "one/t/a", b"abc");
    let first = create(&folder.path().join("one/t"), &Draft::default());
    write(folder.path(), "two/t/a", b"abc");
    let file =
        fs::File::options().append(true).open(folder.path().join("two/t/a")).expect("it is there");
    file.set_modified(std::time::UNIX_EPOCH).expect("it is ours");
    drop(file);
    assert_eq!(create(&folder.path().join("two/t"), &Draft::default()), first);
    assert_eq!(create(&folder.path().join("one/t"), &Draft::default()), first);
}

#[test]
fn empty_files_stay_and_empty_folders_go() {
    let folder = folder();
    write(folder.path(), "top/empty", b"");
    write(folder.path(), "top/file", b"x");
    fs::create_dir_all(folder.path().join("top/nothing/in/here"))
        .expect("the folder takes folders");
    assert_eq!(paths(&create(&folder.path().join("top"), &Draft::default())), ["empty", "file"]);
}

#[test]
fn a_folder_of_one_file_stays_a_folder() {
    let folder = folder();
    write(folder.path(), "top/file", b"x");
    assert_eq!(paths(&create(&folder.path().join("top"), &Draft::default())), ["file"]);
}

#[test]
fn content_without_a_byte_is_an_error() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("top/in/here")).expect("the folder takes folders");
    let refused = |name: &str| {
        let error = try_create(&folder.path().join(name), &Draft::default())
            .expect_err("nobody could load it");
        assert!(matches!(&error, CreateError::Empty { path } if path.ends_with(name)), "{error}");
    };
    refused("top");
    write(folder.path(), "top/in/empty", b"");
    write(folder.path(), "top/too", b"");
    refused("top");
    refused("top/too");
    let error = try_create(&folder.path().join("nowhere"), &Draft::default())
        .expect_err("there is nothing");
    assert!(
        matches!(&error, CreateError::Storage(StorageError::Io { path, .. }) if path.ends_with("nowhere")),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn links_pipes_and_devices_are_errors_that_name_them() {
    let folder = folder();
    write(folder.path(), "secret", b"not content");
    write(folder.path(), "top/file", b"x");
    let link = folder.path().join("top/sub-link");
    for target in ["../secret", "..", "nowhere"] {
        std::os::unix::fs::symlink(target, &link).expect("the folder takes a link");
        let error = try_create(&folder.path().join("top"), &Draft::default())
            .expect_err("a link is in there");
        assert!(
            matches!(&error, CreateError::Storage(StorageError::Link { path }) if path.ends_with("top/sub-link")),
            "{error}"
        );
        fs::remove_file(&link).expect("it is ours");
    }
    // A link that the user names is what the user means.
    std::os::unix::fs::symlink("top", folder.path().join("called"))
        .expect("the folder takes a link");
    assert_eq!(
        Content::find(&folder.path().join("called"), None).expect("it leads to a folder").name,
        "called"
    );
    let pipe = folder.path().join("top/pipe");
    let made =
        std::process::Command::new("mkfifo").arg(&pipe).status().expect("this system has mkfifo");
    assert!(made.success());
    for path in [pipe, folder.path().join("top"), "/dev/null".into()] {
        let error =
            in_time(move || try_create(&path, &Draft::default())).expect_err("it is no file");
        assert!(matches!(&error, CreateError::Storage(StorageError::NotAFile { .. })), "{error}");
    }
}

#[test]
fn a_tracker_that_readers_pass_over_is_an_error_before_anything_is_hashed() {
    let folder = folder();
    write(folder.path(), "file", &content(100_000, 4));
    let found = Content::find(&folder.path().join("file"), None).expect("it is a file");
    let url = format!("http://127.0.0.1/{}", "a".repeat(2_048));
    let many = vec![vec!["http://127.0.0.1/announce".to_owned()]; 101];
    let web_seeds = vec!["http://127.0.0.1/".to_owned(); 101];
    for (tiers, web_seeds) in [
        (vec![vec![url.clone()]], Vec::new()),
        (many, Vec::new()),
        (Vec::new(), vec![url]),
        (Vec::new(), web_seeds),
    ] {
        let draft = Draft { tiers, web_seeds, ..pieces_of(16_384) };
        let hashed = AtomicU64::new(0);
        let error = found
            .torrent(&draft, &AtomicBool::new(false), &|bytes| {
                hashed.store(bytes, Ordering::Relaxed)
            })
            .expect_err("our own reader passes it over");
        assert!(matches!(error, CreateError::Misread { .. }), "{error}");
        assert_eq!(hashed.load(Ordering::Relaxed), 0, "it was hashed first");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_a_torrent_cannot_hold_are_errors() {
    use std::os::unix::ffi::OsStrExt;
    for (name, shown) in [
        (&b"not \xff utf-8"[..], "not "),
        (b"a\nb", "a\\nb"),
        (b"a\\b", "a\\b"),
        (b"\x1b[2J", "[2J"),
    ] {
        for path in ["top", "top/sub"] {
            let folder = folder();
            write(folder.path(), &format!("{path}/file"), b"x");
            let bad = folder.path().join(path).join(std::ffi::OsStr::from_bytes(name));
            fs::write(&bad, b"x").expect("the file system takes any bytes");
            let error = try_create(&folder.path().join("top"), &Draft::default())
                .expect_err("the name is bad");
            assert!(
                matches!(error, CreateError::NotText { .. } | CreateError::Misread { .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(text.contains(shown) && !text.contains(char::is_control), "{text:?}");
            // A folder with such a name needs another name.
            fs::remove_file(&bad).expect("it is ours");
            fs::create_dir(&bad).expect("the file system takes any bytes");
            fs::write(bad.join("file"), b"x").expect("the folder takes a file");
            assert!(try_create(&bad, &Draft::default()).is_err());
            let named = Content::find(&bad, Some("fine")).expect("only the name was bad");
            assert_eq!(named.name, "fine");
        }
    }
}

/// Calls `act` when the first piece has been hashed.
fn meanwhile(path: &Path, act: impl Fn() + Sync) -> Result<Created, CreateError> {
    let content = Content::find(path, None).expect("it can be found");
    let first = Mutex::new(true);
    content.torrent(&pieces_of(16), &AtomicBool::new(false), &|_| {
        let mut first = first.lock().expect("no thread panics");
        if std::mem::take(&mut *first) {
            act();
        }
    })
}

#[test]
fn a_file_that_changes_while_it_is_hashed_is_an_error_that_names_it() {
    let folder = folder();
    let top = folder.path().join("top");
    let changing = top.join("changing");
    let fresh = || {
        write(&top, "changing", &content(64_000, 8));
        write(&top, "other", b"x");
    };
    let append = || {
        let mut file = fs::File::options().append(true).open(&changing).expect("it is there");
        std::io::Write::write_all(&mut file, b"more").expect("the folder takes it");
    };
    let cut = || {
        fs::File::options()
            .write(true)
            .open(&changing)
            .and_then(|file| file.set_len(30))
            .expect("it is there")
    };
    let same_length = || {
        fs::write(&changing, content(64_000, 9)).expect("it is there");
        let file = fs::File::options().append(true).open(&changing).expect("it is there");
        file.set_modified(std::time::UNIX_EPOCH).expect("it is ours");
    };
    let remove = || fs::remove_file(&changing).expect("it is there");
    let acts: [&(dyn Fn() + Sync); 4] = [&append, &cut, &same_length, &remove];
    for (number, act) in acts.into_iter().enumerate() {
        fresh();
        let error = meanwhile(&top, act).expect_err("it was changed");
        assert!(
            matches!(&error, CreateError::Changed { path } if path.ends_with("top/changing")),
            "{number}: {error}"
        );
    }
    fresh();
    meanwhile(&top, || {}).expect("nobody changed it");
}

#[test]
fn a_stop_is_an_error_and_no_torrent() {
    let folder = folder();
    write(folder.path(), "file", &content(10_000, 8));
    let stop = AtomicBool::new(false);
    let content = Content::find(&folder.path().join("file"), None).expect("it is there");
    let stopped = content.torrent(&pieces_of(1), &stop, &|_| stop.store(true, Ordering::SeqCst));
    assert!(matches!(stopped, Err(CreateError::Storage(StorageError::Stopped))));
}

#[test]
fn progress_goes_up_to_the_length() {
    let folder = folder();
    write(folder.path(), "file", &content(1000, 8));
    let (calls, most) = (AtomicU64::new(0), AtomicU64::new(0));
    let hashed = |bytes| {
        calls.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(bytes, Ordering::SeqCst);
    };
    let content = Content::find(&folder.path().join("file"), None).expect("it is there");
    content.torrent(&pieces_of(16), &AtomicBool::new(false), &hashed).expect("it can be hashed");
    assert_eq!((calls.into_inner(), most.into_inner()), (63, 1000));
}

#[test]
fn the_chosen_piece_length_is_a_power_of_two_that_makes_about_a_thousand_pieces() {
    let (kib, mib, gib) = (1 << 10, 1 << 20, 1 << 30);
    let table: [(u64, u64); 10] = [
        (0, 16 * kib),
        (1, 16 * kib),
        (32 * mib, 16 * kib),
        (32 * mib + 1, 32 * kib),
        (700 * mib, 512 * kib),
        (gib, 512 * kib),
        (gib + 1, mib),
        (32 * gib, 16 * mib),
        (33 * gib, 16 * mib),
        (u64::MAX, 16 * mib),
    ];
    for (length, expected) in table {
        assert_eq!(piece_length_for(length), expected, "{length} bytes");
    }
    for power in 25..=35 {
        for length in [(1u64 << power) + 1, 3 << (power - 1), (1 << (power + 1)) - 1] {
            let pieces = length.div_ceil(piece_length_for(length));
            assert!(
                length > 32 * gib || (1024..=2048).contains(&pieces),
                "{length} bytes are {pieces} pieces"
            );
        }
    }
}

/// A file with nothing in it but its length.
#[cfg(target_os = "linux")]
fn sparse(path: &Path, length: u64) {
    fs::File::create(path)
        .and_then(|file| file.set_len(length))
        .expect("the file system knows holes");
}

#[cfg(target_os = "linux")]
#[test]
fn too_many_pieces_are_an_error_that_says_which_length_would_do() {
    let folder = folder();
    let path = folder.path().join("large");
    sparse(&path, (1 << 21) + 1);
    let error = try_create(&path, &pieces_of(1)).expect_err("one piece too many");
    assert!(
        matches!(error, CreateError::PieceLength { length: 1, pieces: 2_097_153, enough: 2 }),
        "{error}"
    );
    sparse(&path, 1 << 40);
    let error = in_time(move || try_create(&path, &pieces_of(16_384))).expect_err("far too many");
    assert!(matches!(error, CreateError::PieceLength { enough: 524_288, .. }), "{error}");
    write(folder.path(), "small", b"abc");
    for length in [0, (512 << 20) + 1, u64::MAX] {
        let error = try_create(&folder.path().join("small"), &pieces_of(length))
            .expect_err("no such pieces");
        assert!(matches!(error, CreateError::PieceLength { .. }), "{length}: {error}");
    }
    for length in [1, 2, 512 << 20] {
        assert_hashes(
            &create(&folder.path().join("small"), &pieces_of(length)),
            b"abc",
            length as usize,
        );
    }
}

/// The most memory this process has ever had, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[cfg(target_os = "linux")]
#[test]
fn a_piece_is_not_held_in_memory_to_be_hashed() {
    let folder = folder();
    let path = folder.path().join("sparse");
    sparse(&path, 2 * (128 << 20));
    let before = peak();
    create(&path, &pieces_of(128 << 20));
    assert!(peak() - before < 64, "{} MiB for pieces of 128 MiB", peak() - before);
}

#[test]
fn what_was_created_verifies_and_a_changed_byte_does_not() {
    let folder = folder();
    let top = folder.path().join("top");
    write(&top, "a", &content(100, 1));
    write(&top, "b/c", &content(33, 2));
    let made = try_create(&top, &pieces_of(40)).expect("it can be hashed");
    let info = &made.metainfo.info;
    assert_eq!(info.info_hash.0, sha1(&info.raw));
    assert_eq!(Metainfo::from_bytes(&made.bytes).expect("it can be read"), made.metainfo);
    let right = |info: &Info| {
        verify(info, &Storage::new(info, &top, false), &AtomicBool::new(false), &|_| {})
            .expect("it can be read")
            .count()
    };
    assert_eq!((info.piece_count(), right(info)), (4, 4));
    fs::write(top.join("b/c"), content(33, 3)).expect("it is ours");
    assert_eq!(right(info), 2);
}

#[test]
fn a_torrent_is_written_whole_and_over_nothing_unless_forced() {
    let folder = folder();
    write(folder.path(), "file", b"abc");
    let content = Content::find(&folder.path().join("file"), None).expect("it is there");
    let made = content
        .torrent(&Draft::default(), &AtomicBool::new(false), &|_| {})
        .expect("it can be hashed");
    let output = folder.path().join("out.torrent");
    content.allows(&output, false).expect("there is nothing");
    made.write(&output, false).expect("the folder takes it");
    assert_eq!(fs::read(&output).expect("it is there"), made.bytes);
    fs::write(&output, b"mine").expect("it is ours");
    let error = content.allows(&output, false).expect_err("it is there");
    assert!(
        matches!(&error, CreateError::Storage(StorageError::Exists { path, .. }) if path.ends_with("out.torrent")),
        "{error}"
    );
    made.write(&output, false).expect_err("somebody was quicker");
    assert_eq!(fs::read(&output).expect("it is there"), b"mine");
    content.allows(&output, true).expect("it is wanted");
    made.write(&output, true).expect("it is wanted");
    assert_eq!(fs::read(&output).expect("it is there"), made.bytes);
    made.write(&folder.path().join("no/folder.torrent"), false)
        .expect_err("there is no such folder");
    assert_eq!(files_in(folder.path()), ["file", "out.torrent"], "and nothing half done");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| {
            fs::metadata(folder.path().join(name)).expect("it is there").permissions().mode()
        };
        assert_eq!(mode("out.torrent"), mode("file"), "a torrent is a file like any other");
    }
}

#[test]
fn a_torrent_is_never_written_into_its_content_or_over_it() {
    let folder = folder();
    write(folder.path(), "top/in/file", b"abc");
    let content = Content::find(&folder.path().join("top"), None).expect("it is there");
    for output in ["top/x.torrent", "top/in/x.torrent", "top/in/../x.torrent", "top/in/file"] {
        for force in [false, true] {
            let error = content.allows(&folder.path().join(output), force).expect_err(output);
            assert!(matches!(error, CreateError::Inside { .. }), "{output}: {error}");
        }
    }
    content.allows(&folder.path().join("top.torrent"), false).expect("beside it is fine");
    content.allows(&folder.path().join("top/../top-2"), false).expect("beside it is fine");
    content.allows(&folder.path().join("nowhere/x"), true).expect_err("there is no such folder");
    let one = Content::find(&folder.path().join("top/in/file"), None).expect("it is there");
    for output in ["top/in/file", "top/in/../in/file"] {
        let error = one.allows(&folder.path().join(output), true).expect_err(output);
        assert!(matches!(error, CreateError::Inside { .. }), "{output}: {error}");
    }
    one.allows(&folder.path().join("top/in/file.torrent"), false).expect("beside it is fine");
}
