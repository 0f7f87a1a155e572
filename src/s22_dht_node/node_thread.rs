//! The one thread that owns the socket: whatever a node hears or says passes through here.
//!
//! ```text
//!   a datagram ---> question --> within the rates? --> answer (answers.rs)
//!              |                                       newcomer? --> ping it
//!              +--> answer ----> to a question of ours, from its address? --> table, search
//!              +--> anything else: dropped
//!   an order   ---> search, check, status, stop
//!   the clock  ---> silent nodes, next questions, refresh, save, a way in
//! ```
//! Nothing here is shared, so nothing is locked. Each wait ends at the next deadline, after a
//! second at most, or when an empty datagram comes: whoever gives an order sends one to wake us.

mod hearing;

use std::net::SocketAddr;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::answers::Knowledge;
use super::asked::{Asked, Outstanding};
use super::bootstrap::{Bootstrap, Hosts, look_up};
use super::own_address::OwnAddress;
use super::rates::Rates;
use super::searches::{Purpose, Question, Searches};
use super::table_file::{SAVE_AGAIN, Saved, TableFile};
use super::tokens::Secret;
use super::{Handle, Order, Status, Tell};
use crate::s01_bencode::counted;
use crate::s03_tracker::reach::Reach;
use crate::s13_peer_sources::STACK;
use crate::s18_udp_tracker::line::LARGEST_DATAGRAM;
use crate::s21_dht_lookup::ask::Datagrams;
use crate::s21_dht_lookup::krpc::{Contact, Packet, Query};
use crate::s21_dht_lookup::node_id::NodeId;
use crate::s21_dht_lookup::{Goal, K, Lookup};

/// The longest wait. What has no deadline of its own is looked after this often.
const TICK: Duration = Duration::from_secs(1);
/// The pause after the socket has failed to receive, so that a broken one costs nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// What the thread has. Each part is pure: it is given the time, and decides. The thread does what
/// it says.
pub(super) struct NodeThread {
    socket: Box<dyn Datagrams>,
    /// Where the socket listens. Only its family and its port mean something to others.
    address: SocketAddr,
    /// Gives orders to this thread: for the threads that it starts.
    handle: Handle,
    /// Whom we know, and what we were told.
    knowledge: Knowledge,
    /// How much was said in this second.
    rates: Rates,
    /// What is being looked up.
    searches: Searches,
    /// The number of our latest lookup to fill the table. The next one usually waits for its end:
    /// they are not urgent.
    own: Option<usize>,
    /// How we get in.
    bootstrap: Bootstrap,
    /// What others say about our address.
    own_address: OwnAddress,
    /// Where the table is saved, and when next.
    table_file: Option<(TableFile, Instant)>,
    /// Our questions that have no answer yet.
    asked: Outstanding,
    /// Is told what happens.
    tell: Option<Tell>,
}

impl NodeThread {
    /// Prepares the thread of a node that has this id and listens at this address. Nothing is sent
    /// before it runs.
    pub fn new(
        (socket, address): (Box<dyn Datagrams>, SocketAddr),
        id: NodeId,
        (bootstrap, handle): (Bootstrap, Handle),
        (table_file, tell): (Option<TableFile>, Option<Tell>),
    ) -> NodeThread {
        let now = Instant::now();
        let mut knowledge = Knowledge::new(id, now, &mut rand::random::<Secret>);
        // A node that listens only on this computer or network meets only others that are there.
        // 0.0.0.0 counts as near as well, but means all addresses.
        if !address.ip().is_unspecified() {
            knowledge.table.admit(Reach::of(address.ip()));
        }
        NodeThread {
            socket,
            address,
            handle,
            knowledge,
            rates: Rates::new(now),
            searches: Searches::default(),
            own: None,
            bootstrap,
            own_address: OwnAddress::default(),
            table_file: table_file.map(|table_file| (table_file, now + SAVE_AGAIN)),
            asked: Outstanding::default(),
            tell,
        }
    }

    /// Takes nodes that were saved. They have to answer before anybody hears of them.
    pub fn remember(&mut self, saved: &[Contact]) {
        let (now, is_ipv4) = (Instant::now(), self.address.is_ipv4());
        let family = saved.iter().filter(|node| node.address.is_ipv4() == is_ipv4);
        // We have saved only nodes that had answered. If near ones were among them, there is a DHT
        // near us, and its nodes may have a place again.
        let reach = family.clone().map(|node| Reach::of(node.address.ip())).min();
        reach.into_iter().for_each(|reach| self.knowledge.table.admit(reach));
        family.for_each(|node| self.knowledge.table.remember(*node, now));
        // At once, and not only when somebody wants something: most of a search's time goes into
        // finding out who is still there.
        if !self.knowledge.table.is_empty() {
            self.look_around(self.knowledge.id());
        }
    }

