//! A network of a test's own: a namespace with nothing but a loopback device, on which multicast is
//! switched on. No datagram leaves this machine, and no other test hears one.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Sets the namespace up, says so, and keeps it until its stdin ends.
///
/// `src` gives IPv4 a sender's address. Linux refuses an IPv6 route to loopback, unless it is one to
/// its own addresses: `local`.
const SETUP: &str = "ip link set lo multicast on && ip link set lo up \
    && ip route add 224.0.0.0/4 dev lo src 127.0.0.1 \
    && ip -6 route add local ff00::/8 dev lo && echo ready && exec cat";

/// The network. It is gone when this is dropped, and all programs in it have ended.
pub struct Network(Child);

impl Network {
    /// Makes one; `None`, with a loud line, if this user or this machine may not.
    pub fn new() -> Option<Network> {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c", SETUP]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut holder = match command.spawn() {
            Ok(holder) => holder,
            Err(error) => {
                println!("\nSKIPPED: this test needs unshare: {error}");
                return None;
            }
        };
        let mut line = String::new();
        let out = holder.stdout.take().expect("stdout is a pipe");
        let read = BufReader::new(out).read_line(&mut line);
        if read.is_ok() && line == "ready\n" {
            return Some(Network(holder));
        }
        let said = holder.wait_with_output().map(|output| output.stderr).unwrap_or_default();
        let why = String::from_utf8_lossy(&said);
        println!("\nSKIPPED: this test needs a network namespace with multicast: {}", why.trim());
        None
    }

    /// The process that keeps it.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// A command that runs a program in it.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        enter(self.id(), program.as_ref())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that runs a program in the network of a process. There it may reach whom it likes.
pub fn enter(process: u32, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &process.to_string(), "--user", "--net", "--preserve-credentials"]);
    command.arg("--").arg(program).env("PIECEMEAL_OFFLINE", "0");
    command
}
