//! `piecemeal peer_list`: who gets a place in a crowd, told move by move. (stage 14)

use crate::cli::crowd::{Crowd, Fault};
use crate::cli::crowd_story::Story;
use crate::cli::failure::Failure;
use crate::cli::{Answer, Options};

/// Watch a crowd compete for a few places; no network (stage 14)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal peer_list --places 4 --peers 20 --faults dead,liars,crowd,slow --seed 1"
)]
pub struct Args {
    /// Number of places
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=30))]
    places: u8,
    /// Number of peers that want one
    #[arg(id = "count", long = "peers", value_name = "N", default_value = "20", value_parser = clap::value_parser!(u8).range(1..=200))]
    peers: u8,
    /// Groups in the crowd, an equal share each: dead, ports, liars, crowd, slow or idle
    #[arg(
        long,
        value_name = "GROUP,...",
        value_delimiter = ',',
        default_value = "dead,liars,crowd,slow",
        hide_possible_values = true
    )]
    faults: Vec<Fault>,
    /// Simulated minutes
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1440))]
    minutes: u16,
    /// Another story for each number, and the same for the same number
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let crowd = Crowd::draw(self.peers, &self.faults, self.seed)?;
        Ok(Story::new(crowd, self.places.into(), options.json).tell(u64::from(self.minutes) * 60))
    }
}
