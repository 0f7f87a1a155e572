//! A process of somebody else ends in time, with all that it has started.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use piecemeal_starter::process::{End, limited, run};

fn shell(script: &str) -> Command {
    let mut command = limited(Path::new("/bin/sh"), Duration::from_secs(60));
    command.args(["-c", script]);
    command
}

const SOON: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn how_it_ended_is_told() {
    let stop = AtomicBool::new(false);
    for (script, end) in
        [("exit 0", End::Good), ("exit 7", End::Code(7)), ("kill -ABRT $$", End::Signal(6))]
    {
        assert_eq!(run(&mut shell(script), LONG, &stop).expect("it starts").end, end, "{script}");
    }
    let said = run(&mut shell("echo out; echo err >&2"), LONG, &stop).expect("it starts");
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("out\n", "err\n"));
}

/// Whether a process is there, and not only its entry for a parent that has not asked yet.
fn is_alive(pid: &str) -> bool {
    let said = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().expect("ps starts");
    let state = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

#[test]
fn what_hangs_is_ended_with_its_children() {
    let stop = AtomicBool::new(false);
    for script in ["sleep 600 & echo $!; wait", "sleep 600 & echo $!"] {
        let begun = Instant::now();
        let said = run(&mut shell(script), SOON, &stop).expect("it starts");
        assert!(begun.elapsed() < LONG, "{script}: {:?}", begun.elapsed());
        let child = said.stdout.trim();
        let patience = Instant::now() + LONG;
        while is_alive(child) {
            assert!(Instant::now() < patience, "{script}: {child} is left");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_flag_stops_it() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ran = scope.spawn(|| run(&mut shell("sleep 600"), LONG, &stop).expect("it starts"));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(ran.join().expect("no panic").end, End::Stopped);
    });
}

#[test]
fn a_flood_is_read_and_only_its_ends_are_kept() {
    let stop = AtomicBool::new(false);
    let script = "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last";
    let said = run(&mut shell(script), LONG, &stop).expect("it starts");
    assert_eq!(said.end, End::Good);
    assert!(said.stdout.starts_with("first\n") && said.stdout.ends_with("last\n"));
    assert!(said.stdout.len() < 200_000, "{} bytes", said.stdout.len());
}
