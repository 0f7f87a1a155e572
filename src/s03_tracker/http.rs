//! Announcing over HTTP and HTTPS: one GET request.
//!
//! A tracker's URL comes from a torrent that anyone may have written, and the answer from whoever
//! runs the tracker. So everything has a limit: the time, the size of the answer, the number of
//! redirects and where they may lead. A tracker on the open internet must not redirect us to a
//! machine on our network; one on our own network may, to a tracker's path.
//!
//! ureq speaks HTTP and TLS for us. Some of its defaults do not fit, and `get` changes them: ureq
//! has no time limit, drops the body of a 4xx answer, where the tracker's reason is, takes a proxy
//! from the environment even for this machine, and does not limit the body after decompression.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use super::reach::{Reach, path_refusal, redirect_refusal};
use super::{AnnounceRequest, AnnounceResponse, Tracker, TrackerError, words};

/// The longest answer that is read, decompressed, in bytes. Almost three thousand peers fit, in the
/// longest form. Not more, since a torrent can make us ask a hundred trackers at the same time.
const MAX_ANSWER_LENGTH: usize = 256 << 10;
/// The longest head of an answer, in bytes: twice the usual limit of servers. It is also the
/// size of ureq's two buffers, which would be 128 KiB each.
const MAX_HEAD_LENGTH: usize = 16 << 10;
/// The most redirects that are followed.
const MAX_REDIRECTS: u32 = 5;

/// Announces to `http://` and `https://` trackers, over a new connection each time: the next
/// announce is usually half an hour away.
pub struct HttpTracker;

impl Tracker for HttpTracker {
    fn schemes(&self) -> &[&str] {
        &["http", "https"]
    }

    fn announce(
        &self,
        url: &str,
        ask: &AnnounceRequest,
        deadline: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        announce_with(&fetch, url, ask, deadline)
    }
}

/// A server's answer to one GET request.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The HTTP status of the last answer, after all redirects.
    pub status: u16,
    /// The body, decompressed.
    pub body: Vec<u8>,
    /// How far away the server is, or a farther one that redirected to it.
    pub from: Reach,
}

/// Makes one GET request by a deadline. A seam for tests, and for a trace; [`fetch`] uses the
/// network.
pub type Get = dyn Fn(&str, Instant) -> Result<Fetched, TrackerError> + Send + Sync;

/// Announces with a request made by `get`.
///
/// # Errors
/// As [`Tracker::announce`].
pub fn announce_with(
    get: &Get,
    url: &str,
    ask: &AnnounceRequest,
    deadline: Instant,
) -> Result<AnnounceResponse, TrackerError> {
    let Fetched { status, body, from } = get(&announce_url(url, ask), deadline)?;
    // Decoded whatever the status is: some trackers send a failure reason with 200, some with 400.
    match one_at_a_time(|| AnnounceResponse::decode(&body)) {
        // The reason in the body says more than the status.
        Err(failure @ TrackerError::Failure { .. }) => Err(failure),
        _ if status != 200 => Err(TrackerError::Status(status)),
        answer => answer.map(|answer| AnnounceResponse { from, ..answer }),
    }
}

/// Decodes an answer while no other thread of the process does: a decoded answer may take
/// four times the memory of its bytes. A torrent with a hundred tiers has a hundred threads
/// that could all do so at once. Decoding 256 KiB is quick, so they do not wait for long.
pub(crate) fn one_at_a_time<T>(decode: impl FnOnce() -> T) -> T {
    // The lock guards a turn and no data, so a panic in `decode` has spoiled nothing.
    static DECODING: Mutex<()> = Mutex::new(());
    let _turn = DECODING.lock().unwrap_or_else(PoisonError::into_inner);
    decode()
}

/// Appends our query to the tracker's URL, after the URL's own query: a private
/// tracker knows its users by a `?passkey=`.
fn announce_url(url: &str, ask: &AnnounceRequest) -> String {
    let url = uri(url);
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{}", ask.query())
}

