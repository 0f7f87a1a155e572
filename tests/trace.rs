//! The trace, from outside: literal bytes go in, and the expected fields and lines come out. The
//! bytes are also broken in every way that these tests can think of.

mod support;

mod trace {
    mod agreement;
    mod breaks;
    mod broken;
    mod bytes;
    mod capture_faults;
    mod captures;
    mod clients;
    mod command;
    mod knowing;
    mod limits;
    mod live;
    mod page;
    mod peer_wire;
    mod recorded;
    mod replays;
    mod samples;
    mod shown;
    mod taken;
    mod tape;
    mod traced;
}
