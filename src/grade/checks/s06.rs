//! Stage 6: `magnet_parse LINK` prints what a magnet link says.

use crate::actors::wire::percent_encoded;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::worst;
use crate::grade::scene::Scene;

const MAGNET: &str = "BEP 9, magnet URI format";
const ENCODING: &str = "RFC 3986, percent-encoding";

/// The checks of stage 6.
pub const CHECKS: &[Check] = &[
    Check::new("6.1", "the tracker and the info hash of a link", MAGNET, plain)
        .twin("parse magnet link"),
    Check::new("6.2", "the parameters in any order", MAGNET, any_order),
    Check::new("6.3", "an info hash in base32", MAGNET, in_base32),
    Check::new("6.4", "hex in capitals, base32 in small letters", MAGNET, in_other_case),
    Check::new("6.5", "a plus in a URL is a plus, escaped or not", ENCODING, plus),
    Check::new("6.6", "several trackers, in the link's order", MAGNET, several_trackers),
    Check::new("6.7", "a peer's address in x.pe", MAGNET, peers),
    Check::new("6.8", "a link without a tracker", MAGNET, trackerless),
    Check::new("6.9", "an info hash of another length is refused", MAGNET, odd_lengths)
        .refusal("6.1"),
    Check::new("6.10", "a link for another network is refused", MAGNET, other_network)
        .refusal("6.1"),
    Check::new("6.11", "a link without a topic is refused", MAGNET, no_topic).refusal("6.8"),
    Check::new("6.12", "two topics: the one of BitTorrent counts", MAGNET, two_topics),
    Check::new("6.13", "a tracker's URL with a query of its own", ENCODING, query_within),
    Check::new("6.14", "parameters that you do not know, and a name", MAGNET, unknown_keys),
    Check::new("6.15", "a topic that is escaped", ENCODING, escaped_topic),
    Check::new("6.16", "what is no magnet link is refused", MAGNET, no_link).refusal("6.1"),
    Check::new("6.17", "letters that are no hex digits are refused", MAGNET, no_hex).refusal("6.1"),
];

const ESCAPED: &str = "the values of a link are escaped: %3A is a colon, %2F a slash";

fn plain(scene: &mut Scene) -> Finding {
    let (hash, url, word) = (hash(scene), url(scene), scene.dice.word(6));
    let link = format!("magnet:?xt=urn:btih:{hash}&dn={word}&tr={}", escaped(&url));
    says(scene, &link, &[url], &hash, "")
}

fn any_order(scene: &mut Scene) -> Finding {
    let (hash, url, word) = (hash(scene), url(scene), scene.dice.word(6));
    let (topic, tracker) = (format!("xt=urn:btih:{hash}"), format!("tr={}", escaped(&url)));
    let cause = "split the link at each &, then each part at its first =; any part may be first";
    for parts in [[&*tracker, "dn=a", &*topic], ["dn=b", &*topic, &*tracker]] {
        let link = format!("magnet:?{}&xl={}", parts.join("&"), word.len());
        says(scene, &link, std::slice::from_ref(&url), &hash, cause)?;
    }
    Ok(())
}

fn in_base32(scene: &mut Scene) -> Finding {
    let (bytes, url) = (scene.dice.twenty(), url(scene));
    let link = format!("magnet:?xt=urn:btih:{}&tr={}", base32(&bytes), escaped(&url));
    let cause = "32 characters are base32: decode them to 20 bytes, and show those in hex";
    says(scene, &link, &[url], &hex::encode(bytes), cause)
}

fn in_other_case(scene: &mut Scene) -> Finding {
    let (mut bytes, url) = (scene.dice.twenty(), url(scene));
    bytes[0] = 0xab; // at least one letter
    let hash = hex::encode(bytes);
    let cause = "capitals and small letters mean the same here: decode the hash to 20 bytes, and \
                 show them in small letters";
    for topic in [hash.to_uppercase(), base32(&bytes).to_lowercase()] {
        let link = format!("magnet:?xt=urn:btih:{topic}&tr={}", escaped(&url));
        says(scene, &link, std::slice::from_ref(&url), &hash, cause)?;
    }
    Ok(())
}

