//! The DHT nodes that a lookup begins with: `--dht-bootstrap`. (stage 21)

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s03_tracker::names::Lookups;
use piecemeal::s21_dht_lookup::BOOTSTRAP_HOSTS;
use piecemeal::s21_dht_lookup::ask::resolve;

use super::address;
use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::offline::offline;
use super::screen::narrator::Narrator;

/// The most names that are looked up.
const MAX_NAMES: usize = 16;
/// How long the other names are waited for, once one has led to an address. A lookup needs only one
/// node to begin with, and a name server may be slow.
const OTHERS: Duration = Duration::from_millis(300);

/// Which nodes a lookup begins with.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct BootstrapOptions {
    /// A DHT node to begin with, instead of the usual ones [repeatable]
    #[arg(long = "dht-bootstrap", global = true, value_name = "HOST:PORT", value_parser = address)]
    named: Vec<String>,
}

impl BootstrapOptions {
    /// Begins with this node and no other.
    pub fn at(node: SocketAddr) -> BootstrapOptions {
        BootstrapOptions { named: vec![node.to_string()] }
    }

    /// Returns the names of the nodes: those that the user gave, or else the usual ones, unless
    /// those are out of reach.
    pub fn names(&self) -> Vec<String> {
        match &self.named[..] {
            [] if offline() => Vec::new(),
            [] => BOOTSTRAP_HOSTS.map(str::to_owned).to_vec(),
            named => named.to_vec(),
        }
    }

    /// Returns the addresses of the nodes. A name that leads nowhere is told with `-v`, as long as
    /// another one leads somewhere.
    pub fn addresses(&self, deadline: Instant, say: Narrator) -> Result<Vec<SocketAddr>, Failure> {
        let names = self.names();
        let found = look_up(&names, deadline);
        let (mut addresses, mut lost, mut until) = (Vec::new(), None, deadline);
        // Each sends one answer, and the channel ends when all have.
        while let Ok((name, answer)) =
            found.recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            match answer {
                Ok(found) => {
                    addresses.extend(found);
                    until = until.min(Instant::now() + OTHERS);
                }
                Err(error) => {
                    let why = format!("{name}: {error}");
                    say.say(21, &why);
                    lost = Some(why);
                }
            }
        }
        match lost {
            _ if !addresses.is_empty() => Ok(addresses),
            Some(why) => Err(Failure::new(NO_PEER, why)
                .help("check the name, or name another node with --dht-bootstrap HOST:PORT")
                .see("21-dht-lookup")),
            None => Err(nobody(names.is_empty())),
        }
    }
}

/// Looks up names side by side: a slow one must not hold up the others.
fn look_up(names: &[String], deadline: Instant) -> Receiver<(String, io::Result<Vec<SocketAddr>>)> {
    let (send, found) = mpsc::channel();
    let lookups = Arc::new(Lookups::default());
    for name in names.iter().take(MAX_NAMES).cloned() {
        let (send, lookups) = (send.clone(), Arc::clone(&lookups));
        let work = move || {
            let found = resolve(&lookups, &name, deadline);
            // Whoever has enough no longer listens.
            let _ = send.send((name, found));
        };
        // If the system refuses a thread, this name leads nowhere; the others may.
        let _ = thread::Builder::new().name("look up".to_owned()).spawn(work);
    }
    found
}

/// What to say if there is no address to begin with.
fn nobody(is_offline: bool) -> Failure {
    let (what, help) = if is_offline {
        (
            "there is nobody to ask: PIECEMEAL_OFFLINE is set, and no DHT node is named",
            "name a node with --dht-bootstrap HOST:PORT, or unset PIECEMEAL_OFFLINE",
        )
    } else {
        (
            "no DHT node to begin with has an address: no answer in time",
            "check the connection, or name a node with --dht-bootstrap HOST:PORT",
        )
    };
    Failure::new(NO_PEER, what).help(help).see("21-dht-lookup")
}
