//! The half of a session that gives. What, and how much, is for [`Uploads`] to say.
//!
//! [`Uploads`]: crate::s13_swarm::uploads::Uploads

use std::sync::Arc;

use super::Session;
use crate::s05_messages::connection::Line;
use crate::s05_messages::{Message, Request};
use crate::s13_swarm::Ended;
use crate::s13_swarm::outbox::{Outlet, Writer};
use crate::s13_swarm::uploads::Taker;

impl Session<'_> {
    /// The peer wants something for the first time.
    pub(super) fn open_upload(&mut self, outlet: &mut Outlet, line: &Line) {
        let taker = Taker {
            traffic: Arc::clone(self.traffic),
            torrent: Arc::clone(self.torrent),
            outbox: Arc::default(),
            fast: self.fast,
            has: self.share.count_pieces(),
        };
        let writer = Writer {
            swarm: Arc::clone(self.swarm),
            uploads: Arc::clone(&self.swarm.uploads),
            torrent: Arc::clone(self.torrent),
            traffic: Arc::clone(self.traffic),
            outbox: Arc::clone(&taker.outbox),
            fast: self.fast,
        };
        self.upload = self.swarm.uploads.open(taker);
        if self.upload.is_some() {
            outlet.start_writer(writer, &line.0);
        }
    }

    pub(super) fn peer_interested(&mut self, yes: bool) {
        self.traffic.terms().wants(yes);
        if let Some(upload) = &mut self.upload {
            upload.interested(yes);
        }
    }

    /// Who gets nothing is told so, if both speak the fast extension.
    pub(super) fn requested(&mut self, request: Request) -> Result<(), Ended> {
        if let Some(upload) = &mut self.upload {
            return upload.request(request).map_err(Ended::Upload);
        }
        if self.fast {
            Message::Reject(request).encode_to(&mut self.out);
            self.urgent = true;
        }
        Ok(())
    }

    pub(super) fn cancelled(&mut self, request: Request) {
        if let Some(upload) = &mut self.upload {
            upload.cancel(request);
        }
    }
}
