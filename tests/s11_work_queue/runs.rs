//! Blocks that came together and are written together.

use super::super::support::{Recipe, Torrent, content};
use super::memory::{Memory, lease, queue, seed};
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

/// One piece of five blocks, the last of 4,464 bytes.
const SIZE: usize = 70_000;
const BLOCKS: u32 = 5;

fn torrent() -> Torrent {
    Recipe::single("t", SIZE, content(SIZE, 6)).build()
}

/// Where these blocks are.
fn place(blocks: Range<u32>) -> Range<u64> {
    u64::from(blocks.start) * 16_384..(u64::from(blocks.end) * 16_384).min(SIZE as u64)
}

/// The numbers of the blocks that a lease has still to ask for.
fn asks(lease: &mut Lease) -> Vec<u32> {
    let mut asks: Vec<u32> =
        std::iter::from_fn(|| lease.next_request()).map(|request| request.begin / 16_384).collect();
    asks.sort_unstable();
    asks
}

/// Writes a run, of which the blocks in `wrong` are wrong.
fn try_run(
    lease: &mut Lease,
    run: Range<u32>,
    wrong: &[u32],
    store: &dyn Store,
) -> Result<Written, StorageError> {
    let content = torrent().content.clone();
    let blocks: Vec<Vec<u8>> = run
        .clone()
        .map(|number| {
            let place = place(number..number + 1);
            let flip = if wrong.contains(&number) { 0xff } else { 0 };
            content[place.start as usize..place.end as usize]
                .iter()
                .map(|byte| byte ^ flip)
                .collect()
        })
        .collect();
    let blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    lease.write(run.start * 16_384, &blocks, store)
}

fn write(lease: &mut Lease, run: Range<u32>, wrong: &[u32], store: &dyn Store) -> Written {
    try_run(lease, run, wrong, store).expect("the store takes it")
}

/// Whatever blocks are there already, and whichever run comes then: only missing blocks are
/// written, and the rest completes the piece.
#[test]
fn of_each_run_just_the_missing_blocks_are_written() {
    let torrent = torrent();
    for there in 0u32..1 << BLOCKS {
        let is_there = |number: &u32| there & 1 << number != 0;
        let already: Vec<u32> = (0..BLOCKS).rev().filter(is_there).collect();
        if already.len() == BLOCKS as usize {
            continue;
        }
        for run in (0..BLOCKS).flat_map(|start| (start + 1..=BLOCKS).map(move |end| start..end)) {
            let case = format!("{already:?} are there, {run:?} come");
            let queue = queue(&torrent);
            let store = Memory::of(&torrent);
            let mut peer = seed(&queue, 1);
            let mut held = lease(&mut peer);
            for number in &already {
                assert_eq!(write(&mut held, *number..number + 1, &[], &*store), Written::More);
            }
            let missing: Vec<u32> = (0..BLOCKS).filter(|number| !is_there(number)).collect();
            let (fresh, left): (Vec<u32>, Vec<u32>) =
                missing.into_iter().partition(|number| run.contains(number));
            let expected = match (fresh.is_empty(), left.is_empty()) {
                (true, _) => Written::Stale,
                (false, false) => Written::More,
                (false, true) => Written::Verified,
            };
            // Blocks that are already there come a second time, and wrong.
            assert_eq!(write(&mut held, run.clone(), &already, &*store), expected, "{case}");
            let places: Vec<Range<u64>> =
                already.iter().chain(&fresh).map(|number| place(*number..number + 1)).collect();
            assert_eq!(store.writes(), places, "{case}");
            assert_eq!(asks(&mut held), left, "{case}");
            for number in left.iter().rev() {
                let expected = if *number == left[0] { Written::Verified } else { Written::More };
                assert_eq!(write(&mut held, *number..number + 1, &[], &*store), expected, "{case}");
            }
            assert_eq!((queue.counts(), queue.bytes_left()), ((0, 0, 1), 0), "{case}");
            assert!(store.content() == torrent.content, "{case}");
            assert_eq!(
                write(&mut held, run, &[0, 1, 2, 3, 4], &*store),
                Written::Stale,
                "{case}; it is verified"
            );
            assert_eq!(store.writes().len(), BLOCKS as usize, "{case}");
        }
    }
}

