//! Stage 10: `verify TORRENT PATH` hashes content on disk; `create -o OUT PATH` describes it.

mod creating;
mod torrent_file;

use crate::actors::torrent::{Recipe, Torrent};
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure, worst};
use crate::grade::outcome::{End, Outcome};
use crate::grade::scene::Scene;

const PIECES: &str = "BEP 3, pieces";
const FILES: &str = "BEP 3, files";
const METAINFO: &str = "BEP 3, metainfo files";
const CONTRACT: &str = "your-own-client";

/// The checks of stage 10.
pub const CHECKS: &[Check] = &[
    Check::new("10.1", "verify: the right content, and a copy with a byte wrong", PIECES, one_byte)
        .points(2),
    Check::new("10.2", "verify names the first piece that is wrong", CONTRACT, which_piece)
        .refusal("10.1"),
    Check::new("10.3", "verify: files that share a piece, right and wrong", FILES, shared_pieces)
        .points(2),
    Check::new("10.4", "verify: a file that is missing is an error", FILES, missing_file)
        .refusal("10.3"),
    Check::new("10.5", "verify: the very last byte counts", PIECES, last_byte).refusal("10.1"),
    Check::new("10.6", "verify: a file that is too long is an error", CONTRACT, too_long)
        .refusal("10.1"),
    Check::new("10.7", "verify: a file that is too short is an error", PIECES, too_short)
        .refusal("10.1"),
    Check::new("10.8", "verify: a file of no bytes, there and missing", CONTRACT, empty_file),
    Check::new("10.9", "verify: a path where nothing is", CONTRACT, nothing_there).refusal("10.1"),
    Check::new("10.10", "verify: a path with .. in it is refused", METAINFO, step_up)
        .refusal("10.3"),
    Check::new("10.11", "create: a file, with the right info hash", METAINFO, creating::file)
        .points(2),
    Check::new("10.12", "create: files in folders", FILES, creating::folders).points(2),
    Check::new("10.13", "create: a file of no bytes is listed", CONTRACT, creating::empty_file),
    Check::new("10.14", "create: names are sorted by their bytes", CONTRACT, creating::sorted),
    Check::new("10.15", "create: the same content makes the same bytes", CONTRACT, creating::twice),
    Check::new("10.16", "create: --piece-length and --announce", CONTRACT, creating::options),
    Check::new("10.17", "create: pieces get longer as the file does", CONTRACT, creating::large),
    Check::new("10.18", "what create makes, verify and info can read", METAINFO, creating::circle),
    #[cfg(unix)]
    Check::new("10.19", "create: a symbolic link is refused", CONTRACT, creating::link)
        .refusal("10.12"),
    Check::new("10.20", "create: a path where nothing is", CONTRACT, creating::nothing_there)
        .refusal("10.11"),
    Check::new("10.21", "create: content without a byte is refused", CONTRACT, creating::no_bytes)
        .refusal("10.11"),
    Check::new(
        "10.22",
        "create: a folder with one file is a folder",
        FILES,
        creating::one_in_folder,
    ),
];

const LENGTHS: &str =
    "hashes cover the bytes that a torrent has: compare the lengths of the files, too";
const OUTSIDE: &str = "this path leads out of the folder: refuse the torrent, whatever is there";

/// Content on disk, and a torrent of it.
struct Shelf {
    torrent: Torrent,
    /// Each file: its path below the folder of the check, and its bytes.
    files: Vec<(String, Vec<u8>)>,
    /// The arguments of `verify`.
    arguments: [String; 2],
}

impl Shelf {
    /// Writes a torrent's content, and the torrent.
    fn of(scene: &mut Scene, torrent: Torrent, root: &str, files: &[(String, Vec<u8>)]) -> Made {
        let port = scene.dice.number(40_000, 65_000);
        let file = scene.torrent_file(&torrent, &format!("http://127.0.0.1:{port}/announce"))?;
        for (path, bytes) in files {
            scene.file(path, bytes)?;
        }
        let root = scene.path(root).to_string_lossy().into_owned();
        Ok(Shelf { torrent, files: files.to_vec(), arguments: [file, root] })
    }

    /// Makes one file of this many pieces, the last one short.
    fn single(scene: &mut Scene, pieces: usize) -> Made {
        let torrent = scene.torrent(pieces);
        let name = format!("content/{}", scene.dice.word(7));
        let content = torrent.content.clone();
        Shelf::of(scene, torrent, &name, &[(name.clone(), content)])
    }

