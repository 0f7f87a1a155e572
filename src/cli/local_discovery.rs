//! When a download looks for peers on the local network, and when not. (stage 20)

use std::net::IpAddr;

use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s15_swarm::Plan;
use piecemeal::s20_lsd::room::Room;
use piecemeal::s20_lsd::{LocalDiscovery, allowed, join};
use ureq::http::Uri;

use super::Options;
use super::exit_codes::LOCAL;
use super::failure::Failure;
use super::named::Named;
use super::offline::offline;

/// Whether the local network is asked for peers.
#[derive(Clone, clap::Args)]
pub struct LocalOptions {
    /// Do not look for peers on the local network
    #[arg(long, global = true)]
    no_lsd: bool,
}

impl LocalOptions {
    /// Adds the local network to the sources of a download or a seed of a torrent that names these,
    /// unless that is switched off, or its swarm is on this computer.
    pub fn plug(&self, plan: &mut Plan, named: &Named, options: &Options) {
        let named = named.tiers.iter().flatten().chain(&named.linked).chain(&options.peers);
        let bound_here = plan.bind.is_some_and(|ip| ip.is_loopback());
        let unwanted = self.no_lsd || offline() && plan.bind.is_none();
        if !unwanted && !bound_here && !all_here(named) {
            plug_lsd(plan, options);
        }
    }
}

/// Joins the groups for a command that asks nobody else.
pub fn rooms(on: Option<IpAddr>) -> Result<Vec<Box<dyn Room>>, Failure> {
    if offline() && on.is_none() {
        let what =
            "the local network is not asked: PIECEMEAL_OFFLINE is set, and no network is named";
        let help = "name one with --bind IP, or unset PIECEMEAL_OFFLINE";
        return Err(Failure::new(LOCAL, what).help(help).see("20-lsd"));
    }
    Ok(join(on)?)
}

/// Adds a source for each family of addresses that this computer has.
fn plug_lsd(plan: &mut Plan, options: &Options) {
    let say = options.narrator();
    match plan.info.as_ref().map_or(Ok(()), allowed).and_then(|()| join(plan.bind)) {
        Ok(rooms) => {
            say.say(20, "asking the local network: one datagram reaches all who listen there");
            let source = |room| LocalDiscovery::new(room, plan.names.clone(), plan.port);
            plan.sources.extend(rooms.into_iter().map(|room| Box::new(source(room)) as _));
        }
        // Nobody has asked for it, so this is no error.
        Err(error) => say.say(20, format!("the local network is not asked: {error}")),
    }
}

/// Whether everybody that is named is on this computer, as in a lab. Its swarm is then here as
/// well, and the network need not hear of it.
pub fn all_here<'a>(mut named: impl Iterator<Item = &'a String>) -> bool {
    let mut some = false;
    let all = named.all(|name| {
        some = true;
        is_here(name)
    });
    some && all
}

/// Whether the host of a URL or a `HOST:PORT` is this computer.
fn is_here(named: &str) -> bool {
    let Ok(uri) = named.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local = |ip: IpAddr| Reach::of(ip) == Reach::Machine;
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_local)
}
