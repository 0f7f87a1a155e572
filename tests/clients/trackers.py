"""A small client for trackers: stages 3, 13 and 18. Sockets by hand, to be wrong in every way.

It is right also with trackers that misbehave. trackers.txt makes wrong clients of it.
"""

import hashlib
import os
import signal
import socket
import struct
import sys
import time
import urllib.parse

ME = b"-TR0001-" + os.urandom(6).hex().encode()
LIMIT = 4.0  # seconds for an answer
LONGEST = 1 << 20  # bytes of an answer


class Failure(Exception):
    """Why a tracker gave no answer."""


def decode(data, at=0):
    """Returns the value that begins at this byte, and where it ends."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode(data, at)
            items.append(item)
        return items if kind == b"l" else dict(zip(items[::2], items[1::2])), at + 1
    colon = data.index(b":", at)
    start = colon + 1
    end = start + int(data[at:colon])
    if end > len(data):
        raise ValueError("the string is cut short")
    return data[start:end], end


def read_torrent(path):
    """Returns the info hash, the length and the tiers."""
    data = open(path, "rb").read()
    at, values, raw_info = 1, {}, None
    while data[at:at + 1] != b"e":
        key, start = decode(data, at)
        values[key], at = decode(data, start)
        if key == b"info":
            raw_info = data[start:at]
    info = values[b"info"]
    length = sum(f[b"length"] for f in info.get(b"files", [info]))
    tiers = values.get(b"announce-list", [[values[b"announce"]]])
    return hashlib.sha1(raw_info).digest(), length, [[url.decode() for url in tier] for tier in tiers]


def get(url, limit=LIMIT):
    """Returns the status and the body of an HTTP answer."""
    parts = urllib.parse.urlsplit(url)
    target = parts.path + "?" + parts.query
    head = "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (target, parts.netloc)
    deadline, data = time.time() + limit, b""
    with socket.create_connection((parts.hostname, parts.port or 80), limit) as line:
        line.sendall(head.encode("latin-1"))
        while True:
            line.settimeout(max(deadline - time.time(), 0.001))
            more = line.recv(65536)
            data += more
            if not more:
                break
            if len(data) > LONGEST:
                raise Failure("the answer does not end")
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def addresses(data, family, size):
    """Returns the peers of a compact list."""
    for at in range(0, len(data), size + 2):
        ip = socket.inet_ntop(family, data[at:at + size])
        port = struct.unpack(">H", data[at + size:at + size + 2])[0]
        yield "%s:%d" % ("[%s]" % ip if ":" in ip else ip, port)


def announce_http(url, us, event):
    query = {"info_hash": us.info_hash, "peer_id": ME, "port": us.port, "uploaded": 0,
             "downloaded": 0, "left": us.left, "compact": 1}
    if event:
        query["event"] = event
    if us.tracker_id:
        query["trackerid"] = us.tracker_id
    separator = "&" if "?" in url else "?"
    text = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    status, body = get(url + separator + text, 2 if event == "stopped" else LIMIT)
    try:
        answer, _ = decode(body)
    except (ValueError, IndexError):
        raise Failure("status %d, and no bencode" % status)
    if b"failure reason" in answer:
        raise Failure(answer[b"failure reason"].decode())
    us.tracker_id = answer.get(b"tracker id", us.tracker_id)
    us.interval = max(answer.get(b"interval", 1800), 2)
    peers = answer.get(b"peers", b"")
    if isinstance(peers, list):
        return ["%s:%d" % (peer[b"ip"].decode(), peer[b"port"]) for peer in peers]
    if len(peers) % 6:
        raise Failure("the last peer is cut short")
    six = answer.get(b"peers6", b"")
    return list(addresses(peers, socket.AF_INET, 4)) + list(addresses(six, socket.AF_INET6, 16))


class Udp:
    """A socket to a UDP tracker, and the connection id that it gave."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.address = parts.hostname, parts.port
        self.socket.connect(self.address)
        self.deadline = time.time() + 15
        self.connection = struct.pack(">Q", 0x41727101980)
        self.connection = self.ask(0, b"", 16)[8:16]

    def ask(self, action, rest, least):
        """Sends a request until its answer comes."""
        transaction, pause = os.urandom(4), 1.0
        packet = self.connection + struct.pack(">I", action) + transaction + rest
        while time.time() < self.deadline:
            self.socket.send(packet)
            until, pause = time.time() + pause, pause * 2
            while time.time() < min(until, self.deadline):
                self.socket.settimeout(max(until - time.time(), 0.001))
                try:
                    answer = self.socket.recv(65536)
                except socket.timeout:
                    break
                if len(answer) < 8 or answer[4:8] != transaction:
                    continue
                said = struct.unpack(">I", answer[:4])[0]
                if said == 3:
                    raise Failure(answer[8:].decode())
                if said == action and len(answer) >= least:
                    return answer
        raise Failure("no answer")


