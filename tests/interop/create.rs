//! Torrents that `piecemeal create` makes, as other programs read them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixtures::{Fixture, Kind, every_fixture};
use crate::process::command;
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// What libtorrent understands of a torrent, one fact a line.
const LIBTORRENT: &str = "
import sys, libtorrent
info = libtorrent.torrent_info(sys.argv[1])
files = info.files()
print(info.info_hash())
print(info.name(), info.total_size(), info.piece_length(), info.num_pieces(), info.priv())
for index in range(files.num_files()):
    print(files.file_path(index), files.file_size(index))
";

const TRACKER: &str = "http://127.0.0.1:9/announce";
const PRIVATE: [&str; 2] = ["--private", "--source=HERE"];

/// Version 1 is the default; the others are in `create_v2`.
fn contents() -> impl Iterator<Item = Fixture> {
    every_fixture().into_iter().filter(|fixture| fixture.kind != Kind::Hybrid)
}

/// Runs a program to its end and returns what it printed.
pub fn output(mut command: Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(format!("{}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Creates the torrent; its info hash, and where it is.
fn create(fixture: &Fixture, folder: &Path, options: &[&str]) -> Result<(String, PathBuf), String> {
    let torrent = folder.join(format!("{}.torrent", fixture.label));
    let mut create = command(Path::new(env!("CARGO_BIN_EXE_piecemeal")));
    create.args([
        "create",
        "-q",
        "--force",
        "--announce",
        TRACKER,
        "--web-seed",
        "http://127.0.0.1:9/",
        "--piece-length",
    ]);
    create
        .arg(fixture.piece_length.to_string())
        .args(options)
        .arg("-o")
        .arg(&torrent)
        .arg(folder.join(fixture.name));
    let said = output(create)?;
    let hash = said
        .lines()
        .find_map(|line| line.strip_prefix("Info Hash: "))
        .ok_or("it prints no info hash")?;
    Ok((hash.to_owned(), torrent))
}

/// The info hash that a program finds, and whatever else it says.
fn read_by(program: Program, path: &Path, torrent: &Path) -> Result<(String, String), String> {
    let mut read = command(path);
    match program {
        Program::Libtorrent => read.args(["-c", LIBTORRENT]).arg(torrent),
        Program::Aria2 => read.arg("-S").arg(torrent),
        _ => read.arg(torrent),
    };
    let said = output(read)?;
    let hash = match program {
        Program::Libtorrent => said.lines().next(),
        Program::Aria2 => said.lines().find_map(|line| line.strip_prefix("Info Hash: ")),
        _ => said.lines().find_map(|line| {
            line.trim().strip_prefix("Hash: ").or(line.trim().strip_prefix("Hash v1: "))
        }),
    };
    let hash = hash.ok_or_else(|| format!("no info hash in:\n{said}"))?.trim().to_lowercase();
    Ok((hash, said))
}

/// Every file must be told of, and libtorrent must agree to the last number.
fn check(program: Program, fixture: &Fixture, private: bool, said: &str) -> Result<(), String> {
    for (path, length) in &fixture.files {
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(fixture.name);
        // Only libtorrent prints lengths as numbers.
        let line = said.lines().find(|line| {
            line.contains(name)
                && (program != Program::Libtorrent || line.ends_with(&format!(" {length}")))
        });
        line.ok_or_else(|| format!("{path} of {length} bytes is missing in:\n{said}"))?;
    }
    if program == Program::Libtorrent {
        let private = if private { "True" } else { "False" };
        let pieces = fixture.length().div_ceil(fixture.piece_length);
        let expected = format!(
            "{} {} {} {pieces} {private}",
            fixture.name,
            fixture.length(),
            fixture.piece_length
        );
        let found = said.lines().nth(1).unwrap_or_default();
        if found != expected {
            return Err(format!("expected {expected:?}, found {found:?}"));
        }
    }
    Ok(())
}

#[test]
fn create_makes_torrents_that_other_programs_read_as_meant() {
    let programs = [Program::TransmissionShow, Program::Aria2, Program::Libtorrent];
    let present: Vec<(Program, PathBuf)> =
        programs.into_iter().filter_map(|program| Some((program, program.find()?))).collect();
    let report = Report::new("create_makes_torrents_that_other_programs_read_as_meant");
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    for fixture in contents() {
        fixture.write(folder.path(), &(0..fixture.length()));
        for (how, options) in [("plain", &[][..]), ("private, source", &PRIVATE[..])] {
            let made = create(&fixture, folder.path(), options);
            for (program, path) in &present {
                let begun = Instant::now();
                let outcome: Outcome = made.clone().and_then(|(hash, torrent)| {
                    let (found, said) = read_by(*program, path, &torrent)?;
                    if found != hash {
                        return Err(format!("it finds the info hash {found}, and we {hash}"));
                    }
                    check(*program, &fixture, !options.is_empty(), &said)?;
                    Ok((begun.elapsed(), format!("info hash {hash}")))
                });
                report.add(program.name(), fixture.label, how, fixture.length(), outcome);
            }
        }
    }
    report.finish();
}

/// The same files, described by somebody else's code: the same 20 bytes.
#[test]
fn create_and_mktorrent_give_the_same_info_hash() {
    let Some(mktorrent) = Program::Mktorrent.find() else { return };
    let report = Report::new("create_and_mktorrent_give_the_same_info_hash");
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    for fixture in contents() {
        if !fixture.piece_length.is_power_of_two() {
            continue; // it can do no others
        }
        fixture.write(folder.path(), &(0..fixture.length()));
        let outcome = create(&fixture, folder.path(), &[]).and_then(|(hash, ours)| {
            let theirs = folder.path().join(format!("{}.mktorrent", fixture.label));
            let mut make = command(&mktorrent);
            make.args(["-d", "-a", TRACKER, "-l", &fixture.piece_length.ilog2().to_string(), "-o"]);
            output({
                make.arg(&theirs).arg(folder.path().join(fixture.name));
                make
            })?;
            let mut info = command(Path::new(env!("CARGO_BIN_EXE_piecemeal")));
            info.arg("info").arg(&theirs);
            let said = output(info)?;
            if said.contains(&format!("Info Hash: {hash}\n")) {
                return Ok((Duration::ZERO, format!("info hash {hash}")));
            }
            Err(format!(
                "{} has another info hash than {}:\n{said}",
                theirs.display(),
                ours.display()
            ))
        });
        report.add("mktorrent", fixture.label, "same hash", fixture.length(), outcome);
    }
    report.finish();
}
