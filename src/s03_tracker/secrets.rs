//! Hides the secrets in an announce URL. Skip this at first reading.
//!
//! A private tracker knows its users by a key in the URL. Anyone who has the key can download
//! in the user's name, and people share screenshots and logs. So all text that is shown passes
//! [`hide`], and bytes that are shown pass [`mask`].
//!
//! | where | what is hidden | why |
//! |---|---|---|
//! | `://user:PASSWORD@` | the password; a user without one if it looks like a key | HTTP's own login |
//! | `?passkey=KEY` and other names in `NAMES` | the value, however short | the name says it |
//! | `?x=KEY`, where `x` is no usual parameter | a value that looks like a key | trackers invent names |
//! | `/KEY/announce`, `/passkey/KEY` | a part that looks like a key, or follows such a name | the oldest form |
//! | `Authorization: KEY`, `Cookie: KEY` | the value | the same in a header |
//! | `tracker id` in an answer, `?trackerid=` | the value | a tracker's own cookie |
//!
//! *Looks like a key*: at least 16 letters and digits, with some of each, or 24 characters of a
//! base64 alphabet. The client's own `key=` is shorter, and worthless once the session is over.
//! In a link, `=`, `/` and the like may be percent-encoded (`passkey%3D`).
//!
//! A text is taken apart from the outside in: runs without blanks, words, the parts of a URL. All
//! functions take the whole text and a range of it, so that nothing is copied on the way.
//!
//! ```text
//! text    asked http://me:PASSWORD@t.example/KEY/announce?passkey=KEY&left=0 again
//! runs    ^^^^^ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ ^^^^^
//! parts                |login      |host    |path         |pair       |pair
//! ```

use std::ops::{Range, RangeInclusive};

/// Names whose values are secrets, in lower case. Case is ignored.
const NAMES: [&[&str]; 4] = [
    // A key in an announce URL.
    &["passkey", "torrent_pass", "torrentpass", "pid", "uk", "authkey", "auth_key", "rsskey"],
    // A password.
    &["pass", "password", "passwd", "pwd", "credential", "secret"],
    // What a web site gives to a program.
    &["auth", "auth_token", "token", "access_token", "apikey", "api_key"],
    // What a tracker recognizes a session by.
    &["sid", "trackerid"],
];

/// Parameters of every announce, scrape or link. Their values are shown, even if they look like
/// a key: an info hash does.
const PUBLIC: [&[&str]; 2] = [
    &["info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "ip"],
    &["xt", "dn", "x.pe"], // a magnet link
];

/// The lengths of secrets, in bytes, that are also searched for in the rest of the text. Shorter
/// ones may be ordinary words.
const WORDS: RangeInclusive<usize> = 8..=100;
/// The most secrets that are searched for this way.
const MAX_WORDS: usize = 8;

/// Returns the text with `…` in place of each secret. Hiding twice is the same as hiding once.
///
/// ```
/// use piecemeal::s03_tracker::secrets::hide;
///
/// let told = "http://t.example/announce?passkey=x3Y names 5 peers";
/// assert_eq!(hide(told), "http://t.example/announce?passkey=… names 5 peers");
/// ```
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

/// Returns the bytes with `*` in place of each byte of a secret. In bencode, each string is
/// searched alone: the bytes after a URL are not part of it. The length stays, so every offset
/// and length in the bytes is still right.
pub fn mask(bytes: &[u8]) -> Vec<u8> {
    let mut shown = bytes.to_vec();
    // Its start decides. Broken bencode is worth showing, so it must be masked as far as it goes.
    let is_bencode = matches!(bytes, [b'd' | b'l', b'0'..=b'9' | b'd' | b'l' | b'i' | b'e', ..]);
    let mut at = 0;
    let mut is_cookie = false; // the string before was the key `tracker id`
    while let Some(string) = if is_bencode { next_string(bytes, at) } else { None } {
        at = string.end;
        let text = part(bytes, string.clone());
        if is_cookie {
            shown.get_mut(string).unwrap_or_default().fill(b'*');
        } else if is_text(text) {
            cover(&mut shown, string);
        }
        is_cookie = text == b"tracker id";
    }
    // Everything, if this is not bencode; else the part that could not be read.
    cover(&mut shown, at..bytes.len());
    shown
}

/// Covers the secrets in a part of the bytes with stars, one for each byte.
fn cover(shown: &mut [u8], range: Range<usize>) {
    for secret in secrets(part(shown, range.clone())) {
        let secret = range.start + secret.start..range.start + secret.end;
        shown.get_mut(secret).unwrap_or_default().fill(b'*');
    }
}

/// Returns the content of the next whole string in bencode, from `at` on; `None` if there is none.
/// Integers, and where lists and dictionaries begin or end, are passed over. No tree is built:
/// stage 1 would refuse broken bencode whole, and this must go on up to the fault.
fn next_string(bytes: &[u8], mut at: usize) -> Option<Range<usize>> {
    loop {
        match bytes.get(at)? {
            b'd' | b'l' | b'e' => at += 1,
            b'i' => at += 1 + part(bytes, at..bytes.len()).iter().position(|byte| *byte == b'e')?,
            b'0'..=b'9' => {
                let digits =
                    part(bytes, at..bytes.len()).iter().take(20).position(|byte| *byte == b':')?;
                let length: usize =
                    std::str::from_utf8(part(bytes, at..at + digits)).ok()?.parse().ok()?;
                let start = at + digits + 1;
                return Some(start..start.checked_add(length).filter(|end| *end <= bytes.len())?);
            }
            _ => return None,
        }
    }
}

/// Whether a string may hold a URL. Hashes and addresses are shown unchanged.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() || has(bytes, b"://")
}

