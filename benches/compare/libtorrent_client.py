"""libtorrent as a program, since it is a library.

    download TORRENT FOLDER PEERS
    verify TORRENT FOLDER
    seed TORRENT FOLDER PEERS PORT
    create FILE TORRENT
"""

import os
import sys

import libtorrent as lt


def session(peers, port):
    limits = {"connections_limit": int(peers)} if peers else {}
    return lt.session(limits | {
        "listen_interfaces": f"127.0.0.1:{port}",
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "enable_outgoing_utp": False,
        "enable_incoming_utp": False,
        # Plain connections, as everybody else has here.
        "out_enc_policy": lt.enc_policy.disabled,
        # The leecher's connections all come from one address.
        "allow_multiple_connections_per_ip": True,
        "alert_mask": lt.alert.category_t.status_notification | lt.alert.category_t.error_notification,
    })


def add(to, torrent, folder, flags=0):
    parameters = lt.load_torrent_file(torrent)
    parameters.save_path = folder
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    parameters.flags |= flags
    return to.add_torrent(parameters)


def until(to, handle, good):
    while not good(handle.status()):
        to.wait_for_alert(5)
        to.pop_alerts()


def create(file, torrent):
    made = lt.create_torrent(lt.list_files(file), 1 << 20, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, os.path.dirname(file))
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))


def main(verb, first, second, peers="", port=0):
    if verb == "create":
        return create(first, second)
    client = session(peers, port)
    if verb == "seed":
        add(client, first, second)
        while True:
            client.wait_for_alert(1000)
            client.pop_alerts()
    # Without peers, what is not right stays missing: then this does not end.
    flags = lt.torrent_flags.upload_mode if verb == "verify" else 0
    until(client, add(client, first, second, flags), lambda status: status.is_seeding)


if __name__ == "__main__":
    main(*sys.argv[1:])
