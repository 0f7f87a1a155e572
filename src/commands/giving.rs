//! What all commands that upload share: the listener, the slots, the limits. (stage 17)

use std::io::{self, ErrorKind, Write};
use std::net::IpAddr;
use std::sync::Arc;

use piecemeal::s12_session::rate::Rate;
use piecemeal::s15_swarm::Plan;
use piecemeal::s17_seeding::listener::Listener;
use piecemeal::s17_seeding::{Rules, Uploader};
use serde_json::json;

use super::failure::{Failure, LOCAL};
use super::size::size;
use super::{Options, json_line, print_line};

/// How others find us, and what they get.
#[derive(clap::Args)]
pub struct Giving {
    /// Listen here; 0: any [default: 6881 to 6889, or any]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Listen only on this address of this computer
    #[arg(long, value_name = "IP", value_parser = ip)]
    pub bind: Option<IpAddr>,
    /// Peers that get blocks at a time
    #[arg(long, value_name = "N", default_value_t = Giving::default().slots)]
    pub slots: u16,
    /// Limit for uploads, in bytes a second: 500KiB
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub max_upload: Option<u64>,
    /// Seed until R times the length has been uploaded
    #[arg(long, value_name = "R", value_parser = ratio)]
    pub ratio: Option<f64>,
}

impl Default for Giving {
    fn default() -> Giving {
        let (port, bind, max_upload, ratio) = Default::default();
        Giving { port, bind, slots: Rules::default().slots as u16, max_upload, ratio }
    }
}

/// How to upload during and after a download.
#[derive(clap::Args)]
pub struct Afterwards {
    #[command(flatten)]
    pub giving: Giving,
    /// Keep seeding when it is complete, until Ctrl-C
    #[arg(long)]
    pub keep_seeding: bool,
}

impl Afterwards {
    /// Makes a download upload as well.
    pub fn plug(self, plan: &mut Plan, options: &Options) -> Result<(), Failure> {
        let stay = self.keep_seeding || self.giving.ratio.is_some();
        self.giving.plug(plan, stay, options)
    }
}

impl Giving {
    /// Adds a listener and an uploader to the plan.
    pub fn plug(self, plan: &mut Plan, stay: bool, options: &Options) -> Result<(), Failure> {
        let wanted = self.port.is_some() || self.bind.is_some();
        match Listener::bind(self.bind, self.port) {
            Ok(listener) => {
                plan.port = listener.port();
                let addresses: Vec<String> = listener.addresses().iter().map(ToString::to_string).collect();
                if options.json {
                    print_line(&json_line(&json!({ "event": "listening", "addresses": addresses })));
                } else if (stay || wanted) && !options.quiet {
                    let _ = writeln!(io::stderr(), "listening at {}", addresses.join(" and "));
                }
                let listener = super::tracing::listener(listener); // plugged in
                plan.sources.push(Box::new(listener));
            }
            // Other peers cannot dial us then, but we can dial them.
            Err(_) if !wanted && !stay => {}
            Err(error) => {
                let place = self.bind.map(|ip| format!("{ip}, ")).unwrap_or_default();
                let port = self.port.map_or("any port".to_owned(), |port| format!("port {port}"));
                let help = match error.kind() {
                    ErrorKind::AddrNotAvailable => "--bind must be an address of this computer",
                    _ => "choose another --port; 0 takes any that is free",
                };
                return Err(Failure::new(LOCAL, format!("{place}{port}: {error}")).help(help).see("17-seeding"));
            }
        }
        plan.upload_rate = Rate::new(self.max_upload);
        // Even with no slots, an uploader would give the allowed-fast pieces.
        if self.slots > 0 || stay {
            let scarce = self.max_upload.is_some() || self.ratio.is_some();
            let rules = Rules { slots: self.slots.into(), scarce, stay, ratio: self.ratio, ..Rules::default() };
            plan.uploads = Arc::new(Uploader::new(rules));
        }
        Ok(())
    }
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "an address of this computer was expected, such as 127.0.0.1".to_owned())
}

fn ratio(text: &str) -> Result<f64, String> {
    let good = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
    text.parse().ok().filter(good).ok_or_else(|| "a number above 0 was expected, such as 1.5".to_owned())
}