fn plus(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), format!("{}/a+b", url(scene)));
    let once = escaped(&url).replace("%2B", "+");
    for (escaped, cause) in [
        (escaped(&url), "%2B is a plus, and stays one: decode each value once, not twice"),
        (
            once,
            "a plus is a space in web forms only: take the decoder for URLs, not that for forms",
        ),
    ] {
        let link = format!("magnet:?xt=urn:btih:{hash}&tr={escaped}");
        says(scene, &link, std::slice::from_ref(&url), &hash, cause)?;
    }
    Ok(())
}

fn several_trackers(scene: &mut Scene) -> Finding {
    let hash = hash(scene);
    let urls: Vec<String> = (0..3).map(|_| url(scene)).collect();
    let [first, second, third] = [0, 1, 2].map(|index: usize| escaped(&urls[index]));
    let link = format!("magnet:?tr={first}&xt=urn:btih:{hash}&tr={second}&dn=x&tr={third}");
    says(scene, &link, &urls, &hash, "a key may come again: a map of keys keeps only one of them")
}

fn peers(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), url(scene));
    let peer = format!("127.0.0.{}:{}", scene.dice.number(2, 250), scene.dice.number(1025, 65_000));
    let link = format!("magnet:?xt=urn:btih:{hash}&tr={}&x.pe={peer}", escaped(&url));
    let expected = format!("Tracker URL: {url}\nInfo Hash: {hash}\nPeer: {peer}");
    scene.run(&["magnet_parse", &link])?.prints(&expected).map_err(|miss| {
        miss.perhaps("x.pe is the address of a peer; it is shown behind the info hash")
    })
}

fn trackerless(scene: &mut Scene) -> Finding {
    let hash = hash(scene);
    let cause = "tr may be missing: peers may be found in other ways, and it is no error";
    says(scene, &format!("magnet:?xt=urn:btih:{hash}"), &[], &hash, cause)
}

fn two_topics(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), url(scene));
    let other = format!("xt=urn:sha1:{}", base32(&scene.dice.twenty()));
    let topic = format!("xt=urn:btih:{hash}");
    let cause = "there may be several topics: take the one that begins with urn:btih:";
    for topics in [[&*other, &*topic], [&*topic, &*other]] {
        let link = format!("magnet:?{}&tr={}", topics.join("&"), escaped(&url));
        says(scene, &link, std::slice::from_ref(&url), &hash, cause)?;
    }
    Ok(())
}

fn query_within(scene: &mut Scene) -> Finding {
    let (hash, word) = (hash(scene), scene.dice.word(6));
    let url = format!("{}?passkey={word}&xt=urn:btih:{}&tr=0", url(scene), "0".repeat(40));
    let link = format!("magnet:?xt=urn:btih:{hash}&tr={}&dn={word}", escaped(&url));
    let cause = "split the link at & first, and decode each value after that";
    says(scene, &link, &[url], &hash, cause)
}

fn unknown_keys(scene: &mut Scene) -> Finding {
    let (hash, url, word) = (hash(scene), url(scene), scene.dice.word(6));
    let name = escaped(&format!("{word} 100% é&="));
    let link = format!(
        "magnet:?x.{word}=1&kt={word}+{word}&xt=urn:btih:{hash}&xl=5&dn={name}&tr={}",
        escaped(&url)
    );
    says(scene, &link, &[url], &hash, "pass over every key that you do not know")
}

fn escaped_topic(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), url(scene));
    let link = format!("magnet:?xt=urn%3Abtih%3A{hash}&tr={}", escaped(&url));
    let cause = "xt is a value like any other: decode it, then check that it begins with urn:btih:";
    says(scene, &link, &[url], &hash, cause)
}

