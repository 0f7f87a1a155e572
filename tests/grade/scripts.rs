//! Small clients as shell scripts, and what is left of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A client that is right about strings, and about nothing else.
pub const STRINGS: &str = r#"[ "$1" = decode ] || exit 1
length=${2%%:*} text=${2#*:}
if [ "$length" != "$2" ] && [ "${#text}" = "$length" ]
then printf '"%s"\n' "$text"
else echo 'not a string' >&2; exit 1
fi"#;

/// Writes a program; returns its path. It is put in place whole, as editors do: the one that
/// it takes the place of may just be starting, and could not be written then.
pub fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let (path, new) = (folder.join(name), folder.join(format!(".{name}.new")));
    std::fs::write(&new, format!("#!/bin/sh\n{text}\n")).expect("the script can be written");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&new, executable).expect("it is ours");
    std::fs::rename(&new, &path).expect("it is the same folder");
    path
}

/// A number that no other process of this machine has among its arguments.
pub fn unique() -> String {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}", 100_000_000 + random % 800_000_000)
}

/// The processes with this word among their arguments.
pub fn with_argument(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(word)).collect()
}

/// Waits until no process has this word among its arguments.
#[track_caller]
pub fn assert_gone(word: &str) {
    let begun = Instant::now();
    loop {
        let left = with_argument(word);
        if left.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "still there: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