/// Remembers how many parts come in one call, and fails after a number of them.
struct Parts<'m> {
    memory: &'m Memory,
    calls: Mutex<Vec<(u64, usize)>>,
    /// The number of parts that can still be written, and of blocks that can be read.
    room: Mutex<(usize, usize)>,
}

impl<'m> Parts<'m> {
    fn of(memory: &'m Memory, writes: usize, reads: usize) -> Parts<'m> {
        Parts { memory, calls: Mutex::default(), room: Mutex::new((writes, reads)) }
    }

    fn take(
        &self,
        which: impl FnOnce(&mut (usize, usize)) -> &mut usize,
    ) -> Result<(), StorageError> {
        let mut room = self.room.lock().expect("no test panics with this lock");
        let room = which(&mut room);
        *room = room.checked_sub(1).ok_or(StorageError::Stopped)?;
        Ok(())
    }
}

impl Store for Parts<'_> {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        self.take(|room| &mut room.0)?;
        self.memory.write(offset, data)
    }

    fn write_parts(&self, mut offset: u64, parts: &[&[u8]]) -> Result<(), StorageError> {
        self.calls.lock().expect("no test panics with this lock").push((offset, parts.len()));
        for part in parts {
            self.write(offset, part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.take(|room| &mut room.1)?;
        self.memory.read(offset, buffer)
    }
}

#[test]
fn a_run_is_one_write_for_each_gap_that_it_fills_and_no_more_is_read_back_than_came_too_early() {
    // The blocks there, the blocks written then, and the number read back: those that came too early.
    for (there, calls, read) in [
        (vec![], vec![(0, 5)], 0),
        (vec![0], vec![(16_384, 4)], 0),
        (vec![0, 1], vec![(32_768, 3)], 0),
        (vec![2], vec![(0, 2), (49_152, 2)], 16_384),
        (vec![1, 3], vec![(0, 1), (32_768, 1), (65_536, 1)], 32_768),
        (vec![4], vec![(0, 4)], 4464),
    ] {
        let queue = queue(&torrent());
        let memory = Memory::of(&torrent());
        let store = Parts::of(&memory, 5, 5);
        let mut peer = seed(&queue, 1);
        let mut held = lease(&mut peer);
        for number in &there {
            write(&mut held, *number..number + 1, &[], &*memory);
        }
        assert_eq!(write(&mut held, 0..5, &there, &store), Written::Verified, "{there:?}");
        assert_eq!(*store.calls.lock().expect("nobody else is here"), calls, "{there:?}");
        assert_eq!(memory.bytes_read(), read, "{there:?}");
    }
}

#[test]
fn one_wrong_block_anywhere_in_a_run_makes_the_piece_wrong() {
    for wrong in 0..BLOCKS {
        let queue = queue(&torrent());
        let store = Memory::of(&torrent());
        let mut peer = seed(&queue, 7);
        let mut held = lease(&mut peer);
        assert_eq!(
            write(&mut held, 0..5, &[wrong], &*store),
            Written::Corrupt(vec![7]),
            "block {wrong}"
        );
        assert_eq!(write(&mut held, 0..5, &[], &*store), Written::Stale, "that loan is over");
        assert_eq!(queue.counts(), (1, 0, 0));
        let mut again = lease(&mut peer);
        assert_eq!(asks(&mut again), [0, 1, 2, 3, 4], "from scratch");
        assert_eq!(write(&mut again, 0..3, &[], &*store), Written::More);
        assert_eq!(write(&mut again, 3..5, &[], &*store), Written::Verified);
    }
}

#[test]
fn to_blame_is_who_brought_a_block_that_was_written_and_nobody_else() {
    let queue = queue(&torrent());
    let store = Memory::of(&torrent());
    let mut peers = [1, 2, 3].map(|number| seed(&queue, number));
    let [mut one, mut two, mut three] = [0, 1, 2].map(|which| lease(&mut peers[which]));
    assert_eq!(write(&mut one, 0..2, &[], &*store), Written::More);
    // All that the third peer brings is already there.
    assert_eq!(write(&mut three, 0..2, &[0, 1], &*store), Written::Stale);
    // The second peer's run begins with blocks that are already there, and completes the piece.
    let Written::Corrupt(mut by) = write(&mut two, 1..5, &[2], &*store) else {
        panic!("block 2 is wrong")
    };
    by.sort_unstable();
    assert_eq!(by, [1, 2]);
}

#[test]
fn who_brought_nothing_that_could_be_written_is_not_to_blame() {
    let queue = queue(&torrent());
    let memory = Memory::of(&torrent());
    let mut peers = [1, 2].map(|number| seed(&queue, number));
    let [mut one, mut two] = [0, 1].map(|which| lease(&mut peers[which]));
    try_run(&mut one, 0..2, &[], &Parts::of(&memory, 0, 0)).expect_err("the store takes nothing");
    assert_eq!(write(&mut two, 0..5, &[4], &*memory), Written::Corrupt(vec![2]));
}

#[test]
fn a_store_that_fails_in_the_middle_of_a_run_loses_no_piece_and_what_was_written_counts() {
    // Block 1 is there, so a run of all five is two writes: of block 0, and of 2 to 4.
    for (room, left) in
        [(0, vec![0, 2, 3, 4]), (1, vec![2, 3, 4]), (2, vec![2, 3, 4]), (3, vec![2, 3, 4])]
    {
        let queue = queue(&torrent());
        let memory = Memory::of(&torrent());
        let mut peer = seed(&queue, 1);
        let mut held = lease(&mut peer);
        assert_eq!(write(&mut held, 1..2, &[], &*memory), Written::More);
        let error = try_run(&mut held, 0..5, &[], &Parts::of(&memory, room, 5))
            .expect_err("it has no room");
        assert!(matches!(error, StorageError::Stopped));
        assert_eq!(queue.counts(), (0, 1, 0), "room for {room}");
        drop(held);
        assert_eq!(
            (queue.counts(), queue.bytes_left()),
            ((1, 0, 0), SIZE as u64),
            "room for {room}"
        );
        let mut again = lease(&mut peer);
        assert_eq!(asks(&mut again), left, "room for {room}");
        assert_eq!(write(&mut again, 0..5, &[1], &*memory), Written::Verified, "room for {room}");
        assert!(memory.content() == torrent().content);
    }
}

#[test]
fn a_store_that_cannot_be_read_back_loses_no_piece() {
    // Blocks that came too early are read back. Of these three, this many can be.
    for room in 0..3 {
        let queue = queue(&torrent());
        let memory = Memory::of(&torrent());
        let mut peer = seed(&queue, 1);
        let mut held = lease(&mut peer);
        assert_eq!(write(&mut held, 2..5, &[], &*memory), Written::More);
        let error = try_run(&mut held, 0..2, &[], &Parts::of(&memory, 5, room))
            .expect_err("it cannot be read");
        assert!(matches!(error, StorageError::Stopped));
        assert_eq!(queue.counts(), (0, 1, 0));
        drop(held);
        let mut again = lease(&mut peer);
        let left = asks(&mut again);
        assert_eq!(left, [2 + room as u32], "what cannot be read is fetched again");
        assert_eq!(write(&mut again, left[0]..left[0] + 1, &[], &*memory), Written::Verified);
        assert!(memory.content() == torrent().content);
    }
}

#[test]
fn a_panic_in_the_middle_of_a_run_costs_that_piece_its_progress_and_nothing_else() {
    struct Panicking<'m>(&'m Memory);
    impl Store for Panicking<'_> {
        fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
            if offset > 0 {
                resume_unwind(Box::new("a bug")); // without the message of a panic
            }
            self.0.write(offset, data)
        }
        fn read(&self, _: u64, _: &mut [u8]) -> Result<(), StorageError> {
            unreachable!("nothing is read back")
        }
    }
    let queue = queue(&torrent());
    let memory = Memory::of(&torrent());
    let mut peer = seed(&queue, 1);
    let mut held = lease(&mut peer);
    let panicked =
        catch_unwind(AssertUnwindSafe(move || write(&mut held, 0..4, &[], &Panicking(&memory))));
    assert!(panicked.is_err());
    assert_eq!(queue.counts(), (1, 0, 0));
    let memory = Memory::of(&torrent());
    let mut again = lease(&mut peer);
    assert_eq!(asks(&mut again), [0, 1, 2, 3, 4]);
    assert_eq!(write(&mut again, 0..5, &[], &*memory), Written::Verified);
}
