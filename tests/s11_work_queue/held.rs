//! A wrong piece that waits for the hashes of its blocks. The clock is passed in, and stands still
//! unless a test moves it.

use super::super::support::{Recipe, Torrent, assert_value, content};
use super::memory::{Memory, info, queue_of, seed};
use super::trust::claim;
use piecemeal::s02_metainfo::PieceIndex;
use piecemeal::s02_metainfo::piece_check::{PieceCheck, PieceHasher};
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::board::Why;
use piecemeal::s11_work_queue::board::explained::BLOCK_HASH_TIMEOUT;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::explained::Witness;
use piecemeal::s11_work_queue::lease::{Lease, Written};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CLAUSE: &str = "BEP 52, hash proofs";
const BLOCK: usize = 16_384;
const MOMENT: Duration = Duration::from_millis(1);

/// The same pieces; their blocks have hashes of their own, as soon as these are known.
#[derive(Debug)]
struct Leaves {
    pieces: Arc<dyn PieceCheck>,
    known: Arc<AtomicBool>,
}

impl PieceCheck for Leaves {
    fn begin(&self, piece: PieceIndex) -> Box<dyn PieceHasher> {
        self.pieces.begin(piece)
    }

    fn expected(&self, piece: PieceIndex) -> &[u8] {
        self.pieces.expected(piece)
    }

    fn block_hash(&self, _: PieceIndex, _: u32, bytes: &[u8]) -> Option<[u8; 32]> {
        self.known.load(Ordering::SeqCst).then(|| Sha256::digest(bytes).into())
    }
}

/// A torrent, its queue and its store.
struct Scene {
    torrent: Torrent,
    queue: Arc<WorkQueue>,
    store: Arc<Memory>,
    known: Arc<AtomicBool>,
    now: Instant,
}

