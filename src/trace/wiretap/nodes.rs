//! Listens in on the DHT: the datagrams of stage 21.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::super::s21;
use super::super::stream::Way;
use super::Tap;
use super::sink::OtherSide;
use crate::s21_dht_lookup::ask::Datagrams;

impl Tap {
    /// Wraps a socket of the DHT in a wiretap.
    pub fn datagrams(self: &Arc<Tap>, inner: Box<dyn Datagrams>) -> Box<dyn Datagrams> {
        Box::new(TappedDatagrams { tap: Arc::clone(self), inner })
    }
}

struct TappedDatagrams {
    tap: Arc<Tap>,
    inner: Box<dyn Datagrams>,
}

impl Datagrams for TappedDatagrams {
    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.tap.tracker(OtherSide::Node(to), Way::Out, datagram, &[], s21::packet);
        let sent = self.inner.send(datagram, to);
        sent.inspect_err(|error| self.tap.failed(OtherSide::Node(to), &error.to_string()))
    }

    fn receive(
        &self,
        time: Duration,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        let received = self.inner.receive(time, buffer)?;
        // An empty one says nothing: it wakes the thread of a node of ours.
        if let Some((length, from)) = received.filter(|(length, _)| *length > 0) {
            let datagram = buffer.get(..length).unwrap_or_default();
            self.tap.tracker(OtherSide::Node(from), Way::In, datagram, &[], s21::packet);
        }
        Ok(received)
    }
}