def announce_udp(url, us, event):
    number = {None: 0, "completed": 1, "started": 2, "stopped": 3}[event]
    counts = struct.pack(">QQQ", 0, us.left, 0)
    rest = struct.pack(">IIIiH", number, 0, 7, -1, us.port)
    answer = Udp(url).ask(1, us.info_hash + ME + counts + rest, 20)
    us.interval = struct.unpack(">I", answer[8:12])[0]
    return list(addresses(answer[20:], socket.AF_INET, 4))


class Announcer:
    """What is said to the trackers of a torrent."""

    def __init__(self, path, port=6881):
        self.info_hash, self.left, self.tiers = read_torrent(path)
        self.port, self.tracker_id, self.interval = port, None, 1800

    def announce(self, url, event=None):
        if url.startswith("udp:"):
            return announce_udp(url, self, event)
        return announce_http(url, self, event)

    def first(self, event=None):
        """Returns the first tracker that answers, and its peers."""
        why = None
        for url in [url for tier in self.tiers for url in tier]:
            try:
                return url, self.announce(url, event)
            except (OSError, Failure) as error:
                why = error
        raise Failure("no tracker has answered: %s" % why)


def announce_until_interrupted(us):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    url, pause = None, 2
    try:
        while True:
            try:
                if url:
                    us.announce(url)
                else:
                    url, _ = us.first("started")
                time.sleep(us.interval)
            except (OSError, Failure) as error:
                print(error, file=sys.stderr)
                time.sleep(pause)
                pause *= 2
    except KeyboardInterrupt:
        if url:
            us.announce(url, "stopped")


def scrape(url, info_hash):
    if url.startswith("udp:"):
        answer = Udp(url).ask(2, info_hash, 20)
        seeders, downloads, leechers = struct.unpack(">III", answer[8:20])
        return seeders, leechers, downloads
    folder, _, name = url.rpartition("/")
    if not name.startswith("announce"):
        raise Failure("this tracker cannot be scraped")
    query = "?info_hash=" + urllib.parse.quote(info_hash)
    files = decode(get(folder + "/scrape" + name[8:] + query)[1])[0][b"files"]
    counts = files[info_hash]
    return counts[b"complete"], counts[b"incomplete"], counts[b"downloaded"]


def main(command, *words):
    if command == "peers":
        for peer in Announcer(words[0]).first()[1]:
            print(peer)
    elif command == "announce":
        announce_until_interrupted(Announcer(words[2], int(words[1])))
    elif command == "scrape":
        us = Announcer(words[0])
        for url in [url for tier in us.tiers for url in tier]:
            counts = scrape(url, us.info_hash)
            print("%s: %d seeders, %d leechers, %d downloads" % (url, *counts))
    else:
        sys.exit("unknown command: " + command)


try:
    main(*sys.argv[1:])
except (OSError, Failure) as error:
    sys.exit(str(error))