    /// Runs until it is told to stop. Then the table is saved.
    ///
    /// A round takes all orders, does what is due, and takes one datagram. So neither a flood of
    /// datagrams nor one of orders can keep the other waiting for longer than a round.
    pub fn run(mut self, orders: &Receiver<Order>) {
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let mut due = Instant::now();
        loop {
            let now = Instant::now();
            while let Ok(order) = orders.try_recv() {
                if matches!(order, Order::Stop) {
                    self.save();
                    return;
                }
                self.obey(order, now);
                // An order may be a search, which wants to ask somebody now.
                due = now;
            }
            if due <= now {
                due = self.tick(now);
            }
            match self.socket.receive(due.saturating_duration_since(now), &mut buffer) {
                Ok(None) => {}
                Ok(Some((length, from))) => {
                    let now = Instant::now();
                    // Most datagrams are questions. They change nothing that waits for the clock.
                    if self.hear(buffer.get(..length).unwrap_or_default(), from, now) {
                        due = now;
                    }
                }
                // A network that is down may come back. Until then each round takes a tenth of a
                // second, and everything that waits for the clock goes on.
                Err(_) => thread::sleep(PAUSE),
            }
        }
    }

    /// Carries out an order.
    fn obey(&mut self, order: Order, now: Instant) {
        match order {
            // The next tick begins it, which follows at once.
            Order::Search(wanted) => self.searches.want(wanted),
            Order::Check(address) => {
                // A peer has named a port of its own. That may be a lie, so it is limited like all
                // that strangers make us send.
                let may = self.knowledge.table.admits(address) && self.rates.may_check(now);
                if may && address.is_ipv4() == self.address.is_ipv4() {
                    self.ask(address, Query::Ping, None, now);
                }
            }
            Order::Status(to) => {
                let (id, counts) = (self.knowledge.id(), self.knowledge.counts());
                let good = self.knowledge.table.good(now);
                // Whoever has asked may be gone.
                let _ = to.send(Status { id, counts, good });
            }
            Order::HostAddresses(addresses) if addresses.is_empty() => {} // the name leads nowhere
            Order::HostAddresses(addresses) => {
                self.bootstrap.add(&addresses);
                // The first address begins a lookup. Those that come later join it, and all others
                // that run: a host that is silent costs a second, and the next one may answer.
                if self.own.is_none_or(|own| !self.searches.runs(own)) {
                    self.look_around(self.knowledge.id());
                }
                self.searches.start_from_hosts(&addresses);
            }
            Order::LookedUp => self.bootstrap.looked_up(),
            Order::Stop => {} // `run` has ended
        }
    }

    /// Does what is due, and returns when something is due next.
    fn tick(&mut self, now: Instant) -> Instant {
        self.give_up(now);
        self.get_in(now);
        self.ask_on(now);
        self.check(now);
        if self.table_file.as_ref().is_some_and(|(_, at)| *at <= now) {
            self.save();
        }
        // If the second has had its questions, nothing that a lookup wants can be done before the
        // next. Its own time may be over by then: asking it again at once would be a loop.
        let next =
            if self.rates.may_ask(now) { self.searches.due() } else { Some(self.rates.next()) };
        next.unwrap_or(now + TICK).min(now + TICK)
    }

    /// Looks for nodes, if we know too few.
    ///
    /// | we know | then |
    /// |---|---|
    /// | nobody who answers | ask the hosts |
    /// | fewer than eight | look for our own id again |
    /// | enough, but of a bucket nothing new for 15 minutes | look for an id in that bucket |
    fn get_in(&mut self, now: Instant) {
        let runs = self.own.is_some_and(|own| self.searches.runs(own));
        let cut_off = self.knowledge.table.is_cut_off();
        match self.bootstrap.due(cut_off, runs, now) {
            Some(hosts) if hosts != Hosts::default() => self.look_up(hosts),
            // Our network may have been down, and the nodes that we know may answer again.
            Some(_) if !self.knowledge.table.is_empty() => self.look_around(self.knowledge.id()),
            _ => {}
        }
        // Both are for quiet times: a lookup that somebody wants fills the table as well.
        if !cut_off && !runs {
            let few = self.bootstrap.looks_again(self.knowledge.table.len(), now);
            let ours = few.then_some(self.knowledge.id());
            let target = ours.or_else(|| self.knowledge.table.refresh(now, rand::random()));
            target.into_iter().for_each(|target| self.look_around(target));
        }
    }

    /// Looks hosts up, on a thread of its own: a name server may take half a minute, and a node
    /// that answers nobody for so long is gone from the tables of others.
    fn look_up(&mut self, hosts: Hosts) {
        self.say("asking hosts for a way in");
        let (handle, is_ipv4) = (self.handle.clone(), self.address.is_ipv4());
        let work = move || look_up(&hosts, is_ipv4, &handle);
        let names = thread::Builder::new().name("names".to_owned()).stack_size(STACK);
        if names.spawn(work).is_err() {
            self.bootstrap.looked_up();
        }
    }

