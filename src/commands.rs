//! The commands, one file and one line each. What they share is in `cli`.
//!
//! A line that ends in `// plugged in` belongs to a later stage or to an unnumbered
//! module: an early checkpoint of the crate is made by deleting such lines.

use clap::{Args, Subcommand};

use crate::cli::failure::Failure;
use crate::cli::{Answer, Options};

/// Declares a module and a subcommand for each name. The module's `Args` is documented
/// by the help text, and has `run(self, &Options)`.
macro_rules! commands {
    ($($name:ident,)*) => {
        $(mod $name;)*

        #[derive(Subcommand)]
        #[command(rename_all = "snake_case")]
        #[allow(non_camel_case_types)] // a variant has the name of its module
        pub enum Command { $($name($name::Args),)* }

        impl Command {
            /// Returns the command line of the command with this name, without the others.
            pub fn alone(name: &str) -> Option<clap::Command> {
                match name.replace('-', "_").as_str() {
                    $(stringify!($name) => {
                        Some($name::Args::augment_args(clap::Command::new(stringify!($name))))
                    })*
                    _ => None,
                }
            }

            /// Runs the command.
            pub fn run(self, options: &Options) -> Result<Answer, Failure> {
                if options.show_secrets { crate::cli::discretion::show() } // plugged in
                // The answer repeats what was typed, for use elsewhere: hide nothing in it.
                if matches!(self, Command::decode(_)) { crate::cli::discretion::show() } // plugged in
                if matches!(self, Command::create(_)) { crate::cli::discretion::show() } // plugged in
                // These open no connection, and the capture that they read must not be opened for
                // writing.
                if !matches!(self, Command::explain(_) | Command::replay(_)) { crate::cli::tracing::start(options) } // plugged in
                match self { $(Command::$name(args) => args.run(options),)* }
            }
        }
    };
}

commands! {
    decode,
    info,
    peers,
    handshake,
    download_piece,
    magnet_parse,
    magnet_handshake,
    magnet_info,
    magnet_download_piece,
    create,
    verify,
    work_queue,
    download_from,
    announce,
    peer_list,
    download,
    magnet_download,
    serve,
    seed,
    scrape,
    pex_peers,
    lsd_peers,
    dht_ping,
    dht_peers,
    dht_node,
    tree,
    hashes,
    lab,
    grade,
    tracker,
    swarm_sheet,
    simulate,
    demo,
    explain,
    replay,
    chapter,
    stages,
    completions,
}
