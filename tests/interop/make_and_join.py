"""What the tests want of libtorrent, which only has bindings for Python.

    make    reads a JSON list of wishes on stdin, writes the .torrent files,
            prints a JSON list of the info hashes that a tracker must serve
    join    downloads and serves torrents; answers each line on stdin with a line
            of JSON, and ends when stdin ends, so that it cannot outlive the test
"""

import hashlib
import json
import os
import signal
import sys
import time

import libtorrent as lt

# How long a torrent may have no peer before its tracker is asked again, in seconds.
LONELY = 5


def bencode(value):
    """For the torrent that libtorrent will not make."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    pairs = sorted((key.encode(), item) for key, item in value.items())
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in pairs) + b"e"


def info_by_hand(content, piece_length):
    with open(content, "rb") as file:
        data = file.read()
    pieces = [data[begin : begin + piece_length] for begin in range(0, len(data), piece_length)]
    return bencode({
        "name": os.path.basename(content),
        "length": len(data),
        "piece length": piece_length,
        "pieces": b"".join(hashlib.sha1(piece).digest() for piece in pieces),
    })


def by_libtorrent(content, piece_length, flags):
    torrent = lt.create_torrent(lt.list_files(content), piece_length, flags)
    lt.set_piece_hashes(torrent, os.path.dirname(content))
    torrent = torrent.generate()
    # A hybrid's hash tree lies beside the info dictionary.
    layers = {b"piece layers": torrent[b"piece layers"]} if b"piece layers" in torrent else {}
    return lt.bencode(torrent[b"info"]), layers


def make(wish):
    content, piece_length, layers = wish["content"], wish["piece_length"], {}
    if wish["kind"] == "by_hand":
        info = info_by_hand(content, piece_length)
    elif wish["kind"] == "v1":
        info, _ = by_libtorrent(content, piece_length, lt.create_torrent.v1_only)
    else:
        # Canonical: sorted and padded, as BEP 52 asks of a hybrid.
        info, layers = by_libtorrent(content, piece_length, lt.create_torrent.canonical_files)
    announce = {b"announce": wish["announce"].encode()}
    for path, first, last in [(wish["announced"], announce, layers), (wish["trackerless"], {}, layers)]:
        # The info dictionary goes in as it was hashed, its neighbors around it.
        with open(path, "wb") as file:
            file.write(lt.bencode(first)[:-1] + b"4:info" + info + lt.bencode(last)[1:])
    hashes = [hashlib.sha1(info).hexdigest()]
    if wish["kind"] == "hybrid":
        # A client that knows v2 also announces under this name.
        hashes.append(hashlib.sha256(info).hexdigest()[:40])
    return hashes


def join(address, options):
    session = lt.session({
        "listen_interfaces": address,
        "outgoing_interfaces": address.rpartition(":")[0],
        "listen_system_port_fallback": False,
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        # It dials a peer that it has lost again after two minutes, and no test waits that long.
        "min_reconnect_time": 1,
        "max_failcount": 31,
        "upload_rate_limit": options["upload_limit"],
        "alert_mask": lt.alert.category_t.error_notification
        | lt.alert.category_t.tracker_notification
        | lt.alert.category_t.connect_notification,
    })
    # As it comes, it exempts peers on the local network from the limit.
    everybody = lt.ip_filter()
    everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
    session.set_peer_class_filter(everybody)
    torrents = []
    for torrent in options["torrents"]:
        source, peers = torrent["source"], torrent["peers"]
        try:
            if source.startswith("magnet:"):
                parameters = lt.parse_magnet_uri(source)
            else:
                parameters = lt.load_torrent_file(source)
        except RuntimeError as error:
            # Missing from the answers, which the test takes for a refusal.
            print(source, error, file=sys.stderr, flush=True)
            continue
        parameters.save_path = options["folder"]
        # Managed torrents are checked one by one, with a pause between them.
        parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        handle = session.add_torrent(parameters)
        torrents.append(Joined(handle))
        # A magnet names its peers itself.
        for peer in [] if source.startswith("magnet:") else peers:
            host, _, port = peer.rpartition(":")
            handle.connect_peer((host, int(port)))
    for _ in sys.stdin:
        for alert in session.pop_alerts():
            if alert.category() & lt.alert.category_t.error_notification:
                print(alert.message(), file=sys.stderr, flush=True)
            for torrent in torrents:
                torrent.hear(alert)
        print(json.dumps([torrent.status() for torrent in torrents]), flush=True)


class Joined:
    """A torrent, and what libtorrent last said of its tracker and of its peers."""

    def __init__(self, handle):
        self.handle = handle
        self.lonely_since = time.monotonic()
        self.tracker = self.peer = "nothing"

    def hear(self, alert):
        if getattr(alert, "handle", None) != self.handle:
            return
        if isinstance(alert, lt.tracker_alert):
            self.tracker = alert.message()
        # A tracker's list has ourselves on it as well.
        elif isinstance(alert, lt.peer_alert) and "to ourselves" not in alert.message():
            self.peer = alert.message()

    def status(self):
        state = self.handle.status()
        checking = state.state in (state.checking_files, state.checking_resume_data)
        done = state.has_metadata and state.is_seeding
        # After an answer without a peer, libtorrent does not announce again for half an hour.
        if done or checking or state.num_peers or state.total_done:
            self.lonely_since = time.monotonic()
        elif time.monotonic() - self.lonely_since > LONELY:
            self.lonely_since = time.monotonic()
            self.handle.force_reannounce(0, -1, lt.reannounce_flags_t.ignore_min_interval)
        return {
            "info_hash": str(state.info_hashes.v1),
            "checking": checking,
            "have": state.total_done,
            "done": done,
            "uploaded": state.total_payload_upload,
            "said": f"{state.state}, {state.num_peers} peers; of its tracker: {self.tracker}; of its peers: {self.peer}",
        }


if __name__ == "__main__":
    # No test takes this long: an answer that never comes ends the wait for it.
    signal.alarm(300)
    if sys.argv[1:] == ["make"]:
        print(json.dumps([make(wish) for wish in json.load(sys.stdin)]))
    elif sys.argv[1:2] == ["join"]:
        join(sys.argv[2], json.loads(sys.argv[3]))
    else:
        sys.exit(__doc__)