    /// Makes a folder with a file of each of these lengths, one of them in a folder of its own.
    fn folder(scene: &mut Scene, piece_length: usize, lengths: &[usize]) -> Made {
        let name = scene.dice.word(7);
        let mut files = Vec::new();
        for (index, length) in lengths.iter().enumerate() {
            let folder = if index == 1 { scene.dice.word(4) + "/" } else { String::new() };
            files.push((folder + &scene.dice.word(6), scene.dice.bytes(*length)));
        }
        let recipe: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(path, bytes)| (&**path, bytes.clone())).collect();
        let torrent = Recipe::files(&name, piece_length, &recipe).build();
        // The folder on disk has another name: PATH is the folder itself.
        let root = format!("content-{}", scene.dice.word(5));
        for (path, _) in &mut files {
            *path = format!("{root}/{path}");
        }
        Shelf::of(scene, torrent, &root, &files)
    }

    fn verify(&self, scene: &Scene) -> Result<Outcome, Miss> {
        let [torrent, path] = &self.arguments;
        scene.run(&["verify", torrent, path])
    }

    /// Insists that all is right, and that it still is after that.
    fn is_right(&self, scene: &Scene) -> Finding {
        let outcome = self.verify(scene)?;
        for (path, bytes) in &self.files {
            ensure(scene.output(path)? == *bytes, || {
                Miss::new("verify changed a file that it was to check")
                    .likely("open files for reading only")
            })?;
        }
        outcome.succeeds().map(drop)
    }

    /// Puts other bytes into a file, and insists that this makes a difference. How it is said is
    /// for other checks.
    fn differs_with(&self, scene: &Scene, file: usize, bytes: &[u8]) -> Finding {
        scene.file(&self.files[file].0, bytes)?;
        is_noticed(&self.verify(scene)?)
    }

    /// Puts other bytes into a file, and insists that this is an error.
    fn is_wrong_with(&self, scene: &Scene, file: usize, bytes: &[u8]) -> Finding {
        scene.file(&self.files[file].0, bytes)?;
        self.verify(scene)?.refuses()
    }

    /// Returns the bytes of a file, with one of them changed.
    fn changed(&self, scene: &mut Scene, file: usize, place: usize) -> Vec<u8> {
        let mut bytes = self.files[file].1.clone();
        bytes[place] ^= scene.dice.number(1, 255) as u8;
        bytes
    }
}

/// A shelf, unless the disk did not take it.
type Made = Result<Shelf, Miss>;

fn one_byte(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(5, 9);
    let shelf = Shelf::single(scene, pieces)?;
    shelf.is_right(scene).map_err(|miss| {
        miss.likely("this content is right: PATH is the file itself, and the last piece is short")
    })?;
    // Neither in the first piece nor in the last.
    let piece_length = shelf.torrent.piece_length;
    let place = scene.dice.length(piece_length, (pieces - 1) * piece_length - 1);
    let damaged = shelf.changed(scene, 0, place);
    shelf.differs_with(scene, 0, &damaged).map_err(|miss| {
        miss.likely("hash each piece, and compare that with its 20 bytes of `pieces`")
    })
}

fn which_piece(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.length(30, 40);
    let torrent = scene.torrent_of(16_384, pieces * 16_384);
    let name = format!("content/{}", scene.dice.word(7));
    let content = torrent.content.clone();
    let shelf = Shelf::of(scene, torrent, &name, &[(name.clone(), content)])?;
    let (first, second) = (scene.dice.length(8, 16), scene.dice.length(20, pieces - 4));
    let mut damaged = shelf.changed(scene, 0, 16_384 * first + 1);
    damaged[16_384 * second] ^= 1;
    scene.file(&shelf.files[0].0, &damaged)?;
    let outcome = shelf.verify(scene)?;
    outcome.refuses()?;
    let names = |text: &[u8], number: usize| {
        let text = String::from_utf8_lossy(text);
        text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == number.to_string())
    };
    ensure(names(&outcome.stderr, first), || {
        let miss = Miss::new("stderr does not name the first piece that is wrong")
            .instead(format!("the number {first}"), outcome.last_words().unwrap_or_default());
        if names(&outcome.stderr, first + 1) {
            miss.likely("pieces are counted from 0")
        } else if names(&outcome.stdout, first) {
            miss.half().likely("it is on stdout: errors belong on stderr")
        } else if names(&outcome.stderr, second) {
            miss.likely("that is the last one that is wrong, not the first")
        } else {
            miss
        }
    })
}

