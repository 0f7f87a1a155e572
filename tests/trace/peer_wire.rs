//! The bytes of a connection between peers: the handshake, and the messages of stage 5.

use super::bytes::{handshake, lines, sound};
use piecemeal::trace::{Context, s04, s05};

#[test]
fn a_handshake_is_shown_field_by_field() {
    let bytes = handshake();
    let object = s04::handshake(&bytes);
    sound(&object, &bytes);
    assert_eq!(
        lines(&object, &bytes),
        "\
handshake, 68 bytes: Transmission 3.0                                       [stage 4, BEP 3]
  0000  13                                                length of the name  19
  0001  42 69 74 54 6f 72 72 65 6e 74 20 70 72 6f 74 …    name                \"BitTorrent protocol\"
  0014  00 00 00 00 00 10 00 05                           reserved            bit 0: DHT (BEP 5)
                                                                              bit 2: fast extension (BEP 6)
                                                                              bit 20: extension protocol (BEP 10)
  001c  d6 9f 91 e6 b2 ae 4c 54 24 68 d1 07 3a 71 d4 …    info hash           d69f91e6b2ae4c542468d1073a71d4ea13879a7f  the torrent
  0030  2d 54 52 33 30 30 30 2d 6b 38 68 6a 30 77 67 …    peer id             \"-TR3000-k8hj0wgej6ch\"  Transmission 3.0"
    );
}

#[test]
fn a_request_is_shown() {
    let bytes = b"\0\0\0\x0d\x06\0\0\0\x02\0\0\x40\0\0\0\x40\0";
    let object = s05::message(bytes, &Context::default());
    sound(&object, bytes);
    assert_eq!(
        lines(&object, bytes),
        "\
request, 17 bytes: piece 2, begin 16384, 16384 bytes                        [stage 5, BEP 3]
  0000  00 00 00 0d                                       length prefix  13  of what follows
  0004  06                                                id             6   request
  0005  00 00 00 02                                       index          2
  0009  00 00 40 00                                       begin          16384
  000d  00 00 40 00                                       length         16384"
    );
}
