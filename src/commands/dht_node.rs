//! `piecemeal dht_node`: be a node of the DHT, until Ctrl-C. (stage 22)

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use piecemeal::s03_tracker::DEFAULT_PORT;
use piecemeal::s22_dht_node::{Node, Setup};

use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::listening::ip;
use crate::cli::node_story::{sum, tell_start};
use crate::cli::{Answer, Options};

/// Be a node of the DHT: answer, and remember (stage 22)
#[derive(clap::Args)]
#[command(
    after_help = "Example, which Ctrl-C ends:\n  piecemeal dht_node --listen 127.0.0.1 --port 0"
)]
pub struct Args {
    /// Listen here, over UDP; 0: any
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Listen only on this address of this computer
    #[arg(long, value_name = "IP", value_parser = ip)]
    listen: Option<IpAddr>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (stop, say) = (interrupt()?, options.narrator());
        let ip = self.listen.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let setup = options.discovery.dht.setup(SocketAddr::new(ip, self.port), options);
        // Only if somebody reads it: each question would be a sentence.
        let tell = say.wanted.then(|| Box::new(move |what: &str| say.say(22, what)) as _);
        let node = Node::start(Setup { tell, ..setup })?;
        tell_start(&node, options);
        // A second Ctrl-C ends the program at once, as in all commands.
        while !stop.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(100));
        }
        let status = node.handle().status();
        node.stop();
        Ok(sum(status.map(|status| status.counts).unwrap_or_default()))
    }
}
