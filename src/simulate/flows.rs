//! Flows: what comes over a connection, how fast, and when a piece is complete.

use super::clock::{Event, Micros, micros, seconds};
use super::peer::{Holder, NONE, Peer};
use super::setup::SlotRule;
use super::swarm::Swarm;

/// The length of a block, in bytes: how the client measures the speed of a peer.
pub(super) const BLOCK: f64 = 16384.0;

/// Positions in [`Swarm::changed`].
const GIVERS: usize = 0;
const TAKERS: usize = 1;

impl Swarm<'_> {
    /// Carries out what an event has decided: first what each connection fetches, then how fast.
    pub(super) fn carry_out(&mut self) {
        while let Some((peer, link)) = self.again.pop_front() {
            if !self.fetch(peer, link) {
                self.stop_flow(peer, link);
            }
        }
        // In the order of their numbers: the order in which they changed is no better, and the
        // same peer may be there twice.
        for side in [GIVERS, TAKERS] {
            let mut changed = std::mem::take(&mut self.changed[side]);
            changed.sort_unstable();
            changed.dedup();
            for peer in &changed {
                if side == GIVERS { self.share_line(*peer) } else { self.share_downlink(*peer) }
            }
            changed.clear();
            self.changed[side] = changed;
        }
    }

    /// Begins to fetch a piece, unless one is coming. Returns whether one is coming now.
    fn fetch(&mut self, taker: u32, link: u32) -> bool {
        let our = self.peer(taker).links.get(link);
        if !our.is_here() || our.loan != NONE {
            return our.loan != NONE;
        }
        let (giver, back) = (our.to, our.back);
        let may = our.wanted > 0 && self.peer(giver).links.get(back).flags.unchoked;
        if !may || self.owes(giver, back) {
            return false;
        }
        let Some(lent) = self.choose(taker, link) else { return false };
        let now = self.clock.now();
        self.settle(taker, lent.progress);
        let Peer { links, loans, .. } = self.peer_mut(taker);
        let loan = loans.get_mut(lent.progress);
        loan.updated = now;
        loan.holders.push(Holder { link, seat: lent.seat, bytes: 0.0, blocks: 0 });
        loans.begun.retain(|begun| *begun != lent.progress);
        let our = links.get_mut(link);
        our.loan = lent.progress;
        if our.flags.flowing {
            // The flow goes on with another piece: nobody's rate changes.
            self.expect(taker, lent.progress);
        } else {
            our.flags.flowing = true;
            links.flowing += 1;
            self.peer_mut(giver).links.given_to.push(back);
            self.note_change(giver, taker);
        }
        self.leave_slow_seats(taker, lent.progress);
        true
    }

    /// Ends a flow by which nothing comes anymore.
    pub(super) fn stop_flow(&mut self, taker: u32, link: u32) {
        let links = &mut self.peer_mut(taker).links;
        let our = links.get_mut(link);
        if !our.flags.flowing {
            return;
        }
        (our.flags.flowing, our.rate) = (false, 0.0);
        let (giver, back) = (our.to, our.back);
        links.flowing -= 1;
        self.peer_mut(giver).links.given_to.retain(|other| *other != back);
        self.note_change(giver, taker);
    }

    /// A peer gives back the piece that it is fetching over a connection, as far as it has come.
    pub(super) fn put_back(&mut self, taker: u32, link: u32) {
        let number = self.peer(taker).links.get(link).loan;
        if number == NONE {
            return;
        }
        self.settle(taker, number);
        let length = f64::from(self.setup.piece_length);
        let Peer { links, loans, board, .. } = self.peer_mut(taker);
        let our = links.get_mut(link);
        our.loan = NONE;
        let giver = our.to;
        let loan = loans.get_mut(number);
        let begun = loan.left < length;
        if let Some(at) = loan.holders.iter().position(|holder| holder.link == link) {
            let holder = loan.holders.remove(at);
            board.give_back(loan.piece, giver, &holder.seat, begun);
        }
        if !loan.holders.is_empty() {
            return self.expect(taker, number);
        }
        let due = loan.due.take();
        if begun {
            loans.begun.push(number);
        } else {
            loans.end(number);
        }
        due.into_iter().for_each(|due| self.clock.cancel(due));
        // It waits again, and others may have nothing to do.
        self.try_idle(taker);
    }

    /// All connections by which a peer could fetch something, but does not, try again.
    pub(super) fn try_idle(&mut self, taker: u32) {
        let idle = self.peers[taker as usize].links.iter().filter(|(_, link)| {
            link.loan == NONE && link.wanted > 0 && {
                self.peers[link.to as usize].links.get(link.back).flags.unchoked
            }
        });
        self.again.extend(idle.map(|(number, _)| (taker, number)));
    }

    /// In the end game, a faster peer has taken the seat of a slower one: that one is asked for no
    /// more.
    fn leave_slow_seats(&mut self, taker: u32, loan: u32) {
        let holders = &self.peer(taker).loans.get(loan).holders;
        let lost = holders.iter().find(|holder| holder.seat.is_lost()).map(|holder| holder.link);
        if let Some(link) = lost {
            self.put_back(taker, link);
            self.again.push_back((taker, link));
        }
    }

    /// Notes that a giver's line and a taker's are shared by others than before.
    fn note_change(&mut self, giver: u32, taker: u32) {
        self.changed[GIVERS].push(giver);
        // A line without a limit is not shared.
        if self.class(taker).down.is_finite() {
            self.changed[TAKERS].push(taker);
        }
    }

    /// Sets the rates of all that a peer gives to.
    fn share_line(&mut self, giver: u32) {
        let total = self.total_weight(giver);
        for at in 0..self.peer(giver).links.given_to.len() {
            let link = self.peer(giver).links.given_to[at];
            let rate = self.rate(giver, link, total);
            let link = self.peer(giver).links.get(link);
            let (taker, back) = (link.to, link.back);
            self.set_rate(taker, back, rate);
        }
    }

    /// Sets the rates of all that comes to a peer.
    fn share_downlink(&mut self, taker: u32) {
        for link in 0..self.peer(taker).links.end() {
            let our = self.peer(taker).links.get(link);
            if our.flags.flowing {
                let (giver, back) = (our.to, our.back);
                let rate = self.rate(giver, back, self.total_weight(giver));
                self.set_rate(taker, link, rate);
            }
        }
    }

    /// The weights of all that a peer gives to.
    fn total_weight(&self, giver: u32) -> f64 {
        let Peer { links, extras, .. } = self.peer(giver);
        if extras.weights.is_empty() {
            return links.given_to.len() as f64;
        }
        links.given_to.iter().map(|link| extras.weight(*link)).sum()
    }

    /// How fast a peer gives over a connection: its part of the line, or what the taker can take.
    fn rate(&self, giver: u32, link: u32, total: f64) -> f64 {
        let Peer { links, extras, .. } = self.peer(giver);
        let part = self.class(giver).up * extras.weight(link) / total;
        let taker = links.get(link).to;
        let down = self.class(taker).down;
        part.min(down / f64::from(self.peer(taker).links.flowing.max(1)))
    }

    fn set_rate(&mut self, taker: u32, link: u32, rate: f64) {
        let our = self.peer(taker).links.get(link);
        if our.rate == rate || !our.flags.flowing {
            return;
        }
        let loan = our.loan;
        // What has come so far came at the old rate.
        self.settle(taker, loan);
        self.peer_mut(taker).links.get_mut(link).rate = rate;
        self.expect(taker, loan);
    }

    /// Computes when a loan's piece will be complete at these rates.
    fn expect(&mut self, taker: u32, number: u32) {
        self.settle(taker, number);
        let Peer { links, loans, .. } = &mut self.peers[taker as usize];
        let loan = loans.get_mut(number);
        let rate: f64 = loan.holders.iter().map(|holder| links.get(holder.link).rate).sum();
        if let Some(due) = loan.due.take() {
            self.clock.cancel(due);
        }
        if rate > 0.0 {
            let finish = Event::Finish { peer: taker, loan: number };
            loan.due = self.clock.after(micros(loan.left / rate), finish);
        }
    }

    /// Credits what has come of a loan since the last time, to both sides.
    pub(super) fn settle(&mut self, taker: u32, number: u32) {
        let now = self.clock.now();
        let Peer { links, loans, class, .. } = &mut self.peers[taker as usize];
        let loan = loans.get_mut(number);
        let passed = seconds(now - loan.updated);
        loan.updated = now;
        let rate: f64 = loan.holders.iter().map(|holder| links.get(holder.link).rate).sum();
        let came = rate * passed;
        if came <= 0.0 {
            return;
        }
        // Times are whole microseconds, so at the end it would be a little more than the piece.
        let part = if came >= loan.left { loan.left / came } else { 1.0 };
        loan.left = if came >= loan.left { 0.0 } else { loan.left - came };
        let taker_class = usize::from(*class);
        let mut credits = [(NONE, 0, 0.0); 4];
        for (holder, credit) in loan.holders.iter_mut().zip(&mut credits) {
            let link = links.get_mut(holder.link);
            let bytes = link.rate * passed * part;
            link.came += bytes;
            link.heard = now;
            holder.bytes += bytes;
            let blocks = (holder.bytes / BLOCK) as u32;
            holder.seat.count((blocks - holder.blocks) as usize);
            holder.blocks = blocks;
            *credit = (link.to, link.back, bytes);
        }
        for (giver, back, bytes) in credits.into_iter().filter(|(giver, ..)| *giver != NONE) {
            let peer = &mut self.peers[giver as usize];
            peer.links.get_mut(back).went += bytes;
            peer.account.given += bytes;
            let giver_class = usize::from(peer.class);
            self.books.moved(giver_class, taker_class, bytes);
            let from_seed = self.setup.classes[giver_class].is_seed();
            let account = &mut self.peers[taker as usize].account;
            account.taken += bytes;
            account.from_seeds += if from_seed { bytes } else { 0.0 };
        }
    }

    /// Settles all that a peer gives and takes.
    pub(super) fn settle_all_of(&mut self, peer: u32) {
        for at in 0..self.peer(peer).links.given_to.len() {
            let links = &self.peer(peer).links;
            let (taker, back) = {
                let link = links.get(links.given_to[at]);
                (link.to, link.back)
            };
            let loan = self.peer(taker).links.get(back).loan;
            self.settle(taker, loan);
        }
        let loans: Vec<u32> = self.peer(peer).loans.active().collect();
        for loan in loans {
            self.settle(peer, loan);
        }
    }

    /// Settles all loans there are.
    pub(super) fn settle_everything(&mut self) {
        for peer in 0..self.peers.len() as u32 {
            let loans: Vec<u32> = self.peer(peer).loans.active().collect();
            for loan in loans {
                self.settle(peer, loan);
            }
        }
    }

    /// A piece is complete.
    pub(super) fn finish(&mut self, taker: u32, number: u32) {
        self.settle(taker, number);
        let now: Micros = self.clock.now();
        let Peer { links, loans, board, .. } = self.peer_mut(taker);
        let loan = loans.get_mut(number);
        debug_assert!(loan.left < 1.0, "{} bytes are missing at the end of a piece", loan.left);
        loan.due = None;
        let piece = loan.piece;
        let holders = std::mem::take(&mut loan.holders);
        // Freed before anybody hears of the piece: who hears of it may change these connections.
        for holder in &holders {
            links.get_mut(holder.link).loan = NONE;
        }
        loans.end(number);
        board.done_with(piece, &[]);
        self.books.last_moved = now;
        self.tell(taker, piece);
        for holder in &holders {
            // The connection may have ended, if that was the last piece; its number is then free.
            let link = self.peer(taker).links.get(holder.link);
            if !link.is_here() {
                continue;
            }
            let (giver, back) = (link.to, link.back);
            self.again.push_back((taker, holder.link));
            if let SlotRule::Blocks(_) = self.class(giver).slot_rule {
                self.review(giver, back);
            }
            if let SlotRule::Blocks(_) = self.class(taker).slot_rule {
                self.review(taker, holder.link);
            }
            self.leave_if_it_gave_enough(giver);
        }
    }
}
