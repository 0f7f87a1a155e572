//! Stage 11: the work queue alone, without sockets and files.

mod support;

mod s11_work_queue {
    mod board;
    mod leases;
    mod memory;
    mod order;
    mod runs;
    mod shares;
    mod story;
    mod stress;
    mod trust;
}
