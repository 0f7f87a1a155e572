//! Our questions that have no answer yet.
//!
//! Anybody can send us an answer, with any sender. It counts only if it brings back the two random
//! bytes of a question, and comes from the address that was asked. Each question is answered once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::searches::Purpose;
use crate::s21_dht_lookup::QUERY_TIMEOUT;

/// The two bytes that an answer must bring back.
pub type Transaction = [u8; 2];

/// A question of ours.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The node's address.
    pub to: SocketAddr,
    /// When it was sent.
    pub since: Instant,
    /// The search that it belongs to, and what it is for there. `None`: it is a ping.
    pub purpose: Option<(usize, Purpose)>,
}

/// The questions that have no answer. With 50 a second, and 8 s for an answer until the next tick
/// takes them out, there are never more than some 450.
#[derive(Debug, Default)]
pub struct Outstanding(HashMap<Transaction, Asked>);

impl Outstanding {
    /// Adds a question, and returns a transaction that no other has.
    pub fn add(&mut self, asked: Asked, dice: &mut impl FnMut() -> Transaction) -> Transaction {
        let mut transaction = dice();
        while self.0.contains_key(&transaction) {
            transaction = dice();
        }
        self.0.insert(transaction, asked);
        transaction
    }

    /// Takes out the question that an answer from this address is to. If the answer comes from
    /// another one, the question stays: the real answer may still come.
    pub fn take(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Asked> {
        let transaction: Transaction = transaction.try_into().ok()?;
        self.0.get(&transaction).filter(|asked| is_same(asked.to, from))?;
        self.0.remove(&transaction)
    }

    /// Whether a question to this address has no answer yet.
    pub fn has(&self, address: SocketAddr) -> bool {
        self.0.values().any(|asked| is_same(asked.to, address))
    }

    /// Takes out the questions whose time is over.
    pub fn expired(&mut self, now: Instant) -> Vec<Asked> {
        let is_over = |asked: &Asked| now.saturating_duration_since(asked.since) >= QUERY_TIMEOUT;
        self.0.extract_if(|_, asked| is_over(asked)).map(|(_, asked)| asked).collect()
    }
}

/// Whether two addresses are the same. That of a sender may also have a scope, over IPv6.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    (one.ip(), one.port()) == (other.ip(), other.port())
}
