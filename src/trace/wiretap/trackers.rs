//! Listens in on trackers: the GET request of stage 3, the packets of stage 18. With a
//! remote tracker it listens on our side; with the lab's own, on the tracker's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::stream::Way;
use super::super::{s03, s18};
use super::Tap;
use super::sink::OtherSide;
use crate::s03_tracker::http::{Fetched, Get, HttpTracker, announce_with, fetch};
use crate::s03_tracker::{AnnounceRequest, AnnounceResponse, Tracker, TrackerError};
use crate::s18_udp_tracker::UdpTracker;
use crate::s18_udp_tracker::line::Packets;
use crate::s18_udp_tracker::packet::Family;

impl Tap {
    /// Returns trackers of both kinds with a wiretap.
    pub fn trackers(self: &Arc<Tap>) -> Vec<Box<dyn Tracker>> {
        vec![
            Box::new(TappedHttp(self.get(Arc::new(fetch)))),
            Box::new(self.udp(UdpTracker::default())),
        ]
    }

    /// Wraps a UDP tracker in a wiretap.
    pub fn udp(self: &Arc<Tap>, udp: UdpTracker) -> UdpTracker {
        let tap = Arc::clone(self);
        udp.through(Arc::new(move |inner, address| {
            let url = format!("udp://{address}");
            Box::new(TappedPackets { tap: Arc::clone(&tap), inner, address, url })
        }))
    }

    /// Wraps GET requests in a wiretap. It sees the first request and the final, decoded answer,
    /// but no redirects.
    pub fn get(self: &Arc<Tap>, get: Arc<Get>) -> Arc<Get> {
        let tap = Arc::clone(self);
        Arc::new(move |url: &str, deadline: Instant| {
            let base = url.split(['?', '#']).next().unwrap_or_default();
            tap.tracker(OtherSide::Tracker(base), Way::Out, url.as_bytes(), &[], |url| {
                s03::url(&String::from_utf8_lossy(url))
            });
            let answer = get(url, deadline);
            match &answer {
                Ok(Fetched { status, body, .. }) => {
                    tap.tracker(
                        OtherSide::Tracker(base),
                        Way::In,
                        body,
                        &[format!("HTTP status {status}")],
                        s03::answer,
                    );
                }
                Err(error) => tap.failed(OtherSide::Tracker(base), &format!("no answer: {error}")),
            }
            answer
        })
    }
}

/// The wiretap of our own tracker.
impl Tap {
    /// Records the head of an HTTP request to us.
    pub fn asked(&self, asker: SocketAddr, head: &[u8]) {
        self.tracker(
            OtherSide::Asker(&format!("http://{asker}")),
            Way::In,
            head,
            &[],
            s03::request,
        );
    }

    /// Records our answer to it.
    pub fn answered(&self, asker: SocketAddr, status: u16, body: &[u8]) {
        let status = format!("HTTP status {status}");
        self.tracker(
            OtherSide::Asker(&format!("http://{asker}")),
            Way::Out,
            body,
            &[status],
            s03::answer,
        );
    }

    /// Records a packet to us, or our answer to one.
    pub fn packet(&self, asker: SocketAddr, way: Way, packet: &[u8]) {
        self.tracker(OtherSide::Asker(&format!("udp://{asker}")), way, packet, &[], |packet| {
            match way {
                Way::In => s18::request(packet),
                Way::Out => s18::answer(packet, Family::of(asker)),
            }
        });
    }
}

struct TappedHttp(Arc<Get>);

impl Tracker for TappedHttp {
    fn schemes(&self) -> &[&str] {
        HttpTracker.schemes()
    }

    fn announce(
        &self,
        url: &str,
        ask: &AnnounceRequest,
        deadline: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        announce_with(&*self.0, url, ask, deadline)
    }
}

struct TappedPackets {
    tap: Arc<Tap>,
    inner: Box<dyn Packets>,
    address: SocketAddr,
    url: String,
}

impl Packets for TappedPackets {
    fn send(&self, packet: &[u8]) -> io::Result<()> {
        self.tap.tracker(OtherSide::Tracker(&self.url), Way::Out, packet, &[], s18::request);
        self.inner
            .send(packet)
            .inspect_err(|error| self.tap.failed(OtherSide::Tracker(&self.url), &error.to_string()))
    }

    fn receive(&self, time: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let received = self.inner.receive(time, buffer);
        match &received {
            Ok(Some(length)) => {
                let packet = buffer.get(..*length).unwrap_or_default();
                self.tap.tracker(OtherSide::Tracker(&self.url), Way::In, packet, &[], |packet| {
                    s18::answer(packet, Family::of(self.address))
                });
            }
            Ok(None) => {}
            Err(error) => self.tap.failed(OtherSide::Tracker(&self.url), &error.to_string()),
        }
        received
    }
}
