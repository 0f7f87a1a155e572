//! A command that runs until Ctrl-C.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::lab::client::soon;

/// A command that runs until Ctrl-C, and is killed if the test ends first.
pub struct Running {
    pub child: Child,
    pub lines: mpsc::Receiver<String>,
}

impl Running {
    pub fn start(folder: &Path, arguments: &[&str]) -> Running {
        Running::of(Command::new(env!("CARGO_BIN_EXE_piecemeal")), folder, arguments)
    }

    /// Starts it in a process that may have at most this many descriptors.
    pub fn with_descriptors(most: usize, folder: &Path, arguments: &[&str]) -> Running {
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {most} && exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_piecemeal"));
        Running::of(command, folder, arguments)
    }

    fn of(mut command: Command, folder: &Path, arguments: &[&str]) -> Running {
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let out = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Running { child, lines }
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(Duration::from_secs(60)).expect("another line")
    }

    /// Lines up to the one that holds `last`.
    pub fn lines_to(&self, last: &str) -> Vec<String> {
        let mut lines = vec![self.line()];
        while !lines.last().is_some_and(|line| line.contains(last)) {
            lines.push(self.line());
        }
        lines
    }

    /// A line that is one JSON object.
    pub fn object(&self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Sends Ctrl-C, and returns the lines up to the end, which must be a success.
    pub fn end(&mut self) -> Vec<String> {
        self.interrupt();
        let mut rest = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(60)) {
            rest.push(line);
        }
        soon("it ends", || self.child.try_wait().expect("a state").is_some());
        assert_eq!(self.child.wait().expect("it has ended").code(), Some(0));
        rest
    }

    pub fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