/// Returns where the secrets are, in order.
fn secrets(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // Two million hashes pass through here, and every secret has one of these characters near it.
    if !text.iter().any(|byte| matches!(byte, b'=' | b'/' | b':' | b'%')) {
        return found;
    }
    let mut at = 0;
    while at < text.len() {
        let end =
            at + part(text, at..text.len()).iter().take_while(|byte| is_of_url(**byte)).count();
        of_run(text, at..end, &mut found);
        // After a header's name, its whole value is skipped; else only the blank.
        let value = of_header(text, at..end);
        at = value.as_ref().map_or(end + 1, |value| value.end);
        found.extend(value);
    }
    // Then sort them, and join those that overlap: the same bytes can be the value of `passkey` and
    // look like a key.
    found.extend(again(text, &found));
    found.retain(|secret| !secret.is_empty());
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

/// Returns where the same secrets appear again: a tracker may quote the key that it refuses. Only
/// the first few are searched for, since a stranger's text may have any number.
fn again(text: &[u8], found: &[Range<usize>]) -> Vec<Range<usize>> {
    // Each costs a pass over the text. With a bound on their number, that is still linear.
    let mut known: Vec<&[u8]> = Vec::new();
    for secret in found.iter().map(|secret| part(text, secret.clone())) {
        if WORDS.contains(&secret.len()) && known.len() < MAX_WORDS && !known.contains(&secret) {
            known.push(secret);
        }
    }
    let places = |secret: &[u8]| {
        let same = text.windows(secret.len()).enumerate().filter(|(_, there)| *there == secret);
        same.map(|(at, there)| at..at + there.len()).collect::<Vec<_>>()
    };
    known.into_iter().flat_map(places).collect()
}

/// Finds the secrets in a run of characters without blanks. Commas and brackets end a word, but a
/// URL may contain them; they end a URL only where the next one begins. The cost is linear.
fn of_run(text: &[u8], run: Range<usize>, found: &mut Vec<Range<usize>>) {
    let is_url = is_url(part(text, run.clone()));
    let mut start = run.start;
    for (at, byte) in (run.start..).zip(part(text, run.clone())) {
        if !is_of_word(*byte) && (!is_url || begins_url(part(text, at + 1..run.end))) {
            of_word(text, trimmed(text, start..at), found);
            start = at + 1;
        }
    }
    of_word(text, trimmed(text, start..run.end), found); // the last one, which nothing ends
}

/// Whether the text begins with a scheme such as `http://`. The longest one in use has eight
/// letters.
fn begins_url(text: &[u8]) -> bool {
    let letters = text.iter().take(16).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    letters > 0 && part(text, letters..text.len()).starts_with(b"://")
}

/// Returns the range without the brackets and commas around it.
fn trimmed(text: &[u8], range: Range<usize>) -> Range<usize> {
    let around = |byte: &&u8| !is_of_word(**byte);
    let end = range.end - part(text, range.clone()).iter().rev().take_while(around).count();
    range.start + part(text, range.start..end).iter().take_while(around).count()..end
}

/// Whether a byte may be part of a URL, in any text.
fn is_of_url(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !b"\"'`<>".contains(&byte)
}

/// Whether a byte may be in any other word. Brackets, commas and semicolons surround words in
/// sentences.
fn is_of_word(byte: u8) -> bool {
    is_of_url(byte) && !b"()[]{}\\,;".contains(&byte)
}

/// Whether a word is a URL, a query, or a link with a URL in it, where `://` is encoded.
fn is_url(word: &[u8]) -> bool {
    word.contains(&b'?')
        || [&b"://"[..], b"%3A%2F%2F", b"%3a%2f%2f"].iter().any(|sign| has(word, sign))
}

/// Whether the sign is anywhere in the text.
fn has(text: &[u8], sign: &[u8]) -> bool {
    text.windows(sign.len()).any(|there| there == sign)
}

/// Finds all secrets in a word, from left to right: login, steps of the path, parameters.
fn of_word(text: &[u8], word: Range<usize>, found: &mut Vec<Range<usize>>) {
    // Where the host begins, after `://`. Nothing else of the scheme matters.
    let scheme = part(text, word.clone())
        .windows(3)
        .position(|three| three == b"://")
        .map(|at| word.start + at + 3);
    let until = |from: usize, stops: &[u8]| {
        from + part(text, from..word.end).iter().take_while(|byte| !stops.contains(byte)).count()
    };
    let host = scheme.map_or(word.start..word.start, |from| from..until(from, b"/?#"));
    if let Some(at) = part(text, host.clone()).iter().rposition(|byte| *byte == b'@') {
        let login = host.start..host.start + at;
        match part(text, login.clone()).iter().position(|byte| *byte == b':') {
            // The user's name stays: it says whose login is meant.
            Some(colon) => found.push(login.start + colon + 1..login.end),
            None if is_key(part(text, login.clone())) => found.push(login),
            None => {}
        }
    }
    // The path of a request may have a URL in its query. Before the path there may be a host, or
    // a byte with the path's length (BEP 41), which can be any character.
    let behind_length = part(text, word.start + 1..word.end).starts_with(b"/");
    let before = if behind_length { word.start + 1 } else { until(word.start, b"/?") };
    let is_path =
        text.get(before) == Some(&b'/') && scheme.is_none_or(|scheme| before + 2 < scheme);
    let path = if is_path { before } else { host.end };
    let steps = || split(text, path..until(path, b"?"), &[b"/", b"%2F", b"%2f"]);
    // A path without a host counts only if it looks like a tracker's: most are paths of files.
    let is_trackers = |step: &Range<usize>| {
        [&b"announce"[..], b"scrape"].iter().any(|name| part(text, step.clone()).starts_with(name))
    };
    if scheme.is_some() || is_path && steps().any(|step| is_trackers(&step)) {
        let mut before = word.start..word.start;
        for step in steps() {
            // `/passkey/KEY`: named by the step before it.
            let named = is_name(part(text, before)) && !is_trackers(&step) && !step.is_empty();
            if named || has_key(part(text, step.clone())) {
                found.push(step.clone());
            }
            before = step;
        }
    }
    // In every word, not only in URLs: a query may be shown without its URL.
    for pair in split(text, word.clone(), &[b"?", b"&", b"#", b"%3F", b"%3f", b"%26"]) {
        of_pair(text, pair, found);
    }
}

/// Finds a secret in the value of a parameter. A value may itself be a percent-encoded parameter:
/// `x=passkey%3DKEY`. So each side of a `=` is the value of what is to its left, and perhaps the
/// name of what is to its right.
fn of_pair(text: &[u8], pair: Range<usize>, found: &mut Vec<Range<usize>>) {
    // x=passkey%3DKEY has three sides: `x`, `passkey` and `KEY`.
    let mut sides = split(text, pair.clone(), &[b"=", b"%3D", b"%3d"]);
    let Some(mut name) = sides.next() else { return };
    let value = sides.clone().next().map_or(pair.end, |side| side.start);
    for side in sides {
        let named = part(text, name);
        // A key may contain `=`, and end with it.
        if is_name(named) && side.start < pair.end {
            found.push(side.start..pair.end);
            break;
        }
        if !PUBLIC.iter().copied().flatten().any(|known| known.as_bytes() == named)
            && has_key(part(text, side.clone()))
        {
            found.push(side.clone());
        }
        name = side;
    }
    of_encoded_url(text, value..pair.end, found);
}

/// Finds secrets in the login and the path of a percent-encoded URL in a link. Its query is split
/// like any other.
///
/// ```text
/// http%3A%2F%2Fme%3APASSWORD%40t.example%2FKEY%2Fannounce
/// http%3A      me  PASSWORD    t.example   KEY   announce     split at %2F, %40 and %3A
/// ```
fn of_encoded_url(text: &[u8], url: Range<usize>, found: &mut Vec<Range<usize>>) {
    let mut parts = split(text, url, &[b"%2F", b"%2f", b"/"]).skip(2);
    let Some(host) = parts.next() else { return };
    // At the last `@`, as in a URL that is not encoded.
    let behind_login =
        split(text, host.clone(), &[b"%40", b"@"]).last().map_or(host.start, |last| last.start);
    if behind_login > host.start {
        let sign = if text.get(behind_login - 1) == Some(&b'@') { 1 } else { 3 }; // `@` or `%40`
        let login = host.start..behind_login - sign;
        found.extend(
            split(text, login.clone(), &[b"%3A", b"%3a", b":"])
                .nth(1)
                .map(|password| password.start..login.end),
        );
    }
    found.extend(parts.filter(|step| has_key(part(text, step.clone()))));
}

/// Returns the value of a header that carries a login, if the last of these words is its name:
/// the rest of the line, since `Basic dXNlcjpw` is two words.
fn of_header(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let headers: [&[u8]; 3] = [b"authorization:", b"cookie:", b"proxy-authorization:"];
    let name = part(text, run.clone()).rsplit(|byte| !is_of_word(*byte)).next()?;
    // Checked first: going through the rest of the line for every word would cost too much.
    headers.iter().find(|header| name.eq_ignore_ascii_case(header))?;
    let line = part(text, run.end..text.len())
        .iter()
        .take_while(|byte| **byte != b'\n' && **byte != b'\r')
        .count();
    (line > 1).then(|| run.end + 1..run.end + line)
}

/// Splits a range at any of these signs. It is an iterator, since a stranger's text may have
/// millions of parts. Without a sign there is one part, the whole range.
fn split<'t>(
    text: &'t [u8],
    range: Range<usize>,
    at: &'t [&'t [u8]],
) -> impl Iterator<Item = Range<usize>> + Clone + 't {
    let mut rest = Some(range);
    std::iter::from_fn(move || {
        let Range { start, end } = rest.take()?;
        for here in start..end {
            if let Some(sign) = at.iter().find(|sign| part(text, here..end).starts_with(sign)) {
                rest = Some(here + sign.len()..end);
                return Some(start..here);
            }
        }
        Some(start..end)
    })
}

