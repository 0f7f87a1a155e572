//! Submissions that are hostile, or broken: each ends with a clear line, and the results of the
//! others are whole.

use super::classes::{Class, student};
use super::scripts::{STRINGS, assert_gone, unique};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether this system can keep submissions apart.
fn isolates() -> bool {
    let words = "--user --map-root-user --mount --net --pid --fork --kill-child --mount-proc true";
    let outcome = Command::new("unshare").args(words.split(' ')).output();
    let isolates = outcome.is_ok_and(|outcome| outcome.status.success());
    if !isolates {
        println!("skipped: unshare does not work here");
    }
    isolates
}

/// Grades a class with a good student at its beginning and at its end; checks that both are whole.
#[track_caller]
fn between_good_ones(class: Class, seconds: u32) -> (Class, Value) {
    let class = class
        .student("aaa-good", STRINGS)
        .student("zzz-good", STRINGS)
        .settings(&format!("seconds = {seconds}"));
    let before = listing(&class.path("class"));
    let outcome = class.grade(&["--check", "1.1", "--check", "1.8"]);
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let json = class.json();
    for name in ["aaa-good", "zzz-good"] {
        assert_eq!(student(&json, name)["points"], 2, "{json:#}");
    }
    assert_eq!(listing(&class.path("class")), before, "the class's folder is as it was");
    (class, json)
}

/// All paths below a folder, with their sizes.
fn listing(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let about = entry.metadata().expect("it is there");
        if about.is_dir() {
            found.extend(listing(&entry.path()));
        }
        found.push((entry.path(), if about.is_dir() { 0 } else { about.len() }));
    }
    found.sort();
    found
}

fn note<'a>(json: &'a Value, name: &str) -> &'a str {
    student(json, name)["note"].as_str().unwrap_or_default()
}

