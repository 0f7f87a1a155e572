//! Bad input: peers, trackers, disks and torrents that are broken or malicious.
//!
//! Each kind of trouble is tested twice if that makes sense: beside a good peer, where
//! the command must still finish, and alone, where it must end with a clear error and the
//! right exit code. The good peer waits until the bad one has done its worst, so that no
//! test passes because the good one was quicker.

mod support;

mod hostile {
    mod beside;
    mod bounds;
    mod descriptors;
    mod disk;
    mod leechers;
    mod metadata;
    mod names;
    mod output;
    mod patience;
    mod resume;
    mod services;
    mod stage_commands;
    mod swarm;
    mod trackers;
}

/// Runs every case on a thread of its own. Most of them only wait, and their
/// waits can pass at the same time.
fn all_at_once<T: Send>(cases: Vec<T>, check: impl Fn(T) + Sync) {
    let check = &check;
    std::thread::scope(|scope| {
        let running: Vec<_> =
            cases.into_iter().map(|case| scope.spawn(move || check(case))).collect();
        let ended = running.into_iter().map(|thread| thread.join().is_err()).enumerate();
        let failed: Vec<usize> =
            ended.filter_map(|(number, failed)| failed.then_some(number)).collect();
        assert!(
            failed.is_empty(),
            "cases {failed:?} failed, counted from 0; their own messages stand above"
        );
    });
}