fn odd_lengths(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), escaped(&url(scene)));
    let hashes = [&hash[..39], &*format!("{hash}0"), &hash[..8], ""];
    let cause = "an info hash is 40 hex digits, or 32 letters of base32, and nothing else";
    let links = hashes.map(|hash| format!("magnet:?xt=urn:btih:{hash}&tr={url}"));
    refused(scene, &links, cause)
}

fn no_hex(scene: &mut Scene) -> Finding {
    let (mut hash, url) = (hash(scene), escaped(&url(scene)));
    let place = scene.dice.length(0, 39);
    hash.replace_range(place..=place, "g");
    let mut base32 = base32(&scene.dice.twenty());
    base32.replace_range(5..6, "1"); // which base32 has not
    let links = [hash, base32].map(|hash| format!("magnet:?xt=urn:btih:{hash}&tr={url}"));
    refused(scene, &links, "count the characters, and decode them as well: that finds a wrong one")
}

fn other_network(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), escaped(&url(scene)));
    let links = [
        format!("magnet:?xt=urn:ed2k:{}&tr={url}", &hash[..32]),
        format!("magnet:?xt=urn:sha1:{}&tr={url}", base32(&scene.dice.twenty())),
        format!("magnet:?xt=urn:tree:{hash}&tr={url}"),
    ];
    refused(scene, &links, "only a topic that begins with urn:btih: names a torrent")
}

fn no_topic(scene: &mut Scene) -> Finding {
    let (word, url) = (scene.dice.word(6), escaped(&url(scene)));
    let links = [format!("magnet:?dn={word}&tr={url}"), "magnet:?".to_owned()];
    refused(scene, &links, "without xt there is no info hash, and nothing to fetch")
}

fn no_link(scene: &mut Scene) -> Finding {
    let (hash, url) = (hash(scene), url(scene));
    let links = [
        format!("{url}?xt=urn:btih:{hash}&tr={}", escaped(&url)),
        hash,
        format!("{}.torrent", scene.dice.word(6)),
    ];
    refused(scene, &links, "a magnet link begins with magnet:?")
}

/// Insists on these trackers and this info hash.
fn says(scene: &Scene, link: &str, trackers: &[String], hash: &str, cause: &str) -> Finding {
    let outcome = scene.run(&["magnet_parse", link])?;
    let mut lines: Vec<String> = trackers.iter().map(|url| format!("Tracker URL: {url}")).collect();
    lines.push(format!("Info Hash: {hash}"));
    outcome.prints(&lines.join("\n")).map_err(|miss| {
        let text = outcome.text();
        match cause {
            _ if text.contains("%3A") || text.contains("%2F") => miss.likely(ESCAPED),
            _ if text.contains("Info Hash: urn:") || text.contains("Info Hash: btih:") => {
                miss.likely("the info hash is what comes behind urn:btih:")
            }
            "" => miss,
            cause => miss.perhaps(cause),
        }
    })
}

/// Insists that each of these links is refused.
fn refused(scene: &Scene, links: &[String], cause: &str) -> Finding {
    worst(links.iter().map(|link| {
        let outcome = scene.run(&["magnet_parse", link])?;
        outcome.refuses_silently().map_err(|miss| miss.likely(cause))
    }))
}

fn hash(scene: &mut Scene) -> String {
    hex::encode(scene.dice.twenty())
}

/// Returns the URL of a tracker where nobody listens.
fn url(scene: &mut Scene) -> String {
    let port = scene.dice.number(40_000, 65_000);
    format!("http://127.0.0.1:{port}/{}/announce", scene.dice.word(5))
}

fn escaped(text: &str) -> String {
    percent_encoded(text.as_bytes())
}

/// Returns bytes in base32 of RFC 4648: five bits a letter.
fn base32(bytes: &[u8; 20]) -> String {
    let letter = |place: usize| {
        let bits = (5 * place..5 * place + 5).map(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1);
        let five = bits.fold(0, |five, bit| five << 1 | bit);
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(five)])
    };
    (0..32).map(letter).collect()
}
