//! What in an announce URL is nobody else's business. A first reading can skip this file.
//!
//! A private tracker knows its users by a key in the URL. Whoever has the key downloads in
//! the user's name, and screens, logs and pages get shown around. So everything that is shown
//! passes [`hide`], and bytes that are shown pass [`mask`].
//!
//! | where | what is hidden | why |
//! |---|---|---|
//! | `://user:PASSWORD@` | the password; a user without one if it looks like a key | HTTP's own login |
//! | `?passkey=KEY` and other names in `NAMES` | the value, however short | the name says it |
//! | `?x=KEY`, no parameter of an announce | a value that looks like a key | trackers invent names |
//! | `/KEY/announce`, `/passkey/KEY` | a part that looks like a key, or follows such a name | the oldest form |
//! | `Authorization: KEY`, `Cookie: KEY` | the value | the same in a header |
//!
//! *Looks like a key*: at least 16 letters and digits, both of them, or 24 of a base64
//! alphabet. The client's own `key=` is shorter, and worth nothing once the session is over.
//! In a link the signs may be percent-encoded (`passkey%3D`).

use std::ops::Range;

/// Names whose values are secrets.
const NAMES: [&str; 21] = [
    "passkey",
    "torrent_pass",
    "torrentpass",
    "pass",
    "password",
    "passwd",
    "pwd",
    "pid",
    "uk",
    "authkey",
    "auth_key",
    "auth",
    "auth_token",
    "token",
    "access_token",
    "secret",
    "apikey",
    "api_key",
    "rsskey",
    "credential",
    "sid",
];

/// What every announce, scrape or link says, whatever it looks like.
const PUBLIC: [&str; 12] =
    ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "trackerid", "xt", "dn", "ip", "x.pe"];

/// Returns the text with `…` in place of each secret.
pub fn hide(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for secret in secrets(text.as_bytes()) {
        shown += text.get(end..secret.start).unwrap_or_default();
        shown.push('…');
        end = secret.end;
    }
    shown + text.get(end..).unwrap_or_default()
}

/// Returns the bytes with `*` in place of each byte of a secret.
pub fn mask(bytes: &[u8]) -> Vec<u8> {
    let mut shown = bytes.to_vec();
    for secret in secrets(bytes) {
        shown.get_mut(secret).unwrap_or_default().fill(b'*');
    }
    shown
}

/// Where secrets are, in order.
fn secrets(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Two million hashes pass here, and no secret goes without one of these signs.
    if !text.iter().any(|byte| matches!(byte, b'=' | b'/' | b':' | b'%')) {
        return found;
    }
    let mut at = 0;
    while at < text.len() {
        let end = at + part(text, at..text.len()).iter().take_while(|byte| is_of_word(**byte)).count();
        if end > at {
            of_word(text, at..end, &mut found);
            of_header(text, at..end, &mut found);
        }
        at = end + 1;
    }
    found.sort_by_key(|secret: &Range<usize>| secret.start);
    found.dedup_by(|next, last| {
        let overlap = next.start < last.end;
        if overlap {
            last.end = last.end.max(next.end);
        }
        overlap
    });
    found
}

/// What a URL in a text ends at.
fn is_of_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !b"\"'<>()[]{}\\`,;".contains(&byte)
}

