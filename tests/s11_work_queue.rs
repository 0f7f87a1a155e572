//! Stage 11: the work queue alone, without sockets and files.

mod support;

mod s11_work_queue {
    mod board;
    #[path = "../s02_metainfo/by_blocks.rs"]
    mod by_blocks;
    mod end_game;
    mod held;
    mod leases;
    mod memory;
    mod order;
    mod runs;
    mod shares;
    mod sleepers;
    mod story;
    mod stress;
    mod trust;
    mod verdicts;
}
