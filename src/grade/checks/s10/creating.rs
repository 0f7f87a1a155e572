//! `create`: the torrent that it makes is the one that everybody gets of the same content.

use std::fs::File;
use std::time::{SystemTime, UNIX_EPOCH};

use super::is_noticed;
use super::torrent_file::{Created, show};
use crate::actors::bencode::Value;
use crate::actors::torrent::{Recipe, Torrent};
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure, worst};
use crate::grade::scene::Scene;

/// The piece length of all content up to 32 MiB.
const SHORTEST: usize = 16_384;

/// Files of a folder: their paths, and their bytes.
type Files = Vec<(String, Vec<u8>)>;

pub(super) fn file(scene: &mut Scene) -> Finding {
    let length = scene.dice.length(100_000, 900_000);
    let name = format!("{}.bin", scene.dice.word(8));
    let torrent = Recipe::single(&name, SHORTEST, scene.dice.bytes(length)).build();
    let path = scene.file(&format!("content/{name}"), &torrent.content)?;
    create(scene, &[], &path)?.is(&torrent)
}

pub(super) fn folders(scene: &mut Scene) -> Finding {
    let (deep, below) = (scene.dice.word(4), scene.dice.word(4));
    let names = [0; 4].map(|_| scene.dice.word(6));
    let paths = [
        format!("a{}", names[0]),
        format!("b{deep}/a{}", names[1]),
        format!("b{deep}/b{below}/{}", names[2]),
        format!("c{}", names[3]),
    ];
    is_made_right(scene, &paths, 1)
}

pub(super) fn empty_file(scene: &mut Scene) -> Finding {
    let names = ["a", "b", "c"].map(|first| format!("{first}{}", scene.dice.word(5)));
    let mut files = filled(scene, &names, 1);
    files[1].1.clear();
    made_right(scene, &files)
}

pub(super) fn sorted(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(4);
    let names = ["10", "9", "B", "a", "z", "~", "夜"].map(|first| format!("{first}{word}"));
    is_made_right(scene, &names, 1)
}

pub(super) fn one_in_folder(scene: &mut Scene) -> Finding {
    let name = scene.dice.word(6);
    is_made_right(scene, &[name], 1)
}

