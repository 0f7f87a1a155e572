//! What came of a replay: where our side differed from the capture. (trace)

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::trace::replay::Report;
use serde_json::json;

use super::Answer;

/// Returns a report as text for people and as JSON.
pub fn describe(report: &Report) -> Answer {
    let Report { connection, peer, client, pieces, blocks, bytes, differences, more } = report;
    let client = client.as_ref().map(|client| format!(", {client}")).unwrap_or_default();
    let mut lines = vec![format!("Connection {connection}: {peer}{client}.")];
    lines.push(format!(
        "Took {} in {}, {}.",
        counted(*pieces, "piece"),
        counted(*blocks, "block"),
        counted(*bytes, "byte")
    ));
    lines.extend(differences.iter().map(|difference| format!("- {}", printable(difference))));
    lines.extend((*more > 0).then(|| format!("- {more} more")));
    lines.extend(
        differences.is_empty().then(|| "Our side said the same as in the capture.".to_owned()),
    );
    let json = json!({
        "connection": connection, "peer": peer.to_string(), "client": report.client, "pieces": pieces, "blocks": blocks,
        "bytes": bytes, "same": differences.is_empty(), "differences": differences, "more": more,
    });
    Answer { text: lines.join("\n"), json }
}