impl Scene {
    /// With pieces of this many blocks, of which the hashes are known.
    fn new(pieces: usize, blocks: usize) -> Scene {
        let length = blocks * BLOCK;
        let torrent = Recipe::single("t", length, content(pieces * length, 3)).build();
        let (mut info, known) = (info(&torrent), Arc::new(AtomicBool::new(true)));
        info.check = Arc::new(Leaves { pieces: info.check, known: Arc::clone(&known) });
        let (queue, store) = (queue_of(info, []), Memory::of(&torrent));
        Scene { torrent, queue, store, known, now: Instant::now() }
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Brings these blocks of a piece, all right or all wrong.
    fn bring(&self, lease: &mut Lease, blocks: std::ops::Range<usize>, right: bool) -> Written {
        let piece = self.torrent.piece(lease.piece().position());
        let bytes = &piece[blocks.start * BLOCK..blocks.end * BLOCK];
        let bytes: Vec<u8> = bytes.iter().map(|byte| if right { *byte } else { !byte }).collect();
        let parts: Vec<&[u8]> = bytes.chunks(BLOCK).collect();
        let begin = (blocks.start * BLOCK) as u32;
        lease.write_at(begin, &parts, self.store(), self.now).expect("memory takes it")
    }

    /// Peer 1 brings all of piece 0 but the third block. Peer 2 brings that one, and it is wrong.
    fn spoil(&self) -> [Claimant; 2] {
        let [honest, liar] = [1, 2].map(|number| seed(&self.queue, number));
        let blocks = self.queue.blocks(self.piece(0)) as usize;
        let mut lease = honest.claim_piece(0).expect("it waits");
        self.bring(&mut lease, 0..2, true);
        self.bring(&mut lease, 3..blocks, true);
        drop(lease);
        let mut lease = liar.claim_piece(0).expect("it waits");
        assert_eq!(self.bring(&mut lease, 2..3, false), Written::Corrupt(vec![1, 2]));
        [honest, liar]
    }

    fn piece(&self, number: u32) -> PieceIndex {
        self.queue.info().piece(number).expect("there is such a piece")
    }

    /// The right hashes of a piece's blocks.
    fn hashes(&self, piece: usize) -> Vec<[u8; 32]> {
        self.torrent.piece(piece).chunks(BLOCK).map(|block| Sha256::digest(block).into()).collect()
    }

    /// The piece that a peer gets this long after the other was found to be wrong.
    fn gets(&self, peer: &mut Claimant, after: Duration) -> Option<Lease> {
        match peer.claim_at(true, self.now + after, &mut |_| 0) {
            Claim::Lease(lease) => Some(lease),
            Claim::Later | Claim::Over => None,
        }
    }
}

/// The blocks that are still to be asked for.
fn requests(lease: &mut Lease) -> Vec<u32> {
    std::iter::from_fn(|| lease.next_request()).map(|asked| asked.begin / BLOCK as u32).collect()
}

#[test]
fn nobody_gets_a_wrong_piece_before_its_wrong_block_is_known_and_then_only_that_is_asked_for() {
    let scene = Scene::new(1, 8);
    let _witness = Witness::join(&scene.queue);
    let [mut honest, mut liar] = scene.spoil();
    let mut newcomer = seed(&scene.queue, 3);
    for (who, peer) in
        [("the honest one", &mut honest), ("the liar", &mut liar), ("a newcomer", &mut newcomer)]
    {
        let soon = scene.gets(peer, Duration::ZERO).is_none();
        let late = scene.gets(peer, BLOCK_HASH_TIMEOUT - MOMENT).is_none();
        assert!(soon && late, "{who} gets the piece while a witness can still tell what is wrong");
        assert!(peer.claim_piece(0).is_none(), "{who} does not get it by its number either");
    }
    scene.queue.explain(scene.piece(0), &scene.hashes(0), scene.store());
    let exposed: Vec<u32> = scene.queue.take_exposed().into_iter().map(|(_, peer)| peer).collect();
    assert_value("who lied", &exposed[..], [2], CLAUSE);
    assert!(scene.gets(&mut liar, Duration::ZERO).is_none(), "it is to be hung up on");
    assert!(liar.claim_piece(0).is_none(), "and it does not choose either");
    let mut lease = scene.gets(&mut newcomer, Duration::ZERO).expect("it is explained");
    assert_value("the blocks to ask for", &requests(&mut lease)[..], [2], CLAUSE);
    assert_eq!((lease.why(), scene.bring(&mut lease, 2..3, true)), (Why::Begun, Written::Verified));
    assert!(scene.store.content() == scene.torrent.content);
}

#[test]
fn a_piece_that_nobody_explains_is_fetched_again_after_a_while_by_one_alone() {
    let scene = Scene::new(1, 8);
    let _witness = Witness::join(&scene.queue);
    let _two = scene.spoil();
    let mut newcomer = seed(&scene.queue, 3);
    assert!(scene.gets(&mut newcomer, BLOCK_HASH_TIMEOUT - MOMENT).is_none());
    let mut lease = scene.gets(&mut newcomer, BLOCK_HASH_TIMEOUT).expect("nobody waits forever");
    assert_eq!(lease.why(), Why::Spoilt);
    assert_eq!(requests(&mut lease), (0..8).collect::<Vec<_>>(), "all of it");
    // It is explained late. Then only the wrong block is missing of what is on loan.
    scene.queue.explain(scene.piece(0), &scene.hashes(0), scene.store());
    let mut beside = seed(&scene.queue, 4);
    let mut lease = scene.gets(&mut beside, BLOCK_HASH_TIMEOUT).expect("others may help now");
    assert_value("the blocks to ask for", &requests(&mut lease)[..], [2], CLAUSE);
}

#[test]
fn without_a_witness_a_wrong_piece_waits_for_nobody() {
    for witnesses in 0..3 {
        let scene = Scene::new(1, 8);
        let here: Vec<Witness> = (0..witnesses).map(|_| Witness::join(&scene.queue)).collect();
        let _two = scene.spoil();
        let (mut newcomer, mut left) = (seed(&scene.queue, 3), Vec::new());
        for witness in here {
            assert!(scene.gets(&mut newcomer, Duration::ZERO).is_none(), "one can still tell");
            let before = scene.queue.generation();
            drop(witness);
            left.push(scene.queue.generation() != before);
        }
        // Only the last one wakes those that wait until something comes back.
        let last: Vec<bool> = (1..=witnesses).map(|number| number == witnesses).collect();
        assert_eq!(left, last, "of {witnesses} witnesses, whose leaving is news");
        let lease = scene.gets(&mut newcomer, Duration::ZERO);
        assert!(lease.is_some(), "all {witnesses} witnesses have left, so nobody can tell");
    }
}

#[test]
fn a_wrong_piece_keeps_nobody_from_the_others() {
    let scene = Scene::new(3, 8);
    let _witness = Witness::join(&scene.queue);
    let [mut honest, _liar] = scene.spoil();
    let mut proved = seed(&scene.queue, 3);
    let mut newcomer = seed(&scene.queue, 4);
    // However the dice fall. One that is a suspect because of it may have another one as well.
    for peer in [&mut honest, &mut proved, &mut newcomer] {
        // Each piece that is given back takes the last place.
        for side in [0, 1, 2, 2, 1, 0, 0, 0, 0] {
            let claim = peer.claim_at(true, scene.now, &mut |below| side % below);
            let Claim::Lease(lease) = claim else { panic!("two other pieces wait") };
            assert_ne!(lease.piece().get(), 0, "dice: {side}");
        }
    }
    let mut lease = proved.claim_piece(1).expect("it waits");
    assert_eq!(scene.bring(&mut lease, 0..8, true), Written::Verified);
    let lease = scene.gets(&mut proved, Duration::ZERO).expect("piece 2 waits");
    assert_eq!(lease.piece().get(), 2, "the wrong piece would be first for a proved peer");
}

#[test]
fn what_one_peer_spoilt_alone_and_what_is_too_long_to_be_told_do_not_wait() {
    let scene = Scene::new(1, 8);
    let _witness = Witness::join(&scene.queue);
    let mut lease = claim(&mut seed(&scene.queue, 1)).expect("it waits");
    assert_eq!(scene.bring(&mut lease, 0..8, false), Written::Corrupt(vec![1]));
    assert!(scene.gets(&mut seed(&scene.queue, 2), Duration::ZERO).is_some(), "it was alone");
    for (blocks, waits) in [(512, true), (513, false)] {
        let scene = Scene::new(1, blocks);
        let _witness = Witness::join(&scene.queue);
        let _two = scene.spoil();
        let got = scene.gets(&mut seed(&scene.queue, 3), Duration::ZERO);
        assert_eq!(got.is_none(), waits, "{blocks} blocks; peers give 512 hashes at a time");
    }
}

/// As in a hybrid, which can be downloaded before the hashes of its trees are known.
#[test]
fn hashes_that_become_known_later_blame_nobody_for_what_was_kept_before() {
    let scene = Scene::new(1, 8);
    scene.known.store(false, Ordering::SeqCst);
    let _two = scene.spoil();
    scene.known.store(true, Ordering::SeqCst);
    assert_eq!(scene.queue.unexplained(), [], "what was kept says nothing about hashes");
    scene.queue.explain(scene.piece(0), &scene.hashes(0), scene.store());
    assert_eq!(scene.queue.take_exposed(), [], "there is nothing to compare the hashes with");
    let mut lease = claim(&mut seed(&scene.queue, 3)).expect("it waits");
    assert_eq!(scene.bring(&mut lease, 0..8, true), Written::Verified);
    let exposed: Vec<u32> = scene.queue.take_exposed().into_iter().map(|(_, peer)| peer).collect();
    assert_value("who lied, once the piece is right", &exposed[..], [2], CLAUSE);
}

/// The board alone: whoever asks, and however.
#[test]
fn no_way_leads_to_a_piece_that_is_held() {
    use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
    use piecemeal::s11_work_queue::board::{Asker, Board};
    use piecemeal::s11_work_queue::evidence::Evidence;
    let (now, all) = (Instant::now(), PeerPieces::All);
    let mut board: Board<()> = Board::new(2, &Bitfield::new(2), &Bitfield::full(2));
    let asker = |peer: u32| Asker { who: peer.into(), pieces: &all, block_time: None, tried: None };
    (1..5).for_each(|peer| board.join(peer.into(), now));
    board.count_witness(true);
    board.lend(&asker(4), 1, now, |_| ());
    board.done_with(1, &[4.into()]);
    board.lend(&asker(1), 0, now, |_| ());
    board.spoil(0, &[1.into(), 2.into()], Some(Evidence::default()), now);
    for (who, peer) in [("a suspect", 1), ("a newcomer", 3), ("a proved peer", 4)] {
        for (time, held) in [
            (now, true),
            (now + BLOCK_HASH_TIMEOUT - MOMENT, true),
            (now + BLOCK_HASH_TIMEOUT, false),
        ] {
            let found = board.find(&asker(peer), 0, time, &mut |_| 0);
            let may = found.is_some_and(|piece| !board.holds_back(&asker(peer), piece, time));
            // Others leave it to the proved one at first.
            let left = !held && peer != 4;
            assert_eq!(may, !held && !left, "{who}, {:?} later: it finds it", time - now);
            let spoilt = board.find_spoilt(&asker(peer), time).is_some();
            assert_eq!(spoilt, !held && !left, "{who}, {:?} later: it goes first", time - now);
            let chosen = board.may_lend(&asker(peer), 0, time);
            assert_eq!(chosen, !held && !left, "{who}, {:?} later: it chooses", time - now);
            // If this were not so, nobody would look again when time is up.
            assert!(found.is_some(), "{who}, {:?} later: the piece waits", time - now);
        }
    }
    board.count_witness(false);
    assert!(board.may_lend(&asker(4), 0, now), "nobody is left that could tell");
}
