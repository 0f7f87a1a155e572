"""What the tests want of libtorrent, which only has bindings for Python.

    make    reads a JSON list of wishes on stdin, writes the .torrent files,
            prints a JSON list of the info hashes that a tracker must serve
    seed    serves torrents; answers every line on stdin with one line of JSON;
            ends when stdin ends, so that it cannot outlive the test
"""

import hashlib
import json
import os
import sys

import libtorrent as lt


def bencode(value):
    """For the one torrent that libtorrent will not make."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%b" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    pairs = sorted((key.encode(), item) for key, item in value.items())
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in pairs) + b"e"


def torrent_by_hand(content, piece_length):
    with open(content, "rb") as file:
        data = file.read()
    pieces = b"".join(
        hashlib.sha1(data[begin : begin + piece_length]).digest()
        for begin in range(0, len(data), piece_length)
    )
    return {
        "name": os.path.basename(content),
        "length": len(data),
        "piece length": piece_length,
        "pieces": pieces,
    }


def torrent_by_libtorrent(content, piece_length, flags):
    torrent = lt.create_torrent(lt.list_files(content), piece_length, flags)
    lt.set_piece_hashes(torrent, os.path.dirname(content))
    return torrent.generate()


def make(wish):
    content, piece_length = wish["content"], wish["piece_length"]
    if wish["kind"] == "by_hand":
        info = bencode(torrent_by_hand(content, piece_length))
    elif wish["kind"] == "v1":
        info = lt.bencode(torrent_by_libtorrent(content, piece_length, lt.create_torrent.v1_only))
    elif wish["kind"] == "hybrid":
        # Canonical files: padded and sorted, as BEP 52 asks of a hybrid.
        info = lt.bencode(torrent_by_libtorrent(content, piece_length, lt.create_torrent.canonical_files))
    else:
        raise ValueError(wish["kind"])
    announce = wish["announce"].encode()
    with open(wish["torrent"], "wb") as file:
        file.write(b"d8:announce%d:%b4:info%be" % (len(announce), announce, info))
    hashes = [hashlib.sha1(info).hexdigest()]
    if wish["kind"] == "hybrid":
        # A client that knows v2 also announces the hybrid under this name.
        hashes.append(hashlib.sha256(info).hexdigest()[:40])
    return hashes


def seed(address, options):
    session = lt.session({
        "listen_interfaces": address,
        "outgoing_interfaces": address.rpartition(":")[0],
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "listen_system_port_fallback": False,
        "announce_to_all_trackers": True,
        "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification,
    })
    session.apply_settings({"upload_rate_limit": options.get("upload_limit", 0)})
    # Peers on the own machine or network are not limited unless they are told so.
    session.set_peer_class_filter(lt.ip_filter())
    handles = []
    for torrent in options["torrents"]:
        parameters = lt.load_torrent_file(torrent)
        parameters.save_path = options["folder"]
        if options.get("unverified"):
            parameters.flags |= lt.torrent_flags.seed_mode
        handles.append(session.add_torrent(parameters))
    for _ in sys.stdin:
        errors = [alert.message() for alert in session.pop_alerts() if alert.category() & lt.alert.category_t.error_notification]
        states = [handle.status() for handle in handles]
        print(json.dumps({
            "have": [[bool(bit) for bit in state.pieces] if not state.is_seeding else None for state in states],
            "checking": any(state.state in (state.checking_files, state.checking_resume_data) for state in states),
            "uploaded": sum(state.total_payload_upload for state in states),
            "errors": errors,
        }), flush=True)
    session.pause()


if __name__ == "__main__":
    if sys.argv[1] == "make":
        print(json.dumps([make(wish) for wish in json.load(sys.stdin)]))
    elif sys.argv[1] == "seed":
        seed(sys.argv[2], json.loads(sys.argv[3]))
    else:
        sys.exit(__doc__)
