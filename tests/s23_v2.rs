//! Stage 23 from outside: torrents of version 2 and hybrids, from libtorrent and from the table of
//! what may be broken in them.

mod support;

mod s23_v2 {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)] // stage 15's tests use the rest
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod bad;
    mod bounds;
    mod checking;
    mod commands;
    mod creating;
    mod hybrids;
    mod made;
    mod merkle;
    mod names;
    mod reading;
    mod storing;
    mod swarm;
    mod tree_command;
    mod trees;
}