/// Returns a range of the text; nothing if it is out of bounds, which would be a mistake here.
fn part(text: &[u8], range: Range<usize>) -> &[u8] {
    text.get(range).unwrap_or_default()
}

/// Whether the last word of a parameter's name is one of `NAMES`.
fn is_name(name: &[u8]) -> bool {
    let name = name.rsplit(|byte| !is_of_word(*byte)).next().unwrap_or_default();
    NAMES.iter().copied().flatten().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether any word of the text looks like a key.
fn has_key(text: &[u8]) -> bool {
    text.split(|byte| !is_of_word(*byte)).any(is_key)
}

/// Whether a word looks like a key: no one would choose it as a name. A masked key still counts,
/// so that a text which was masked can be hidden like any other.
fn is_key(mut text: &[u8]) -> bool {
    // Base64 may end in one or two `=`, which would make a key look like a word with a sign in it.
    while let Some(unpadded) =
        [&b"="[..], b"%3D", b"%3d"].iter().find_map(|padding| text.strip_suffix(*padding))
    {
        text = unpadded;
    }
    let alphanumeric = text.iter().all(u8::is_ascii_alphanumeric);
    let mixed = text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic);
    let base64 = text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+".contains(byte));
    let masked = !text.is_empty() && text.iter().all(|byte| *byte == b'*');
    masked
        || text.len() >= 16 && alphanumeric && mixed
        || text.len() >= 24 && base64 && (mixed || alphanumeric)
}
