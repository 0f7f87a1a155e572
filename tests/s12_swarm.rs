//! Stage 12: many peers at once.
//!
//! First the work queue alone, without sockets and files; then whole downloads
//! from scripted peers. Their side of the protocol is written out in `net`, a
//! second time, so that no error of the crate's own codec cancels out.

mod support;

mod s12_swarm {
    mod announcing;
    mod book;
    mod budget;
    mod claims;
    mod ends;
    mod giving;
    mod leases;
    mod magnet;
    mod manners;
    mod memory;
    mod net;
    mod order;
    mod peers;
    mod places;
    mod runs;
    mod seats;
    mod shares;
    mod sharing;
    mod stress;
    mod together;
    mod trouble;
    mod trust;
    mod views;
    mod waiting;
}
