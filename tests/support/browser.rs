//! Chromium without a window: shows a page, as a DOM or as a picture.

use super::folder;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A Chromium under one of its names.
pub fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|path| path.is_file());
    if found.is_none() {
        let needed = std::env::var_os("PIECEMEAL_BROWSER").is_some();
        assert!(
            !needed,
            "no Chromium is installed, but this run must have it (tests/interop/install.sh)"
        );
        println!("\nSKIPPED: no Chromium is installed");
    }
    found
}

/// Runs the browser on a page, with a deadline; returns its output.
pub fn show(browser: &Path, page: &str, words: &[&str]) -> String {
    let folder = folder();
    let file = folder.path().join("page.html");
    std::fs::write(&file, page).expect("the folder can be written");
    let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
    let mut child = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--virtual-time-budget=2000",
            &profile,
        ])
        .args(words)
        .arg(format!("file://{}", file.display()))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the browser starts");
    let mut pipe = child.stdout.take().expect("stdout is a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut pipe).unwrap_or_default());
    let begun = Instant::now();
    while child.try_wait().expect("the browser can be waited for").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    if words.contains(&"--screenshot=page.png") {
        let picture = std::fs::read(folder.path().join("page.png")).expect("there is a picture");
        assert!(
            picture.starts_with(b"\x89PNG") && picture.len() > 5_000,
            "{} bytes",
            picture.len()
        );
        if let Some(keep) = std::env::var_os("PIECEMEAL_KEEP_PAGES") {
            std::fs::write(keep, picture).expect("it can be kept");
        }
    }
    reader.join().unwrap_or_default()
}
