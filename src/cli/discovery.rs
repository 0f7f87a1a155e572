//! How a download finds peers without trackers, and how to switch that off. (stage 19)

use piecemeal::s15_swarm::Plan;

use super::Options;

/// Options for the ways to find peers without a tracker.
#[derive(clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct DiscoveryOptions {
    /// Do not exchange peers with other peers
    #[arg(long, global = true)]
    no_pex: bool,
    #[command(flatten)] // local_discovery is plugged in
    local: super::local_discovery::LocalOptions, // local_discovery is plugged in
}

impl DiscoveryOptions {
    /// Adds the ways that are not switched off to a download or a seed. `tiers` and `linked` are
    /// the trackers and peers that the torrent or the link names.
    pub fn plug(
        &self,
        plan: &mut Plan,
        tiers: &[Vec<String>],
        linked: &[String],
        options: &Options,
    ) {
        if !self.no_pex {
            piecemeal::s19_pex::plug(plan);
        }
        self.local.plug(plan, tiers, linked, options); // local_discovery is plugged in
    }
}
