//! When a download is a node of the DHT, and when not. (stage 22)

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use piecemeal::s15_swarm::Plan;
use piecemeal::s21_dht_lookup::BOOTSTRAP_HOSTS;
use piecemeal::s22_dht_node::bootstrap::Hosts;
use piecemeal::s22_dht_node::port::{DHT_BIT, PortOffer};
use piecemeal::s22_dht_node::source::DhtSource;
use piecemeal::s22_dht_node::table_file::TableFile;
use piecemeal::s22_dht_node::{Node, NodeError, Setup};

use super::Options;
use super::failure::Failure;
use super::local_discovery::all_here;
use super::named::Named;
use super::offline::offline;

/// Whether a download is a node of the DHT, and what it remembers.
#[derive(Clone, clap::Args)]
pub struct DhtOptions {
    /// Do not use the DHT
    #[arg(long, global = true)]
    no_dht: bool,
    /// Keep the nodes of the DHT in this file
    #[arg(long, global = true, value_name = "FILE")]
    dht_table: Option<PathBuf>,
}

impl DhtOptions {
    /// Prepares a node at this address: with the ways in that the user names, or else the usual
    /// ones, and with what it has saved.
    pub fn setup(&self, bind: SocketAddr, options: &Options) -> Setup {
        // The built-in ones are asked only if nobody else is known.
        let (known, named): (Vec<_>, Vec<_>) =
            options.dht.names().into_iter().partition(|it| BOOTSTRAP_HOSTS.contains(&it.as_str()));
        let hosts = Hosts { named, linked: Vec::new(), known };
        let table_file = self.dht_table.as_ref().map(TableFile::at);
        // The nodes of a lab, or of any network of its own, are of no use in the usual one, nor are
        // those in a lab.
        let is_usual = !offline() && hosts.named.is_empty();
        let table_file = table_file.or_else(|| TableFile::of_user().filter(|_| is_usual));
        Setup {
            hosts,
            table_file: table_file.map(|it| if bind.is_ipv6() { it.for_ipv6() } else { it }),
            wrap: Some(Box::new(super::tracing::datagrams)), // plugged in
            ..Setup::at(bind)
        }
    }

    /// Makes a download or a seed a node of the DHT, unless that is switched off, the torrent is
    /// private, or its swarm is on this computer.
    pub fn plug(&self, plan: &mut Plan, named: &Named, options: &Options) {
        let people = named.tiers.iter().flatten().chain(&named.linked).chain(&options.peers);
        let bound_here = plan.bind.is_some_and(|ip| ip.is_loopback());
        let Setup { hosts, table_file, .. } = self.setup(anywhere(), options);
        let is_here = hosts.named.is_empty() && (bound_here || all_here(people));
        let is_private = plan.info.as_ref().is_some_and(|info| info.private);
        if self.no_dht || is_here || is_private {
            return;
        }
        let linked: Vec<_> =
            named.nodes.iter().map(|(host, port)| host_port(host, *port)).collect();
        let is_way = linked.iter().chain(&hosts.named).chain(&hosts.known).next().is_some();
        if !is_way && table_file.is_none() {
            return options.narrator().say(22, "the DHT is not asked: no way into it is known");
        }
        self.plug_nodes(plan, &linked, options);
    }

    /// Adds a source for each family of addresses that this computer has, and the `port` messages.
    fn plug_nodes(&self, plan: &mut Plan, linked: &[String], options: &Options) {
        let (all, say) = ([anywhere().ip(), Ipv6Addr::UNSPECIFIED.into()], options.narrator());
        let places = plan.bind.map_or(all.to_vec(), |ip| vec![ip]);
        let mut handles = Vec::new();
        for ip in places {
            let setup = |port| {
                let mut setup = self.setup(SocketAddr::new(ip, port), options);
                setup.hosts.linked = linked.to_vec();
                setup
            };
            match start(plan.port, setup, options) {
                Ok(node) => {
                    handles.push((node.handle().clone(), node.address()));
                    let source = DhtSource::new(node, plan.names.clone(), plan.port);
                    plan.sources.push(Box::new(source));
                }
                // Nobody has asked for it, so this is no error. Many computers have no IPv6.
                Err(error) => say.say(22, format!("the DHT is not asked: {error}")),
            }
        }
        if !handles.is_empty() {
            say.say(22, "asking the DHT: any torrent's peers can be found there, with no tracker");
            let watch = Arc::clone(&plan.watch);
            plan.extensions.push(Arc::new(PortOffer::new(handles, move || watch.is_private())));
        }
    }
}

/// Starts a node at the port at which we listen for peers; if that is taken, at another.
fn start(port: u16, setup: impl Fn(u16) -> Setup, options: &Options) -> Result<Node, NodeError> {
    let node = Node::start(setup(port)).or_else(|error| {
        let node = Node::start(setup(0)).map_err(|_| error)?;
        let told = format!("UDP port {port} is taken, so the DHT uses {}", node.address().port());
        options.narrator().say(22, told);
        Ok(node)
    })?;
    node.note().into_iter().for_each(|note| options.narrator().note(note));
    Ok(node)
}

/// Any address of IPv4, and any port.
fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))
}

/// Returns the outcome of a check that there is somebody to ask. With a node of the DHT there
/// always is: it can be asked about any torrent.
pub fn or_anybody(plan: &Plan, found: Result<(), Failure>) -> Result<(), Failure> {
    let has_node = plan.extensions.iter().any(|offer| offer.bit() == Some(DHT_BIT));
    if has_node { Ok(()) } else { found }
}

/// Returns a host and its port as one text: an address of IPv6 in brackets.
fn host_port(host: &str, port: u16) -> String {
    let is_ipv6 = host.parse::<Ipv6Addr>().is_ok();
    if is_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
