//! `-v`: a lookup in the DHT, a sentence a step. (stage 21)

use piecemeal::s01_bencode::counted;
use piecemeal::s21_dht_lookup::steps::{LookupCounts, Node, Step};

use super::screen::narrator::Narrator;

/// Tells the steps of a lookup.
pub struct Story {
    say: Narrator,
    /// The shortest distance of a node that has answered, in bits.
    nearest: Option<u32>,
}

impl Story {
    pub fn new(say: Narrator) -> Story {
        Story { say, nearest: None }
    }

    /// Tells a step.
    pub fn tell(&mut self, step: &Step) {
        let sentence = self.sentence(step);
        self.say.say(21, sentence);
    }

    fn sentence(&mut self, step: &Step) -> String {
        match step {
            Step::Asked { node, again: true, .. } => {
                format!("asking {} again, for nodes about as far away as the eighth", node.address)
            }
            Step::Asked { node, named_by: Some(by), .. } => {
                format!("asking {}, {}, which {by} has named", node.address, away(node))
            }
            Step::Asked { node, .. } => {
                format!("asking {}, where the lookup begins", node.address)
            }
            Step::Answered { node, named, new, again: true, .. } => {
                format!("{} names {}, {new} of them new", node.address, counted(*named, "node"))
            }
            Step::Answered { node, named, new, late, .. } => {
                let late = if *late { " after all" } else { "" };
                let (address, named) = (node.address, counted(*named, "node"));
                let nearer = self.nearer(node);
                format!("{address} answers{late} and names {named}, {new} of them new; {nearer}")
            }
            Step::Peers { by, peers } => {
                format!("{by} knows {} of the torrent", counted(peers.len(), "peer"))
            }
            Step::Silent { node } => {
                format!("{} is silent for a second: another takes its turn", node.address)
            }
            Step::Refused { node } => format!("{} refuses", node.address),
            Step::Lied { node, is } => format!(
                "{} says that its id is {is}, and was named by another: it is dropped",
                node.address
            ),
        }
    }

    /// Says how near the lookup is now.
    fn nearer(&mut self, node: &Node) -> String {
        let shorter = node.bits.filter(|bits| self.nearest.is_none_or(|nearest| *bits < nearest));
        if let Some(bits) = shorter {
            self.nearest = Some(bits);
            return format!("the nearest is now {}", counted(bits, "bit") + " away");
        }
        format!("it is {}", away(node))
    }

    /// Tells how it ended.
    pub fn end(&self, counts: LookupCounts, closest: usize) {
        let LookupCounts { asked, answered, silent, lied } = counts;
        let asked = counted(asked, "node");
        let lied = if lied > 0 { format!(", {lied} lied") } else { String::new() };
        self.say.say(
            21,
            format!(
                "asked {asked}: {answered} answered, {silent} silent{lied}; the {closest} nearest keep this torrent's page"
            ),
        );
    }
}

/// Returns how far a node is from the target.
fn away(node: &Node) -> String {
    node.bits.map_or("at an unknown distance".to_owned(), |bits| {
        format!("{} away", counted(bits, "bit"))
    })
}
