//! What the node's thread does with a datagram.
//!
//! | the datagram | what we do |
//! |---|---|
//! | is empty | nothing: somebody of ours has given an order, and this woke us |
//! | is a question | answer it, within the rates; if a newcomer asks, ping it |
//! | is a question that lacks something | refuse it, if it says how to answer |
//! | is an answer to a question of ours, from the address that was asked | pass it on |
//! | is anything else | count it, and drop it without a word |
//!
//! The last row is what a node hears most while it is attacked. It costs the decoding of the first
//! bytes: garbage breaks a rule of bencode early.

use std::net::SocketAddr;
use std::time::Instant;

use super::NodeThread;
use crate::s01_bencode::excerpt;
use crate::s03_tracker::reach::Reach;
use crate::s21_dht_lookup::krpc::{Body, Contact, MAX_ECHOED, Packet, Query, Response};
use crate::s22_dht_node::answers::{packet, second_look};
use crate::s22_dht_node::searches::Purpose;
use crate::s22_dht_node::tokens::Secret;

impl NodeThread {
    /// Takes a datagram. Returns whether it may have changed what is due.
    pub(super) fn hear(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) -> bool {
        match Packet::decode(datagram) {
            // Each round looks at the orders, so there is nothing else to do. Anybody can send one
            // of these: it costs us a round, and no tick.
            _ if datagram.is_empty() => return false,
            _ if from.port() == 0 => {} // nobody can be answered there
            Ok(Packet { body: Body::Query(id, query), transaction, read_only, .. }) => {
                // The decoder knows the name of the question, and nothing else of it.
                let known = !matches!(query, Query::Unknown { .. });
                let looked = if known { None } else { second_look(datagram) };
                let query = looked.and_then(|(_, looked)| looked.ok()).unwrap_or(query);
                // A node that only asks gets its answers, but nobody should be sent to it.
                // Without the scope and the flow label of IPv6: an address in a packet has neither.
                let address = SocketAddr::new(from.ip(), from.port());
                let contact = (!read_only).then_some(Contact { id, address });
                return self.question(transaction, &query, (from, contact), now);
            }
            Ok(answer) => return self.answer(answer, from, now),
            // Somebody may be writing a client, and would like to hear what is wrong. It costs us
            // an answer of the usual rate, and a flood of garbage does not come this far.
            Err(_) => {
                if let Some((transaction, Err(body))) = second_look(datagram)
                    && self.rates.may_answer(from.ip(), now)
                {
                    self.knowledge.counts.other += 1;
                    let _ = self.socket.send(&packet(transaction, body, from).encode(), from);
                    return false;
                }
            }
        }
        self.knowledge.counts.dropped += 1;
        false
    }

    /// Answers a question. Returns whether a newcomer is asked something in turn.
    ///
    /// The rates come first, before the answer is made. So a question beyond them costs us no more
    /// than its decoding.
    fn question(
        &mut self,
        transaction: Vec<u8>,
        query: &Query,
        (from, contact): (SocketAddr, Option<Contact>),
        now: Instant,
    ) -> bool {
        if transaction.len() > MAX_ECHOED || !self.rates.may_answer(from.ip(), now) {
            self.knowledge.counts.dropped += 1;
            return false;
        }
        // Only if somebody listens: a thousand sentences a second would cost more than the answers.
        if self.tell.is_some() {
            self.say(&format!("{from} asks {}", excerpt(query.method())));
        }
        let answer =
            self.knowledge.answer(transaction, query, from, (now, &mut rand::random::<Secret>));
        let _ = self.socket.send(&answer.encode(), from);
        let is_new = contact.is_some_and(|contact| self.knowledge.table.asked(contact, now));
        // After the answer, which somebody waits for.
        if is_new && !self.asked.has(from) && self.rates.may_check(now) {
            self.ask(from, Query::Ping, None, now);
        }
        is_new
    }

    /// Takes an answer or a refusal, if it is one to a question of ours. Returns whether it is.
    ///
    /// The table hears of every answer, whatever it was for: whoever helps a lookup is a node worth
    /// keeping.
    fn answer(&mut self, packet: Packet, from: SocketAddr, now: Instant) -> bool {
        let Some(asked) = self.asked.take(&packet.transaction, from) else {
            self.knowledge.counts.dropped += 1;
            return false;
        };
        // A refusal comes from somebody who is there, but it has no id in it, so it is no answer.
        let given = match packet.body {
            Body::Response(given) => Some(given),
            _ => None,
        };
        if let Some(given) = &given {
            self.answered(given, asked.to, now);
            // Of our own family only: anything else is not how anybody can see us here.
            if let Some(seen) = packet.seen_as.filter(|it| it.is_ipv4() == from.is_ipv4()) {
                self.own_address.heard(from.ip(), seen.ip());
                self.follow_address(now);
            }
        } else if !matches!(asked.purpose, Some((_, Purpose::Announce))) {
            // A node that answers nothing is of no more use than one that is gone. An announce it
            // may refuse: it has no room, or forgot its token in a restart.
            self.knowledge.table.silent(asked.to, now);
        }
        match (asked.purpose, given) {
            (Some((search, Purpose::Announce)), given) => {
                self.searches.announce_ended(search, given.is_some())
            }
            (Some((search, Purpose::Lookup(number))), given) => {
                self.searches.with_lookup(search, |lookup| match &given {
                    Some(given) => lookup.answer(number, given, now),
                    None => lookup.refuse(number, now),
                });
            }
            (None, _) => {} // a ping: the table has heard of it
        }
        true
    }

    /// Notes in the table that a node has answered.
    fn answered(&mut self, given: &Response, address: SocketAddr, now: Instant) {
        // A way in that answers shows that there is a DHT where it is. If that is near us, so may
        // others be. A node far away can name as many near addresses as it likes.
        if self.bootstrap.addresses().contains(&address) {
            self.knowledge.table.admit(Reach::of(address.ip()));
        }
        self.knowledge.table.answered(Contact { id: given.id, address }, now);
    }

    /// Takes another id, if several nodes agree on an address that ours does not fit. Then we are
    /// somewhere else among the ids, and have to get to know our new neighbors.
    fn follow_address(&mut self, now: Instant) {
        let id = self.knowledge.id();
        if let Some(id) = self.own_address.new_id(id, rand::random(), now) {
            self.say(&format!("taking the id {id}, which fits the address that others see"));
            self.knowledge.move_to(id, now);
            self.look_around(id);
        }
    }
}
