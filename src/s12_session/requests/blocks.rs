//! What comes back: blocks and rejects.
//!
//! | what comes | outstanding | what follows |
//! |---|---|---|
//! | a block | yes | written, together with those that follow it in the buffer |
//! | a block | no | forgiven, up to a number; its bytes are dropped |
//! | a reject | yes, the first | the block is requested again, if the piece is claimed again |
//! | a reject | yes, the second | the peer does not have that piece |
//! | a reject while it chokes us | yes | the piece is not allowed any longer |
//! | a reject | no | ignored: it answers a request that we have taken back |

use crate::s05_messages::Request;
use crate::s05_messages::rest::Rest;
use crate::s11_work_queue::lease::Written;
use crate::s12_session::Session;
use crate::s12_session::host::{Report, SessionEnd};

/// The most requests that a peer may reject. Each is remembered, because a second reject means more
/// than the first.
const MAX_REJECTED: usize = 2_000;

impl Session<'_> {
    /// Handles a reject. The first one may be the late answer to a request from before a choke, so
    /// we ask again. After the second, we assume that the peer does not have the piece, whatever it
    /// says. While it chokes us, a reject only means that this piece is no longer allowed: the peer
    /// has it, and may unchoke us later.
    pub(in crate::s12_session) fn rejected(&mut self, request: Request) -> Result<(), SessionEnd> {
        if !self.requests.take_outstanding(request) {
            return Ok(());
        }
        self.host.download_limit.refund(request.length as usize);
        // A reject during a choke says nothing about what the peer has.
        if self.state.peer_choking {
            self.requests.allowed_fast.retain(|index| *index != request.index);
        } else if !self.requests.rejected.insert(request) {
            self.claimant.lost(request.index);
            self.show_pieces();
        }
        if self.requests.rejected.len() > MAX_REJECTED {
            return Err(SessionEnd::Rule("it refuses to give what it says it has"));
        }
        // Nothing of this piece is outstanding any more: it goes back, and another peer may fetch
        // it.
        if !self.requests.outstanding.iter().any(|asked| asked.index == request.index) {
            self.give_back(request.index);
        }
        Ok(())
    }

    /// Handles a block, and the blocks after it that continue it. All have been read already, and
    /// writing them together costs one system call instead of one for each.
    pub(in crate::s12_session) fn blocks(
        &mut self,
        index: u32,
        begin: u32,
        block: &[u8],
        mut rest: Rest,
    ) -> Result<(), SessionEnd> {
        let (mut blocks, mut length) = (Vec::new(), 0);
        let mut next = Some(block);
        while let Some(block) = next {
            // Compared as a whole, so a block of another length than requested does not count.
            let request = Request { index, begin: begin + length, length: block.len() as u32 };
            if !self.requests.take_outstanding(request) {
                self.forgive(block.len())?;
                break; // the run ends here; what follows is read as a message of its own
            }
            blocks.push(block);
            length += block.len() as u32;
            next = rest.block(index, begin + length);
        }
        if blocks.is_empty() {
            return Ok(());
        }
        self.clock.block_received();
        let queue = self.peer_queue();
        self.requests.depth.count(blocks.len(), self.clock.now, queue);
        self.host.count_received(self.stats, length as usize, self.clock.now);
        self.write(index, begin, &blocks)
    }

    /// Writes blocks to their piece, and acts on the result.
    ///
    /// # Errors
    /// If the disk fails, which ends the download, or if the piece is wrong and all of it came from
    /// this peer, which ends the session.
    fn write(&mut self, index: u32, begin: u32, blocks: &[&[u8]]) -> Result<(), SessionEnd> {
        let lease = self.requests.leases.iter_mut().find(|lease| lease.piece().get() == index);
        let Some(lease) = lease else { return Ok(()) };
        let piece = lease.piece();
        // If the disk hangs, this thread cannot say so. The flag can.
        self.stats.flags().set_storing(true);
        let written = lease.write(begin, blocks, &*self.torrent.store);
        self.stats.flags().set_storing(false);
        match written.map_err(SessionEnd::Local)? {
            Written::More | Written::Stale => {}
            Written::Verified => {
                // This also cancels what is outstanding for it: in the end game, other peers may
                // have brought blocks that this one was asked for.
                self.give_back(index);
                self.stats.count_piece();
                self.host.count_piece(self.torrent);
            }
            Written::Corrupt(by) => {
                self.give_back(index);
                // With several contributors, each may be honest. The board makes them suspects.
                let alone = by.len() == 1;
                // An extension may know how to find out which, and others wait for it.
                self.extensions.hurry();
                (self.host.report)(Report::Corrupt(piece, by));
                if alone {
                    return Err(SessionEnd::Corrupt(piece));
                }
            }
        }
        Ok(())
    }

    /// Counts an unexpected block. After a choke, a cancel or a give-back some are normal, up to
    /// `forgiven`.
    fn forgive(&mut self, length: usize) -> Result<(), SessionEnd> {
        // Its bytes have come over the line, requested or not, so they count toward the limit.
        self.host.download_limit.spend(length, self.clock.now);
        let left = self.requests.forgiven.checked_sub(1);
        self.requests.forgiven =
            left.ok_or(SessionEnd::Rule("it sends blocks that we did not request"))?;
        Ok(())
    }
}
