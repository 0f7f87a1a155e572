//! A capture as a Mermaid sequence diagram.
//!
//! It is meant for a page of documentation, so it is short: runs are folded, and after a
//! few hundred arrows it ends with the number of those that are left.

use super::fold::folded;
use super::{Capture, Role};
use crate::trace::stream::Way;
use crate::trace::text::seconds;

/// The most arrows, and the most participants besides us.
const MAX_ARROWS: usize = 300;
const MAX_LANES: usize = 30;

/// Returns the diagram, without a newline at the end.
pub fn diagram(capture: &Capture) -> String {
    let mut lines =
        vec!["sequenceDiagram".to_owned(), "    participant us as piecemeal".to_owned()];
    for (number, lane) in capture.lanes.iter().enumerate().take(MAX_LANES) {
        let who =
            if lane.role == Role::Peer { String::new() } else { format!("{} ", lane.role.word()) };
        let client = lane.client.as_ref().map(|client| format!(", {client}")).unwrap_or_default();
        lines.push(format!(
            "    participant p{number} as {}",
            escaped(&format!("{who}{}{client}", lane.name))
        ));
    }
    let runs = folded(capture);
    let shown = runs.iter().filter(|run| run.first.lane < MAX_LANES).take(MAX_ARROWS);
    let mut count = 0;
    for run in shown {
        count += 1;
        let (lane, label) = (run.first.lane, run.label());
        let time = seconds(run.first.time);
        lines.push(match run.captured() {
            None => format!("    Note over us,p{lane}: {}", escaped(&label)),
            Some(captured) => {
                let (from, to) = if captured.way == Way::Out {
                    ("us".into(), format!("p{lane}"))
                } else {
                    (format!("p{lane}"), "us".to_owned())
                };
                // A cross at the tip marks a broken object.
                let arrow = if captured.object.broken.is_some() { "-x" } else { "->>" };
                format!("    {from}{arrow}{to}: {} {}", escaped(&label), escaped(&time))
            }
        });
    }
    let left = runs.len() - count;
    if left > 0 {
        lines.push(format!("    Note over us: {left} more"));
    }
    lines.join("\n")
}

/// Escapes text for Mermaid. Many characters mean something to it, or to the HTML that it
/// becomes, so all but a few are written as their number.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // `wrap:` at the start is a command.
    let order = text.starts_with("wrap") || text.starts_with("nowrap");
    for letter in text.chars() {
        if letter.is_alphanumeric() || " .,-_/()+×…".contains(letter) || letter == ':' && !order
        {
            out.push(letter);
        } else {
            out += &format!("#{};", u32::from(letter));
        }
    }
    out
}