/// A word without blanks: a URL, a path, a query, or anything else.
fn of_word(text: &[u8], word: Range<usize>, found: &mut Vec<Range<usize>>) {
    let scheme = part(text, word.clone()).windows(3).position(|three| three == b"://").map(|at| word.start + at + 3);
    let from = scheme.unwrap_or(word.start);
    let until =
        |from: usize, stops: &[u8]| from + part(text, from..word.end).iter().take_while(|byte| !stops.contains(byte)).count();
    let path = if scheme.is_some() { until(from, b"/?#") } else { from };
    if scheme.is_some()
        && let Some(login) = part(text, from..path).iter().rposition(|byte| *byte == b'@').map(|at| from..from + at)
    {
        match part(text, login.clone()).iter().position(|byte| *byte == b':') {
            Some(colon) => found.push(login.start + colon + 1..login.end),
            None if is_key(part(text, login.clone())) => found.push(login),
            None => {}
        }
    }
    let query = until(path, b"?");
    let parts = split(text, path..query, &[b"/", b"%2F", b"%2f"]);
    // A path of its own must look like a tracker's, or every file's would be meant.
    let is_trackers =
        |step: &Range<usize>| [&b"announce"[..], b"scrape"].iter().any(|name| part(text, step.clone()).starts_with(name));
    if scheme.is_some() || part(text, word.clone()).starts_with(b"/") && parts.iter().any(is_trackers) {
        let mut before = word.start..word.start;
        for step in parts {
            let named = is_name(part(text, before)) && !is_trackers(&step) && !step.is_empty();
            if named || is_key(part(text, step.clone())) {
                found.push(step.clone());
            }
            before = step;
        }
    }
    for pair in split(text, path..word.end, &[b"?", b"&", b"#", b"%3F", b"%3f", b"%26"]) {
        let sides = split(text, pair, &[b"=", b"%3D", b"%3d"]);
        // Percent-encoded, it stands behind the name of what it is in: tr=http..%3Fpasskey%3Dx.
        if let [.., name, value] = sides.as_slice() {
            let public = PUBLIC.iter().any(|known| known.as_bytes() == part(text, name.clone()));
            if !value.is_empty() && (is_name(part(text, name.clone())) || !public && is_key(part(text, value.clone()))) {
                found.push(value.clone());
            }
            of_encoded_url(text, value.clone(), found);
        }
    }
}

/// The same for a URL in a link, whose signs are percent-encoded: login and path. Its query is
/// split like any other.
fn of_encoded_url(text: &[u8], url: Range<usize>, found: &mut Vec<Range<usize>>) {
    let parts = split(text, url, &[b"%2F", b"%2f", b"/"]);
    let [_, _, host, path @ ..] = parts.as_slice() else { return };
    if let [login @ .., _] = split(text, host.clone(), &[b"%40", b"@"]).as_slice()
        && let (Some(first), Some(last)) = (login.first(), login.last())
        && let [_, password, ..] = split(text, first.start..last.end, &[b"%3A", b"%3a", b":"]).as_slice()
    {
        found.push(password.start..last.end);
    }
    found.extend(path.iter().filter(|step| is_key(part(text, (*step).clone()))).cloned());
}

/// The value of a header line that says who asks.
fn of_header(text: &[u8], word: Range<usize>, found: &mut Vec<Range<usize>>) {
    let headers: [&[u8]; 3] = [b"authorization:", b"cookie:", b"proxy-authorization:"];
    let line = part(text, word.end..text.len()).iter().take_while(|byte| **byte != b'\n' && **byte != b'\r').count();
    if headers.iter().any(|header| part(text, word.clone()).eq_ignore_ascii_case(header)) && line > 1 {
        found.push(word.end + 1..word.end + line);
    }
}

/// Splits a range at any of these.
fn split(text: &[u8], range: Range<usize>, at: &[&[u8]]) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut here) = (Vec::new(), range.start, range.start);
    while here < range.end {
        match at.iter().find(|sign| part(text, here..range.end).starts_with(sign)) {
            Some(sign) => {
                parts.push(start..here);
                here += sign.len();
                start = here;
            }
            None => here += 1,
        }
    }
    parts.push(start..range.end);
    parts
}

fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

fn is_name(name: &[u8]) -> bool {
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether nobody would have chosen it as a name. A masked one still is.
fn is_key(text: &[u8]) -> bool {
    let alphanumeric = text.iter().all(u8::is_ascii_alphanumeric);
    let mixed = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic);
    let base64 = text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+".contains(byte));
    let masked = !text.is_empty() && text.iter().all(|byte| *byte == b'*');
    masked || text.len() >= 16 && alphanumeric && mixed || text.len() >= 24 && base64 && (mixed || alphanumeric)
}
