//! Stage 21 from outside: ids and packets byte by byte, lookups in a network in memory, and real
//! sockets that talk to scripted nodes.
//!
//! The bytes that are expected are those of BEP 5 and BEP 42.

mod support;

mod s21_dht_lookup {
    mod commands;
    mod ids;
    mod lookups;
    mod network;
    mod packets;
    mod rules;
    mod sockets;
}
