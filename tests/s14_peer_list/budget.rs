//! How many connections there may be, when a process may have few descriptors.

use piecemeal::s14_peer_list::budget::Budget;

#[test]
fn places_handshakes_and_those_that_wait_stay_below_the_limit() {
    for (allowed, max_peers, expected) in [
        // Plenty: as many as are wanted.
        (20_000, 50, [50, 512, 128]),
        (1024, 50, [50, 512, 128]),
        (802, 50, [50, 512, 128]),
        // macOS, and what some shells set.
        (256, 50, [50, 47, 47]),
        (256, 200, [86, 29, 29]),
        (64, 50, [19, 7, 6]),
        // It makes little sense, but it has to go on.
        (8, 50, [2, 1, 1]),
        (0, 50, [1, 1, 1]),
        (1024, 1, [1, 512, 128]),
    ] {
        let Budget { places, lobby, handshakes } = Budget::of(allowed, max_peers);
        assert_eq!(
            [places, lobby, handshakes],
            expected,
            "{allowed} descriptors, {max_peers} peers"
        );
        if allowed >= 16 {
            assert!(
                places + lobby + handshakes <= allowed - 112.min(allowed / 2),
                "{allowed} descriptors, {max_peers} peers"
            );
        }
    }
    assert_eq!(
        Budget::of(Budget::wanted(500), 500),
        Budget { places: 500, lobby: 512, handshakes: 128 }
    );
}