    /// Begins searches that wait, and sends what the running ones want to ask.
    fn ask_on(&mut self, now: Instant) {
        // A lookup without a node that answers would be over soon, and its caller would be told
        // that there is nobody, a moment before somebody might be found.
        let waits = self.bootstrap.is_looking() && self.bootstrap.addresses().is_empty();
        if !(waits && self.knowledge.table.is_cut_off()) {
            let (knowledge, bootstrap, v4) =
                (&self.knowledge, &self.bootstrap, self.address.is_ipv4());
            self.searches.begin(|goal| lookup(goal, knowledge, bootstrap, v4));
        }
        // Twice: what is reported may be the end of a lookup, and then the announces follow.
        for _ in 0..2 {
            while self.rates.may_ask(now)
                && let Some(Question { search, purpose, to, query }) = self.searches.next(now)
            {
                self.rates.asked();
                self.ask(to, query, Some((search, purpose)), now);
            }
            self.searches.report();
        }
    }

    /// Asks nodes whether they are still there, if that is in doubt. Without this, only lookups
    /// would find out that a node is gone, and each of them would lose a second to it.
    fn check(&mut self, now: Instant) {
        while let Some(node) = self.knowledge.table.doubtful(now)
            && self.rates.may_check(now)
        {
            self.knowledge.table.checks(node.address, now);
            self.ask(node.address, Query::Ping, None, now);
        }
    }

    /// Notes which nodes have been silent for too long. A lookup has its own idea of that, and goes
    /// on after a second. Here it decides who keeps a place, so there is no hurry.
    fn give_up(&mut self, now: Instant) {
        for asked in self.asked.expired(now) {
            self.knowledge.table.silent(asked.to, now);
            if let Some((search, Purpose::Announce)) = asked.purpose {
                self.searches.announce_ended(search, false);
            }
        }
    }

    /// Begins a lookup of our own: its answers fill the table. Each node that it asks may keep us
    /// as well, so this is also how others get to know us.
    fn look_around(&mut self, target: NodeId) {
        let v4 = self.address.is_ipv4();
        let lookup = lookup(Goal::Nodes(target), &self.knowledge, &self.bootstrap, v4);
        self.own = Some(self.searches.begin_own(lookup));
    }

    /// Sends a question, and remembers it. If the system does not take it, nothing is done about
    /// that: nobody knows of any datagram whether it arrives, and this one will count as not
    /// answered.
    fn ask(
        &mut self,
        to: SocketAddr,
        query: Query,
        purpose: Option<(usize, Purpose)>,
        now: Instant,
    ) {
        let transaction = self.asked.add(Asked { to, since: now, purpose }, &mut rand::random);
        let packet = Packet::query(transaction, self.knowledge.id(), query);
        let _ = self.socket.send(&packet.encode(), to);
    }

    /// Saves the table. The thread waits for the disk meanwhile, a moment every five minutes. To
    /// others, that looks like a slow network.
    fn save(&mut self) {
        let Some((table_file, at)) = &mut self.table_file else { return };
        let now = Instant::now();
        *at = now + SAVE_AGAIN;
        let saved = Saved {
            id: self.knowledge.id(),
            ip: self.own_address.agreed(),
            port: self.address.port(),
            nodes: self.knowledge.table.good(now),
            at: SystemTime::now(),
        };
        let count = counted(saved.nodes.len(), "node");
        let told = match table_file.save(&saved) {
            Ok(()) => format!("{}: {count} saved", table_file.path().display()),
            Err(error) => format!("{}: {count} not saved: {error}", table_file.path().display()),
        };
        self.say(&told);
    }

    /// Tells whoever wants to hear it.
    fn say(&self, what: &str) {
        self.tell.iter().for_each(|tell| tell(what));
    }
}

/// Makes a lookup that begins with the nodes we know; if these are few, also with the ways in.
/// Hosts are spared otherwise: everybody would ask them for everything.
fn lookup(goal: Goal, knowledge: &Knowledge, bootstrap: &Bootstrap, is_ipv4: bool) -> Lookup {
    let target = match goal {
        Goal::Peers(info_hash) => info_hash.into(),
        Goal::Nodes(target) => target,
    };
    let mut lookup = Lookup::new(goal, knowledge.id(), is_ipv4);
    let known = knowledge.table.closest(target);
    if known.len() < K || knowledge.table.is_cut_off() {
        bootstrap.addresses().iter().for_each(|address| lookup.start_from_host(*address));
    }
    known.into_iter().for_each(|contact| lookup.start_from(contact));
    lookup
}
