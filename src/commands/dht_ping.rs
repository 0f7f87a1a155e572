//! `piecemeal dht_ping`: ask a DHT node whether it is there. (stage 21)

use std::time::Instant;

use piecemeal::s03_tracker::names::Lookups;
use piecemeal::s21_dht_lookup::ask::{LookupError, resolve};
use serde_json::json;

use crate::cli::ask_dht::asker;
use crate::cli::exit_codes::NO_PEER;
use crate::cli::failure::Failure;
use crate::cli::{Answer, Options};

/// Ask a DHT node whether it is there (stage 21)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal dht_ping 127.0.0.1:6881")]
pub struct Args {
    /// The node
    #[arg(value_name = "HOST:PORT", value_parser = crate::cli::address)]
    node: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (deadline, say) = (options.deadline(), options.narrator());
        let unknown = |error| Failure::new(NO_PEER, error).about(&self.node);
        let help = "check the name, or give an IP address";
        let addresses = resolve(&Lookups::default(), &self.node, deadline)
            .map_err(|error| unknown(error).help(help).see("21-dht-lookup"))?;
        let mut last = LookupError::Nobody;
        for (number, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / (addresses.len() - number) as u32;
            say.say(
                21,
                format!("asking {address} whether it is there: one datagram, again each second"),
            );
            match asker(address.is_ipv4())?.ping(*address, Instant::now() + share) {
                Ok(pong) => {
                    let text = format!("Node ID: {}", pong.id);
                    let json = json!({
                        "node_id": pong.id.to_string(),
                        "address": address.to_string(),
                        "version": pong.version,
                        "seen_as": pong.seen_as.map(|address| address.ip().to_string()),
                        "milliseconds": pong.time.as_millis() as u64,
                    });
                    return Ok(Answer { text, json });
                }
                Err(error) => last = error,
            }
        }
        // Where nothing could be sent, the error names the address.
        let named = matches!(last, LookupError::Send { .. });
        let failure = Failure::from(last);
        Err(if named { failure } else { failure.about(&self.node) })
    }
}
