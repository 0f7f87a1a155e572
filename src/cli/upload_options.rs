//! What all commands that upload share: the listener, the slots, the limits. (stage 17)

use std::net::IpAddr;
use std::sync::Arc;

use piecemeal::s12_session::rate::Rate;
use piecemeal::s15_swarm::Plan;
use piecemeal::s17_seeding::listener::Listener;
use piecemeal::s17_seeding::{Rules, Seeder};

use super::Options;
use super::failure::Failure;
use super::listening::{cannot_listen, tell_listening};
use super::size::size;

/// How others find us, and what they get.
#[derive(clap::Args)]
pub struct UploadOptions {
    /// Listen here; 0: any [default: 6881 to 6889, or any]
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Listen only on this address of this computer
    #[arg(long, value_name = "IP", value_parser = super::listening::ip)]
    pub bind: Option<IpAddr>,
    /// Peers that get blocks at a time
    #[arg(long, value_name = "N", default_value_t = UploadOptions::default().slots)]
    pub slots: u16,
    /// Limit for uploads, in bytes a second: 500KiB
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub max_upload: Option<u64>,
    /// Seed until R times the length has been uploaded
    #[arg(long, value_name = "R", value_parser = ratio)]
    pub ratio: Option<f64>,
}

impl Default for UploadOptions {
    fn default() -> UploadOptions {
        let (port, bind, max_upload, ratio) = Default::default();
        UploadOptions { port, bind, slots: Rules::default().slots as u16, max_upload, ratio }
    }
}

/// How a download uploads, while it runs and after it.
#[derive(clap::Args)]
pub struct DownloadUploads {
    #[command(flatten)]
    pub uploads: UploadOptions,
    /// Keep seeding when it is complete, until Ctrl-C
    #[arg(long)]
    pub keep_seeding: bool,
}

impl DownloadUploads {
    /// Makes a download upload as well.
    pub fn plug(self, plan: &mut Plan, options: &Options) -> Result<(), Failure> {
        let stay = self.keep_seeding || self.uploads.ratio.is_some();
        self.uploads.plug(plan, stay, options)
    }
}

impl UploadOptions {
    /// Adds a listener and an uploader to the plan.
    pub fn plug(self, plan: &mut Plan, stay: bool, options: &Options) -> Result<(), Failure> {
        let wanted = self.port.is_some() || self.bind.is_some();
        match Listener::bind(self.bind, self.port) {
            Ok(listener) => {
                (plan.port, plan.bind) = (listener.port(), self.bind);
                tell_listening(&listener.addresses(), stay || wanted, options);
                let listener = super::tracing::listener(listener); // plugged in
                plan.sources.push(Box::new(listener));
            }
            // Other peers cannot dial us then, but we can dial them.
            Err(_) if !wanted && !stay => {}
            Err(error) => return Err(cannot_listen(self.bind, self.port, &error).see("17-seeding")),
        }
        plan.upload_rate = Rate::new(self.max_upload);
        // Even with no slots, an uploader would give the allowed-fast pieces.
        if self.slots > 0 || stay {
            let scarce = self.max_upload.is_some() || self.ratio.is_some();
            let rules = Rules {
                slots: self.slots.into(),
                scarce,
                stay,
                ratio: self.ratio,
                ..Rules::default()
            };
            plan.uploads = Arc::new(Seeder::new(rules));
        }
        Ok(())
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let good = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
    text.parse()
        .ok()
        .filter(good)
        .ok_or_else(|| "a number above 0 was expected, such as 1.5".to_owned())
}
