//! Links with a name of version 2: a multihash, whose first two bytes say what it is.

use crate::grade::check::Finding;
use crate::grade::miss::worst;
use crate::grade::scene::Scene;

/// What a link's names are written as.
const CAUSE: &str = "urn:btmh: has a multihash behind it: 1220 says SHA-256 of 32 bytes, and 64 hex \
                     digits follow; show those without the 1220";

/// Returns 32 bytes in hex, the first of which are no other hash's mark.
fn name(scene: &mut Scene) -> String {
    hex::encode(scene.dice.bytes(32))
}

fn says(scene: &Scene, link: &str, expected: &str, cause: &str) -> Finding {
    let outcome = scene.run(&["magnet_parse", link])?;
    outcome.prints(expected).map_err(|miss| {
        let text = outcome.text();
        if text.contains(": 1220") { miss.likely(CAUSE) } else { miss.perhaps(cause) }
    })
}

pub fn new(scene: &mut Scene) -> Finding {
    let (name, word) = (name(scene), scene.dice.word(6));
    let expected = format!("Info Hash v2: {name}");
    let link = format!("magnet:?xt=urn:btmh:1220{name}&dn={word}");
    says(scene, &link, &expected, CAUSE)?;
    // Capitals mean the same.
    let link = format!("magnet:?dn={word}&xt=urn:btmh:1220{}", name.to_uppercase());
    says(scene, &link, &expected, "capitals and small letters mean the same in hex")
}

pub fn both(scene: &mut Scene) -> Finding {
    let (new, old) = (name(scene), hex::encode(scene.dice.twenty()));
    let url = format!("http://127.0.0.1:{}/announce", scene.dice.number(40_000, 65_000));
    let expected = format!("Tracker URL: {url}\nInfo Hash: {old}\nInfo Hash v2: {new}");
    let topics = [format!("xt=urn:btih:{old}"), format!("xt=urn:btmh:1220{new}")];
    let cause = "a hybrid has two names, and its link has xt twice, in any order: show both";
    for topics in [[&topics[0], &topics[1]], [&topics[1], &topics[0]]] {
        let link = format!("magnet:?{}&tr={url}&{}", topics[0], topics[1]);
        says(scene, &link, &expected, cause)?;
    }
    Ok(())
}

pub fn odd(scene: &mut Scene) -> Finding {
    let name = name(scene);
    let links = [
        // SHA-1 in a multihash; no mark at all; a digit too few and too many.
        format!("magnet:?xt=urn:btmh:1114{}", &name[..40]),
        format!("magnet:?xt=urn:btmh:{name}"),
        format!("magnet:?xt=urn:btmh:1220{}", &name[..63]),
        format!("magnet:?xt=urn:btmh:1220{name}0"),
        format!("magnet:?xt=urn:btmh:1220{}g", &name[..63]),
        format!("magnet:?xt=urn:btih:{name}"),
    ];
    worst(links.iter().map(|link| {
        let outcome = scene.run(&["magnet_parse", link])?;
        outcome.refuses_silently().map_err(|miss| {
            miss.likely("behind urn:btmh: are 1220 and 64 hex digits, behind urn:btih: 40 or 32, and nothing else")
        })
    }))
}