/// Makes a URL valid for a request: removes its fragment, and percent-encodes every
/// character that RFC 3986 does not allow in a path or query. Existing encodings stay.
pub(crate) fn uri(url: &str) -> String {
    // The part after `#` is for browsers and never sent.
    let url = url.trim().split('#').next().unwrap_or_default();
    // http://user:password@host:80/path?query
    //        |authority           |path
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url.split_at(authority).1.find(['/', '?']).map_or(url.len(), |at| authority + at);
    let (start, path) = url.split_at(path);
    let mut uri = start.to_owned();
    for (at, byte) in path.bytes().enumerate() {
        let is_encoding = || {
            path.as_bytes()
                .get(at + 1..at + 3)
                .is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
        };
        match byte {
            // Encoding it again would change `%41` to `%2541`, which is another URL.
            b'%' if is_encoding() => uri.push('%'),
            _ if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte) => {
                uri.push(byte.into())
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

/// Returns a URL without its user and password, and the value of the `Authorization` header
/// that replaces them (RFC 7617). They are percent-encoded in a URL, but not in the header.
fn credentials(url: &str) -> (String, Option<String>) {
    let authority = url.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = url.split_at(authority);
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    // The last `@`: in a password that was not encoded there may be others.
    let Some((user, host)) = host.rsplit_once('@') else { return (url.to_owned(), None) };
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let [user, password] = [user, password].map(|text| urlencoding::decode_binary(text.as_bytes()));
    let basic = BASE64_STANDARD.encode([&user, &b":"[..], &password].concat());
    (format!("{scheme}{host}{path}"), Some(format!("Basic {basic}")))
}

/// Returns a tracker's answer to one GET request.
///
/// # Errors
/// If there is no whole answer by `deadline`, if it is too long, or if we may not contact that
/// address ([`reach`](super::reach)).
pub fn fetch(url: &str, deadline: Instant) -> Result<Fetched, TrackerError> {
    let fetched = match get(url, deadline) {
        // A tracker that is only just starting refuses connections.
        Err(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            thread::sleep(
                Duration::from_millis(150).min(deadline.saturating_duration_since(Instant::now())),
            );
            get(url, deadline)
        }
        other => other,
    }
    .map_err(reason)?;
    if fetched.body.len() > MAX_ANSWER_LENGTH {
        return Err(TrackerError::TooLong(MAX_ANSWER_LENGTH));
    }
    Ok(fetched)
}

/// Says in the terms of this stage why a request failed. The words matter: the user reads them,
/// and stage 13 decides by the variant whether asking again can help.
fn reason(error: ureq::Error) -> TrackerError {
    match error {
        ureq::Error::Timeout(_) => TrackerError::TimedOut,
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            TrackerError::Transport("the tracker hung up before it had answered".into())
        }
        ureq::Error::Io(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            // A redirect may be gone tomorrow; a URL that is off limits stays so.
            Some(OffLimits { why, redirected: true }) => {
                TrackerError::Transport(format!("it redirects elsewhere: {why}").into())
            }
            Some(OffLimits { why, .. }) => TrackerError::OffLimits(why),
            None => TrackerError::Transport(error.into()),
        },
        ureq::Error::Protocol(error) => {
            TrackerError::Transport(format!("an HTTP answer was expected, but: {error}").into())
        }
        ureq::Error::TooManyRedirects => {
            TrackerError::Transport(format!("it redirects more than {MAX_REDIRECTS} times").into())
        }
        // The error may quote the URL that the tracker redirects to.
        error => TrackerError::Transport(words(error.to_string().as_bytes()).into()),
    }
}

/// Makes the request, and reads at most one byte more than allowed.
///
/// The agent lives for this one request: [`Guarded`] judges the redirects of one, not of several.
fn get(url: &str, deadline: Instant) -> Result<Fetched, ureq::Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    let config = Config::builder()
        // From the name lookup to the last byte of the body: ureq's default is no limit.
        .timeout_global(Some(left.max(Duration::from_millis(1))))
        .http_status_as_error(false) // a 4xx may hold a failure reason
        .proxy(None) // HTTP_PROXY would divert even a tracker on loopback
        .max_redirects(MAX_REDIRECTS)
        .max_response_header_size(MAX_HEAD_LENGTH)
        .input_buffer_size(MAX_HEAD_LENGTH)
        .output_buffer_size(MAX_HEAD_LENGTH)
        .user_agent(concat!("piecemeal/", env!("CARGO_PKG_VERSION")))
        .build();
    let guarded = Guarded::default();
    let way = Arc::clone(&guarded.way);
    let agent = ureq::Agent::with_parts(config, DefaultConnector::default(), guarded);
    let (url, authorization) = credentials(url);
    let mut request = agent.get(url);
    if let Some(basic) = authorization {
        request = request.header("Authorization", basic);
    }
    let mut response = request.call()?;
    // ureq's own limit counts compressed bytes, and gzip makes a thousand out of one. This
    // counts what comes out.
    let mut body = Vec::new();
    response
        .body_mut()
        .as_reader()
        .take(MAX_ANSWER_LENGTH as u64 + 1)
        .read_to_end(&mut body)
        .map_err(timeout_as_such)?;
    // Never `None` here: every connection has passed the resolver.
    let from = way.lock().unwrap_or_else(PoisonError::into_inner).farthest.unwrap_or_default();
    Ok(Fetched { status: response.status().as_u16(), body, from })
}

/// Whether a URL names an impossible port. No port, or an empty one as in `http://t:/`, is valid:
/// it means the scheme's own (RFC 3986).
fn has_bad_port(url: &Uri) -> bool {
    let authority = url.authority().map(Authority::as_str).unwrap_or_default();
    // The colons of an IPv6 address are in brackets.
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    after_host
        .split_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.parse::<u16>().unwrap_or(0) == 0)
}

