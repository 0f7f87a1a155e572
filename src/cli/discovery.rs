//! How a download finds peers without trackers, and how to switch that off. (stage 19)

use piecemeal::s15_swarm::Plan;

use super::Options;
use super::named::Named;

/// Options for the ways to find peers without a tracker.
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct DiscoveryOptions {
    /// Do not exchange peers with other peers
    #[arg(long, global = true)]
    no_pex: bool,
    #[command(flatten)] // local_discovery is plugged in
    local: super::local_discovery::LocalOptions, // local_discovery is plugged in
    #[command(flatten)] // dht_discovery is plugged in
    pub dht: super::dht_discovery::DhtOptions, // dht_discovery is plugged in
}

impl DiscoveryOptions {
    /// Adds the ways that are not switched off to a download or a seed of a torrent that names
    /// these.
    pub fn plug(&self, plan: &mut Plan, named: &Named, options: &Options) {
        if !self.no_pex {
            piecemeal::s19_pex::plug(plan);
        }
        self.local.plug(plan, named, options); // local_discovery is plugged in
        self.dht.plug(plan, named, options); // dht_discovery is plugged in
    }
}