pub(super) fn twice(scene: &mut Scene) -> Finding {
    let names = [0; 12].map(|_| scene.dice.word(6));
    let files = filled(scene, &names, 1_000);
    let name = scene.dice.word(7);
    // In another folder, written in another order: folders are listed as they please.
    let first = written(scene, &format!("one/{name}"), files.iter())?;
    let second = written(scene, &format!("two/{name}"), files.iter().rev())?;
    let first = create(scene, &[], &first)?;
    let second = create(scene, &[], &second)?;
    let (one, other) = (first.info(), second.info());
    ensure(one == other, || {
        let name = |info: Option<&Value>| info.and_then(|info| info.get("name")).cloned();
        let cause = if name(one) == name(other) {
            "a folder lists its names in any order: sort them"
        } else {
            "only the last part of the path is the name"
        };
        Miss::new("the same folder, copied elsewhere, has another info hash").likely(cause)
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
    let date = first.value.get("creation date").and_then(Value::int);
    let today = date.filter(|date| (date - now).abs() < 86_400);
    ensure(first.raw == second.raw && today.is_none(), || {
        Miss::new("the same content does not always make the same bytes").likely(match today {
            Some(_) => "leave out `creation date`: it is another one each second",
            None => "leave out what is random, and what depends on the place",
        })
    })
}

pub(super) fn options(scene: &mut Scene) -> Finding {
    let piece_length = *scene.dice.one_of(&[32_768, 65_536, 131_072]);
    let url = format!("http://127.0.0.1:{}/announce", scene.dice.number(40_000, 65_000));
    let length = scene.dice.length(200_000, 900_000);
    let name = format!("{}.bin", scene.dice.word(8));
    let torrent = Recipe::single(&name, piece_length, scene.dice.bytes(length)).build();
    let path = scene.file(&format!("content/{name}"), &torrent.content)?;
    let (text, option) = (piece_length.to_string(), ["--piece-length", "--announce"]);
    let created = create(scene, &[option[0], &text, option[1], &url], &path)?;
    let found = created.info().and_then(|info| info.get("piece length"));
    ensure(found == Some(&Value::Int(piece_length as i64)), || {
        Miss::new("`piece length` is not what --piece-length said")
            .instead(piece_length, found.map_or("no such key".to_owned(), show))
    })?;
    created.is(&torrent)?;
    let found = created.value.get("announce");
    ensure(found == Some(&Value::Bytes(url.clone().into_bytes())), || {
        Miss::new("`announce` is not what --announce said")
            .instead(url, found.map_or("no such key".to_owned(), show))
    })
}

pub(super) fn large(scene: &mut Scene) -> Finding {
    let length = scene.dice.number((32 << 20) + 1, 60 << 20);
    let name = format!("{}.bin", scene.dice.word(8));
    let path = scene.path(&name);
    // A hole: it reads as zeros, and takes no place on the disk.
    File::create(&path)
        .and_then(|file| file.set_len(length))
        .map_err(|error| Miss::new(format!("the grader cannot write its own file: {error}")))?;
    let created = create(scene, &[], &path.to_string_lossy())?;
    let found = created.info().and_then(|info| info.get("piece length"));
    ensure(found == Some(&Value::Int(32_768)), || {
        Miss::new(format!("the pieces of a file of {length} bytes have another length"))
            .instead(32_768, found.map_or("no such key".to_owned(), show))
            .likely(
                "it is the smallest power of two, from 16 KiB, with which there are at most 2,048 \
                 pieces",
            )
    })
}

pub(super) fn circle(scene: &mut Scene) -> Finding {
    let names = ["a", "b", "c"].map(|first| format!("{first}{}", scene.dice.word(5)));
    let files = filled(scene, &names, 20_000);
    let root = format!("content/{}", scene.dice.word(7));
    let path = written(scene, &root, files.iter())?;
    let created = create(scene, &[], &path)?;
    let torrent = created.path.clone();
    scene.run(&["verify", &torrent, &path])?.succeeds().map_err(|miss| {
        miss.likely("that is your own torrent: compare how verify and create go through the files")
    })?;
    let outcome = scene.run(&["info", &torrent])?;
    outcome.succeeds()?;
    let line = format!("Info Hash: {}", created.info_hash());
    ensure(outcome.text().lines().any(|found| found == line), || {
        Miss::new("your info and your create do not agree")
            .instead(line, outcome.text().lines().next().unwrap_or_default())
    })?;
    let mut damaged = files[1].1.clone();
    damaged[0] ^= 1;
    scene.file(&format!("{root}/{}", files[1].0), damaged)?;
    is_noticed(&scene.run(&["verify", &torrent, &path])?)
}

#[cfg(unix)]
pub(super) fn link(scene: &mut Scene) -> Finding {
    let names = ["a", "b", "c"].map(|first| format!("{first}{}", scene.dice.word(5)));
    let files = filled(scene, &names, 20_000);
    let root = format!("content/{}", scene.dice.word(7));
    let path = written(scene, &root, files.iter())?;
    let secret = scene.dice.bytes(500);
    let secret = scene.file("elsewhere/secret", secret)?;
    std::os::unix::fs::symlink(secret, scene.path(format!("{root}/bb")))
        .map_err(|error| Miss::new(format!("the grader cannot make a link: {error}")))?;
    refused(scene, &path).map_err(|miss| {
        miss.likely("a link leads to something else on each machine: it is no content to share")
    })
}

pub(super) fn nothing_there(scene: &mut Scene) -> Finding {
    let name = scene.dice.word(8);
    let path = scene.path(name).to_string_lossy().into_owned();
    refused(scene, &path)
}

pub(super) fn no_bytes(scene: &mut Scene) -> Finding {
    let (file, folder) = (scene.dice.word(6), scene.dice.word(7));
    let (file, folder) = (scene.file(&file, b"")?, scene.path(folder));
    std::fs::create_dir(&folder)
        .map_err(|error| Miss::new(format!("the grader cannot make a folder: {error}")))?;
    let paths = [file, folder.to_string_lossy().into_owned()].into_iter();
    worst(paths.map(|path| refused(scene, &path)))
        .map_err(|miss| miss.likely("without a byte there is no piece, and nothing to share"))
}

/// Runs `create`, and reads what it made.
fn create(scene: &mut Scene, options: &[&str], path: &str) -> Result<Created, Miss> {
    let name = format!("{}.torrent", scene.dice.word(9));
    let out = scene.path(&name).to_string_lossy().into_owned();
    let arguments = [&["create", "-o", &out], options, &[path]].concat();
    let outcome = scene.run(&arguments)?;
    outcome.succeeds()?;
    Created::read(out, scene.output(&name)?, &outcome)
}

/// Insists that `create` refuses this path, and leaves nothing behind.
fn refused(scene: &mut Scene, path: &str) -> Finding {
    let name = format!("{}.torrent", scene.dice.word(9));
    let out = scene.path(&name).to_string_lossy().into_owned();
    let outcome = scene.run(&["create", "-o", &out, path])?;
    outcome.refuses_silently()?;
    ensure(!scene.path(&name).exists(), || {
        Miss::new("it refused, but left a torrent behind")
            .half()
            .likely("write the file at the very end, or delete it")
    })
}

/// Returns files with these paths and random bytes, each of at least this length.
fn filled(scene: &mut Scene, paths: &[String], least: usize) -> Files {
    let mut files = Files::new();
    for path in paths {
        let length = scene.dice.length(least, least + 60_000);
        files.push((path.clone(), scene.dice.bytes(length)));
    }
    files
}

/// Writes files into a folder; returns its path.
fn written<'f>(
    scene: &Scene,
    root: &str,
    files: impl Iterator<Item = &'f (String, Vec<u8>)>,
) -> Result<String, Miss> {
    for (path, bytes) in files {
        scene.file(&format!("{root}/{path}"), bytes)?;
    }
    Ok(scene.path(root).to_string_lossy().into_owned())
}

/// Fills files in this order, and insists on the right torrent of their folder.
fn is_made_right(scene: &mut Scene, paths: &[String], least: usize) -> Finding {
    let files = filled(scene, paths, least);
    made_right(scene, &files)
}

/// Insists on the right torrent of a folder with these files, in this order.
fn made_right(scene: &mut Scene, files: &Files) -> Finding {
    let name = scene.dice.word(7);
    let path = written(scene, &format!("content/{name}"), files.iter().rev())?;
    create(scene, &[], &path)?.is(&torrent_of(&name, files))
}

fn torrent_of(name: &str, files: &Files) -> Torrent {
    let files: Vec<(&str, Vec<u8>)> =
        files.iter().map(|(path, bytes)| (&**path, bytes.clone())).collect();
    Recipe::files(name, SHORTEST, &files).build()
}
