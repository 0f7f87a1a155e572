//! Where we listen: what is told of it, and why it may fail. (stage 16)

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};

use serde_json::json;

use super::exit_codes::LOCAL;
use super::failure::Failure;
use super::{Options, json_line, print_line};

/// Tells where others can reach us: programs always, people if `wanted`.
pub fn tell_listening(addresses: &[SocketAddr], wanted: bool, options: &Options) {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    if options.json {
        print_line(&json_line(&json!({ "event": "listening", "addresses": addresses })));
    } else if wanted && !options.quiet {
        let _ = writeln!(io::stderr(), "listening at {}", addresses.join(" and "));
    }
}

/// Returns why we cannot listen, and what to do about it.
pub fn cannot_listen(bind: Option<IpAddr>, port: Option<u16>, error: &io::Error) -> Failure {
    let place = bind.map(|ip| format!("{ip}, ")).unwrap_or_default();
    let port = port.map_or("any port".to_owned(), |port| format!("port {port}"));
    let help = match error.kind() {
        ErrorKind::AddrNotAvailable => "--bind must be an address of this computer",
        _ => "choose another --port; 0 takes any that is free",
    };
    Failure::new(LOCAL, format!("{place}{port}: {error}")).help(help)
}

/// The value of `--bind`.
pub fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| "an address of this computer was expected, such as 127.0.0.1".to_owned())
}
