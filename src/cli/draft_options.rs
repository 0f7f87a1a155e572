//! Options for what goes into a torrent besides its content, and why none was made. (stage 10)

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use piecemeal::s02_metainfo::MAX_PIECE_LENGTH;
use piecemeal::s10_storage::create::{Content, CreateError, Created, Draft};

use super::size::size;

/// Makes a torrent, as [`Content::torrent`] does.
pub type Make =
    fn(&Content, &Draft, &AtomicBool, &(dyn Fn(u64) + Sync)) -> Result<Created, CreateError>;

/// Options of `create`.
#[derive(clap::Args)]
pub struct DraftOptions {
    /// 256KiB; version 2: a power of two [default: fits]
    #[arg(long, value_name = "N", value_parser = piece_length)]
    pub piece_length: Option<u64>,
    /// A tracker, or a tier of alternatives [repeatable]
    #[arg(long, value_name = "URL[,URL]", value_parser = tier)]
    announce: Vec<Tier>,
    /// Peers come from the trackers only
    #[arg(long)]
    private: bool,
    /// A web server that has the content [repeatable]
    #[arg(long = "web-seed", value_name = "URL", value_parser = url)]
    web_seeds: Vec<String>,
    /// A node of the DHT, as a way in [repeatable]
    #[arg(long = "node", value_name = "HOST:PORT", value_parser = node)]
    nodes: Vec<(String, u16)>,
    /// A comment, stored in the .torrent
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// A tag that changes the info hash
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// `now`, or seconds since 1970 [default: no date]
    #[arg(long, value_name = "WHEN", value_parser = date)]
    date: Option<u64>,
}

/// URLs that are alternatives to each other.
#[derive(Clone)]
struct Tier(Vec<String>);

impl From<DraftOptions> for Draft {
    fn from(options: DraftOptions) -> Draft {
        let mut seen = HashSet::new();
        Draft {
            piece_length: options.piece_length,
            tiers: each_once(options.announce),
            private: options.private,
            web_seeds: options
                .web_seeds
                .into_iter()
                .filter(|url| seen.insert(url.clone()))
                .collect(),
            nodes: options.nodes,
            comment: options.comment,
            source: options.source,
            created_by: Some(concat!("piecemeal ", env!("CARGO_PKG_VERSION")).to_owned()),
            creation_date: options.date,
        }
    }
}

/// Removes each URL that has appeared before: a tracker that is asked twice counts one
/// client as two.
fn each_once(tiers: Vec<Tier>) -> Vec<Vec<String>> {
    let mut seen = HashSet::new();
    let tiers = tiers
        .into_iter()
        .map(|Tier(urls)| urls.into_iter().filter(|url| seen.insert(url.clone())).collect());
    tiers.filter(|urls: &Vec<String>| !urls.is_empty()).collect()
}

fn piece_length(text: &str) -> Result<u64, String> {
    let allowed = size(text).ok().filter(|length| (1..=MAX_PIECE_LENGTH).contains(length));
    allowed.ok_or_else(|| {
        format!("1 to {MAX_PIECE_LENGTH} bytes were expected, such as 262144, 256KiB or 1MiB")
    })
}

fn tier(text: &str) -> Result<Tier, String> {
    Ok(Tier(text.split(',').map(url).collect::<Result<_, _>>()?))
}

fn url(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let good = !scheme.is_empty()
        && !rest.is_empty()
        && text.chars().all(|letter| letter.is_ascii_graphic());
    if good {
        Ok(text.to_owned())
    } else {
        Err("a URL was expected, such as http://127.0.0.1:6969/announce".to_owned())
    }
}

/// Splits a `HOST:PORT`. An address of IPv6 loses its brackets: the torrent has a list of the two.
fn node(text: &str) -> Result<(String, u16), String> {
    let checked = super::address(text)?;
    let parts = checked.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.ok_or("HOST:PORT was expected")?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

fn date(text: &str) -> Result<u64, String> {
    if text == "now" {
        return Ok(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // A larger number would not fit in the integers that other programs read.
    let seconds =
        text.parse::<i64>().ok().filter(|_| digits).and_then(|seconds| u64::try_from(seconds).ok());
    seconds.ok_or_else(|| "`now` or seconds since 1970 were expected".to_owned())
}
