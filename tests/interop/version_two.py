"""What the tests of version 2 want of libtorrent.

    make CONTENT PIECE_LENGTH VERSION TORRENT   writes a .torrent; prints its names as JSON
    seed TORRENT FOLDER                         prints its port, and serves until it is ended
    fetch SOURCE FOLDER HOST:PORT               downloads from this peer, or fails after 20 s
"""

import json
import os
import sys
import time

import libtorrent as lt

FLAGS = {"1": lt.create_torrent.v1_only, "2": lt.create_torrent.v2_only, "hybrid": 0}


def make(content, piece_length, version, torrent):
    made = lt.create_torrent(lt.list_files(content), int(piece_length), FLAGS[version])
    lt.set_piece_hashes(made, os.path.dirname(content))
    made = made.generate()
    with open(torrent, "wb") as file:
        file.write(lt.bencode(made))
    # As a client saves it that has only the info dictionary.
    made.pop(b"piece layers", None)
    with open(torrent + ".bare", "wb") as file:
        file.write(lt.bencode(made))
    names = lt.torrent_info(torrent).info_hashes()
    print(json.dumps({
        "btih": str(names.v1) if names.has_v1() else None,
        "btmh": "1220" + str(names.v2) if names.has_v2() else None,
    }))


def join(source, folder):
    session = lt.session({
        "listen_interfaces": "127.0.0.1:0",
        "outgoing_interfaces": "127.0.0.1",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        "min_reconnect_time": 1,
        "allow_multiple_connections_per_ip": True,
        "alert_mask": lt.alert.category_t.error_notification
        | lt.alert.category_t.peer_notification
        | lt.alert.category_t.connect_notification,
    })
    if source.startswith("magnet:"):
        parameters = lt.parse_magnet_uri(source)
    else:
        parameters = lt.load_torrent_file(source)
    parameters.save_path = folder
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    return session, session.add_torrent(parameters)


def seed(torrent, folder):
    session, handle = join(torrent, folder)
    while not handle.status().is_seeding:
        time.sleep(0.02)
    print(session.listen_port(), flush=True)
    time.sleep(300)


def fetch(source, folder, peer):
    session, handle = join(source, folder)
    host, _, port = peer.rpartition(":")
    handle.connect_peer((host, int(port)))
    said = []
    until = time.monotonic() + 20
    while time.monotonic() < until:
        status = handle.status()
        if status.has_metadata and status.is_seeding:
            return
        said += [alert.message() for alert in session.pop_alerts()]
        time.sleep(0.02)
    sys.exit(" | ".join(said[-8:]))


if __name__ == "__main__":
    {"make": make, "seed": seed, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