fn shared_pieces(scene: &mut Scene) -> Finding {
    let lengths = [0; 4].map(|_| scene.dice.length(20_000, 90_000));
    let shelf = Shelf::folder(scene, 32_768, &lengths)?;
    shelf.is_right(scene).map_err(|miss| {
        miss.perhaps(
            "files lie end to end, and a piece may have the end of one and the start of the next; \
             PATH is the folder that has them, whatever its name is",
        )
    })?;
    let file = scene.dice.length(0, 3);
    // The first or the last byte: the neighbor's piece, mostly.
    let place = if file > 0 { 0 } else { lengths[0] - 1 };
    let damaged = shelf.changed(scene, file, place);
    shelf.differs_with(scene, file, &damaged).map_err(|miss| {
        miss.likely("hash each piece, and compare that with its 20 bytes of `pieces`")
    })
}

fn missing_file(scene: &mut Scene) -> Finding {
    let lengths = [0; 4].map(|_| scene.dice.length(20_000, 90_000));
    let shelf = Shelf::folder(scene, 32_768, &lengths)?;
    let gone = scene.dice.length(0, 3);
    remove(scene, &shelf.files[gone].0)?;
    shelf.verify(scene)?.refuses()
}

fn last_byte(scene: &mut Scene) -> Finding {
    let shelf = Shelf::single(scene, 3)?;
    let damaged = shelf.changed(scene, 0, shelf.torrent.content.len() - 1);
    shelf
        .is_wrong_with(scene, 0, &damaged)
        .map_err(|miss| miss.likely("the last piece is short, and is hashed like all others"))
}

fn too_long(scene: &mut Scene) -> Finding {
    let shelf = Shelf::single(scene, 3)?;
    let whole = shelf.torrent.content.clone();
    let more = [vec![0], scene.dice.bytes(40_000)].into_iter();
    worst(more.map(|more| shelf.is_wrong_with(scene, 0, &[&whole[..], &more].concat())))
        .map_err(|miss| miss.likely(LENGTHS))
}

fn too_short(scene: &mut Scene) -> Finding {
    let shelf = Shelf::single(scene, 3)?;
    let whole = &shelf.torrent.content;
    let ends = [whole.len() - 1, 2 * shelf.torrent.piece_length, 0].into_iter();
    worst(ends.map(|end| shelf.is_wrong_with(scene, 0, &whole[..end]))).map_err(|miss| {
        miss.likely(
            "every hash of the torrent needs its bytes: go by its pieces, not by the file's",
        )
    })
}

fn empty_file(scene: &mut Scene) -> Finding {
    let lengths = [scene.dice.length(20_000, 90_000), 0, scene.dice.length(20_000, 90_000)];
    let shelf = Shelf::folder(scene, 32_768, &lengths)?;
    shelf.is_right(scene)?;
    remove(scene, &shelf.files[1].0)?;
    is_noticed(&shelf.verify(scene)?).map_err(|miss| miss.likely(LENGTHS))
}

fn nothing_there(scene: &mut Scene) -> Finding {
    let shelf = Shelf::single(scene, 3)?;
    remove(scene, &shelf.files[0].0)?;
    shelf.verify(scene)?.refuses()
}

fn step_up(scene: &mut Scene) -> Finding {
    let lengths = [0; 4].map(|_| scene.dice.length(20_000, 90_000));
    let (root, outside) = (format!("content-{}", scene.dice.word(5)), scene.dice.word(6));
    let mut recipe = Recipe::files(scene.dice.word(7), 32_768, &[]);
    let mut files = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let (name, data) = (scene.dice.word(6), scene.dice.bytes(*length));
        // The content is right, and where the path leads: only the path is wrong.
        let (path, place) = match index {
            1 => (vec!["..", &outside], outside.clone()),
            _ => (vec![&*name], format!("{root}/{name}")),
        };
        let path: Vec<&[u8]> = path.iter().map(|part| part.as_bytes()).collect();
        recipe = recipe.file(&path, data.clone(), "");
        files.push((place, data));
    }
    let shelf = Shelf::of(scene, recipe.build(), &root, &files)?;
    shelf.verify(scene)?.refuses().map_err(|miss| miss.likely(OUTSIDE))
}

/// Insists on an exit code that is an error's. A stack trace will do.
fn is_noticed(outcome: &Outcome) -> Finding {
    match outcome.end {
        End::Code(1..=125) => Ok(()),
        _ => outcome.refuses(),
    }
}

/// Takes a file away.
fn remove(scene: &Scene, path: &str) -> Finding {
    std::fs::remove_file(scene.path(path))
        .map_err(|error| Miss::new(format!("the grader cannot remove its own {path}: {error}")))
}
