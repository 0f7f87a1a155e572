//! The part of HTTP that a tracker needs: the head of a request, and an answer to it.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::s04_handshake::transport::Transport;

/// The longest head of a request, in bytes.
const MAX_HEAD_LENGTH: usize = 8 << 10;

/// A request to a tracker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method; a client sends `GET`.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// Something that a stricter server would refuse.
    pub odd: Option<&'static str>,
}

/// Reads and parses a request's head; a body is not needed. `None` if it is not HTTP, or
/// too long.
///
/// # Errors
/// If the connection ends, or nothing comes in time.
pub fn read_request(transport: &mut Transport) -> io::Result<(Vec<u8>, Option<Request>)> {
    let mut head = Vec::new();
    let mut part = [0; 2048];
    loop {
        let count = match transport.read(&mut part) {
            // The client waits for an answer to a request without an end.
            Err(error) if error.kind() == ErrorKind::TimedOut && !head.is_empty() => {
                return Ok((head, None));
            }
            count => count?,
        };
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        head.extend_from_slice(part.get(..count).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&head) {
            Ok(httparse::Status::Complete(length)) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let host =
                    request.headers.iter().any(|header| header.name.eq_ignore_ascii_case("host"));
                let odd = (request.version == Some(1) && !host).then_some(
                    "HTTP/1.1 needs a Host header, and there is none; see piecemeal chapter 3",
                );
                let request =
                    Request { method: text(request.method), target: text(request.path), odd };
                head.truncate(length);
                return Ok((head, Some(request)));
            }
            Ok(httparse::Status::Partial) if head.len() < MAX_HEAD_LENGTH => {}
            _ => return Ok((head, None)),
        }
    }
}

/// Answers so that the answer arrives even if the request was not read to its end.
pub(super) fn respond(transport: &mut Transport, status: u16, body: &[u8]) -> io::Result<()> {
    let reason = match status {
        200 => "OK",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Bad Request",
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    transport.write_all(&[head.as_bytes(), body].concat())?;
    if status == 200 {
        return Ok(());
    }
    // Closing with unread bytes would reset the connection, and the answer could be lost
    // with it: so the rest of a body gets a moment to arrive.
    transport.reader.set_deadline(Instant::now() + Duration::from_millis(250));
    io::copy(&mut Read::by_ref(&mut transport.reader).take(1 << 20), &mut io::sink()).map(drop)
}
