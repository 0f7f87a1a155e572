//! Stage 22 from outside: a table and its rules, a node and literal datagrams, networks of nodes on
//! loopback, and downloads that find their peers by the DHT.
//!
//! Bytes that are expected are those of BEP 5, or made by hand like them.

mod support;

mod s22_dht_node {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)] // stage 15's tests use the rest
    #[path = "../s15_swarm/net.rs"]
    mod scripts;

    mod answers;
    mod hostile;
    mod model;
    mod net;
    mod network;
    mod program;
    mod rules;
    mod saved;
    mod sources;
    mod store;
    mod swarm;
    mod table;
}