/// Unwraps an error of ureq, which wraps its own errors when it acts as a reader. Otherwise a
/// body that takes too long would not be recognized as a timeout.
fn timeout_as_such(error: io::Error) -> ureq::Error {
    match error.downcast::<ureq::Error>() {
        Ok(inner) => inner,
        Err(error) => ureq::Error::Io(error),
    }
}

/// Looks up names, and passes on only addresses that we may contact: of a tracker, and of the
/// servers that it redirects to.
///
/// Checking the URL before the request would not do. The name in it may lead to another
/// address when ureq looks it up, and redirects are followed inside ureq. The resolver is the
/// one place that every connection has to pass.
#[derive(Debug, Default)]
struct Guarded {
    names: DefaultResolver,
    /// Shared with [`get`], which reads it after the request.
    way: Arc<Mutex<Way>>,
}

/// Where the request has gone so far.
#[derive(Debug, Default)]
struct Way {
    /// The distance of the farthest server; `None` before the first.
    farthest: Option<Reach>,
    /// The last server, as written in its URL.
    server: Option<Authority>,
}

/// Why the resolver gives no address.
#[derive(Debug, Error)]
#[error("{why}")]
struct OffLimits {
    /// The sentence of [`reach`](super::reach).
    why: &'static str,
    /// Whether another server led there.
    redirected: bool,
}

impl Resolver for Guarded {
    /// Returns the addresses for the first server or the next redirect. ureq calls this once before
    /// each connection, with its own timeout.
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // ureq would take 80 instead of a port that is too large.
        if has_bad_port(uri) {
            return Err(ureq::Error::BadUri("its port is not a number from 1 to 65535".to_owned()));
        }
        let found = self.names.resolve(uri, config, timeout)?;
        let reach = |address: &SocketAddr| Reach::of(address.ip());
        let nearest = found.iter().map(reach).min().unwrap_or_default();
        // If a name has addresses at several distances, only the nearest are tried: ureq does
        // not report which one answered, and the answer's peers are judged by its distance.
        let mut kept = self.empty();
        found
            .iter()
            .filter(|address| reach(address) == nearest)
            .for_each(|address| kept.push(*address));
        // Locked only after the lookup, which can take seconds.
        let mut way = self.way.lock().unwrap_or_else(PoisonError::into_inner);
        // A server gains nothing by redirecting to itself: it could have acted on the first
        // request.
        let itself = way.server.is_some() && way.server.as_ref() == uri.authority();
        let path = if itself { None } else { path_refusal(nearest, uri.path()) };
        let inward = way.farthest.and_then(|farthest| redirect_refusal(farthest, nearest));
        if let Some(why) = inward.or(path) {
            // As an I/O error, since ureq hands those on unchanged: `reason` finds it inside.
            return Err(
                io::Error::other(OffLimits { why, redirected: way.server.is_some() }).into()
            );
        }
        way.farthest = way.farthest.max(Some(nearest));
        way.server = uri.authority().cloned();
        Ok(kept)
    }
}