#[test]
fn a_folder_without_a_program_is_told_what_it_lacks() {
    let class = Class::new();
    let folder = class.path("class");
    for name in ["empty", "bare", "closed", "nested", "windows", "deeper/client"] {
        std::fs::create_dir_all(folder.join(name)).expect("the folder can be made");
    }
    std::fs::write(folder.join("bare/readme"), "x").expect("it can be written");
    std::fs::write(folder.join("closed/run"), "#!/bin/sh\nexit 1\n").expect("it can be written");
    for name in ["windows", "deeper/client"] {
        let file = folder.join(name).join("run");
        std::fs::write(&file, "#!/bin/sh\r\nexit 1\r\n").expect("it can be written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    std::fs::write(folder.join("late.zip"), "PK").expect("it can be written");
    std::fs::create_dir(folder.join("nested/run")).expect("the folder can be made");
    std::os::unix::fs::symlink("/etc", folder.join("link")).expect("links can be made");
    let class = class.student("broken", "if then fi )").student("absent", "exec /no/such/python");
    let (class, json) = between_good_ones(class, 60);
    for (name, words) in [
        ("empty", "the folder is empty"),
        ("bare", "there is no program `run`"),
        ("closed", "`run` is not executable"),
        ("nested", "`run` is a folder"),
        ("windows", "`run` has Windows line ends"),
        ("deeper", "there is no `run` in its folder, but one in client/"),
        ("link", "it is a link"),
        ("absent", "cannot be started"),
    ] {
        assert!(note(&json, name).contains(words), "{name}: {json:#}");
        assert_eq!(student(&json, name)["points"], 0);
    }
    assert_eq!(student(&json, "broken")["points"], 0);
    let notes = json["notes"].as_array().into_iter().flatten();
    let late = notes.filter(|note| *note == "late.zip is no folder: passed over").count();
    assert_eq!(late, 1, "{json:#}");
    let report = class.read("students/closed.md");
    assert!(
        report.contains("**0 of 2 points**") && report.contains("| 0 of 2 | 0 | 2 |"),
        "{report}"
    );
    assert_eq!(
        report.matches("chmod +x").count(),
        2,
        "in a note, and once for all checks: {report}"
    );
}

#[test]
fn links_are_not_followed_out_of_a_folder() {
    let class = Class::new();
    let secret = class.path("secret");
    std::fs::write(&secret, "42").expect("it can be written");
    let class = class.student("ada", &format!("cat link other >&2; {STRINGS}"));
    let folder = class.path("class/ada");
    std::os::unix::fs::symlink(&secret, folder.join("link")).expect("links can be made");
    std::os::unix::fs::symlink("run", folder.join("other")).expect("links can be made");
    std::os::unix::fs::symlink("/", folder.join("root")).expect("links can be made");
    let (class, json) = between_good_ones(class, 60);
    assert_eq!(student(&json, "ada")["points"], 2, "{json:#}");
    let report = class.read("students/ada.md");
    assert!(report.contains("leads out of the folder") && !report.contains("42"), "{report}");
}

#[test]
fn a_giant_submission_is_not_copied() {
    let class = Class::new().student("giant", STRINGS).student("crowd", STRINGS);
    let file = std::fs::File::create(class.path("class/giant/data")).expect("it can be made");
    file.set_len(10 << 30).expect("a file with a hole");
    let crowd = class.path("class/crowd/many");
    std::fs::create_dir(&crowd).expect("the folder can be made");
    for number in 0..20_001 {
        std::fs::write(crowd.join(number.to_string()), "").expect("it can be written");
    }
    let (_, json) = between_good_ones(class, 60);
    assert!(note(&json, "giant").contains("more than 128 MiB"), "{json:#}");
    assert!(note(&json, "crowd").contains("more than 20000 files"), "{json:#}");
}

#[test]
fn looping_and_flooding_submissions_end_in_time() {
    let word = unique();
    let class = Class::new()
        .student(
            "looping",
            &format!("trap '' TERM INT HUP; while :; do sleep 1{word} & wait; done"),
        )
        .student("flooding", "exec yes flood")
        .student("daemon", &format!("env -i setsid sleep 2{word} >/dev/null 2>&1 & {STRINGS}"));
    let (_, json) = between_good_ones(class, 15);
    for name in ["looping", "flooding"] {
        assert_eq!(student(&json, name)["points"], 0, "{json:#}");
        let seconds = student(&json, name)["seconds"].as_f64().unwrap_or(f64::MAX);
        assert!(seconds < 120.0, "{json:#}");
    }
    assert_eq!(student(&json, "daemon")["points"], 2, "{json:#}");
    assert_gone(&format!("1{word}"));
    assert_gone(&format!("2{word}"));
}

#[test]
fn forking_and_greedy_submissions_hurt_only_themselves() {
    if !isolates() {
        return;
    }
    let word = unique();
    let class = Class::new()
        .student("forking", &format!("f() {{ f | f & f | sleep 3{word} & }}; f; sleep 3{word}"))
        .student(
            "crowded",
            &format!("n=0; while [ $n -lt 150 ]; do sleep 4{word} & n=$((n+1)); done; wait"),
        )
        .student("greedy", "exec tail /dev/zero")
        .student(
            "filling",
            "cat /dev/zero > a; cat /dev/zero > b; cat /dev/zero > /dev/shm/c; df . >&2",
        );
    let (_, json) = between_good_ones(class, 20);
    for name in ["forking", "crowded", "greedy", "filling"] {
        assert_eq!(student(&json, name)["points"], 0, "{json:#}");
    }
    assert!(note(&json, "crowded").contains("100 processes"), "{json:#}");
    assert_gone(&format!("3{word}"));
    assert_gone(&format!("4{word}"));
}

#[test]
fn a_submission_that_is_over_the_bound_of_processes_again_and_again_is_run_no_more() {
    if !isolates() {
        return;
    }
    let word = unique();
    let class = Class::new().student(
        "crowded",
        &format!("n=0; while [ $n -lt 150 ]; do sleep 4{word} & n=$((n+1)); done; wait"),
    );
    // Eight checks run at a time, and all of them end with the first that is over the bound.
    class.grade(&["--until", "9"]);
    let json = class.json();
    let checks = student(&json, "crowded")["checks"].as_object().cloned().unwrap_or_default();
    let untried = checks.values().filter(|status| *status == "not run").count();
    assert!(untried >= 10, "five times are enough: {json:#}");
    let report = class.read("students/crowded.md");
    assert!(report.contains("not tried: each time it ran, your program started"), "{report}");
    assert_gone(&format!("4{word}"));
}

#[test]
fn a_submission_cannot_reach_anything_but_its_own_folder() {
    if !isolates() {
        return;
    }
    let victim = std::env::temp_dir().join(format!("piecemeal-victim-{}", unique()));
    std::fs::write(&victim, "whole").expect("it can be written");
    let class = Class::new();
    let folder = class.path("class").display().to_string();
    // The spy says what it can reach, and is right about strings only if that is nothing.
    let spy = format!(
        "for file in '{0}' '{folder}/grade.toml' /etc/shadow /etc/hostname /usr /dev/vda /dev/sda \
             /proc/sysrq-trigger /proc/sys/kernel/hostname; do
           [ -w \"$file\" ] && found=\"$found $file\"
         done
         [ -e '{folder}' ] && found=\"$found class\"
         for pid in /proc/[0-9]*; do
           grep -q piecemeal $pid/cmdline 2>/dev/null && found=\"$found judge\"
         done
         [ -z \"$found\" ] || {{ echo \"reached:$found\" >&2; exit 1; }}
         {STRINGS}",
        victim.display()
    );
    let vandal = format!(
        "kill -9 -1; rm -rf '{folder}' '{}' . .. \"$HOME\" /tmp/* /etc/hostname /dev/null",
        victim.display()
    );
    let (class, json) =
        between_good_ones(class.student("spy", &spy).student("vandal", &vandal), 60);
    let whole = std::fs::read_to_string(&victim);
    let _ = std::fs::remove_file(&victim);
    assert_eq!(whole.ok().as_deref(), Some("whole"));
    assert_eq!(student(&json, "spy")["points"], 2, "{}", class.read("students/spy.md"));
    let vandal = student(&json, "vandal");
    let said = class.read("students/vandal.md");
    assert!(vandal["points"] == 0 && vandal["checks"]["1.1"] != "passed", "{said}");
}

#[test]
fn a_submission_has_no_network_but_its_own() {
    if !isolates() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    listener.set_nonblocking(true).expect("it can be");
    let knock = format!(
        "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}), 2)' 2>/dev/null"
    );
    let class = Class::new().student("caller", &format!("{knock}\n{STRINGS}"));
    let (_, json) = between_good_ones(class, 60);
    assert_eq!(student(&json, "caller")["points"], 2, "{json:#}");
    assert!(listener.accept().is_err(), "it came out of its world");
}

#[test]
fn without_isolation_it_is_said_and_the_bounds_hold() {
    // A search path without unshare.
    let class = Class::new()
        .student("good", STRINGS)
        .student("flooding", "exec yes flood")
        .settings("seconds = 15");
    let bin = class.path("bin");
    std::fs::create_dir(&bin).expect("the folder can be made");
    for name in ["sh", "yes", "sleep", "setsid", "env"] {
        let found = ["/bin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(name));
        if let Some(program) = found.into_iter().find(|path| path.exists()) {
            std::os::unix::fs::symlink(program, bin.join(name)).expect("links can be made");
        }
    }
    let run = crate::support::Run::new(["grade", "--seed", "7", "--check", "1.1", "--class"]);
    let path = bin.to_string_lossy().into_owned();
    let outcome = run.arg(class.path("class")).env("PATH", &path).within(240).run();
    assert_eq!(outcome.code, Some(0), "{outcome}");
    outcome.mentions("not isolated");
    let json = class.json();
    assert_eq!(student(&json, "good")["points"], 1, "{json:#}");
    assert_eq!(student(&json, "flooding")["points"], 0, "{json:#}");
    for report in ["students/good.md", "students/good.html", "class.html", "class.json"] {
        assert!(class.read(report).contains("not isolated"), "{report}");
    }
}
