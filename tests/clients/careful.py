"""A careful client: stages 1, 2, 4 to 10, 12, and 15 to 17. It believes nobody.

careful.txt makes wrong clients of it. Trackers that misbehave are for trackers.py.
"""

import base64
import hashlib
import json
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse

BLOCK = 16384
LONGEST = 1 << 20  # bytes of a message
LIMIT = 4.0  # seconds for an answer
AHEAD = 10  # requests that wait for their blocks
SLOTS = 4  # peers that a seed gives to at a time
PROTOCOL = b"\x13BitTorrent protocol"
ME = b"-CA0001-" + os.urandom(6).hex().encode()
UT_METADATA = 9  # the id by which we want to be sent metadata messages


class Refusal(Exception):
    """Why it cannot be done, in words."""


FAULTS = (Refusal, OSError, ValueError, struct.error)


def insist(condition, why):
    if not condition:
        raise Refusal(why)


# Bencode


def decode(data, at=0, depth=0):
    """Returns the value that begins at this byte, and where it ends."""
    insist(depth < 64, "the lists are too deep")
    kind = data[at:at + 1]
    if kind == b"i":
        number = re.compile(rb"i(0|-?[1-9][0-9]*)e").match(data, at)
        insist(number, "no integer at byte %d" % at)
        return int(number.group(1)), number.end()
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode(data, at, depth + 1)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        keys = items[::2]
        insist(len(items) % 2 == 0, "a key has no value")
        insist(all(isinstance(key, bytes) for key in keys), "a key is no string")
        insist(len(set(keys)) == len(keys), "a key is there twice")
        return dict(zip(keys, items[1::2])), at + 1
    prefix = re.compile(rb"([0-9]+):").match(data, at)
    insist(prefix, "no value at byte %d" % at)
    end = prefix.end() + int(prefix.group(1))
    insist(end <= len(data), "a string ends too early")
    return data[prefix.end():end], end


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, (list, tuple)):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def show(value):
    """Returns what JSON has for a value. Bytes that are no text are shown in hex."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"$hex": value.hex()}
    if isinstance(value, list):
        return [show(item) for item in value]
    if isinstance(value, dict):
        return {show(key): show(item) for key, item in value.items()}
    return value


def decode_all(data):
    value, end = decode(data)
    insist(end == len(data), "there is more behind the value")
    return json.dumps(show(value), ensure_ascii=False, separators=(",", ":"))


# Torrents and links


def field(values, key, kind):
    """Returns the value of a key, which must be there."""
    insist(isinstance(values, dict) and isinstance(values.get(key), kind), "no %s" % key.decode())
    return values[key]


class Torrent:
    def __init__(self, raw, trackers):
        info = decode(raw)[0]
        self.raw, self.trackers, self.info_hash = raw, trackers, hashlib.sha1(raw).digest()
        name, self.files = field(info, b"name", bytes), []
        if b"files" in info:
            for file in field(info, b"files", list):
                self.files.append((field(file, b"path", list), field(file, b"length", int)))
        else:
            self.files.append(([], field(info, b"length", int)))
        self.length = sum(length for _, length in self.files)
        self.piece_length, hashes = field(info, b"piece length", int), field(info, b"pieces", bytes)
        insist(name != b"..", "the name leads out of the folder")
        insist(all(b".." not in path for path, _ in self.files), "a path leads out of the folder")
        insist(all(length >= 0 for _, length in self.files), "a length is negative")
        insist(self.piece_length > 0, "the piece length is 0")
        count = -(-self.length // self.piece_length)
        insist(len(hashes) == 20 * count, "%d bytes of hashes" % len(hashes))
        self.hashes = [hashes[i:i + 20] for i in range(0, len(hashes), 20)]

    def size(self, index):
        return min(self.piece_length, self.length - index * self.piece_length)

    def is_piece(self, index, data):
        return hashlib.sha1(data).digest() == self.hashes[index]


def read_torrent(path):
    data = open(path, "rb").read()
    insist(data[:1] == b"d", "%s is no torrent" % path)
    # Walk over the keys by hand: the info hash is that of the bytes as they are in the file.
    at, values, raw = 1, {}, b""
    while data[at:at + 1] != b"e":
        key, start = decode(data, at)
        values[key], at = decode(data, start)
        if key == b"info":
            raw = data[start:at]
    tiers = [[values[b"announce"]]] if b"announce" in values else []
    tiers = values.get(b"announce-list", tiers)
    return Torrent(raw, [url.decode() for tier in tiers for url in tier])


def describe(torrent):
    for url in torrent.trackers:
        print("Tracker URL:", url)
    print("Length:", torrent.length)
    print("Info Hash:", torrent.info_hash.hex())
    print("Piece Length:", torrent.piece_length)
    print("Piece Hashes:")
    for piece_hash in torrent.hashes:
        print(piece_hash.hex())


def read_magnet(link):
    """Returns the info hash, the trackers, and the addresses of peers."""
    insist(link.startswith("magnet:?"), "this is no magnet link")
    pairs = [pair.partition("=")[::2] for pair in link[8:].split("&")]
    pairs = [(key, urllib.parse.unquote(value)) for key, value in pairs]
    topics = [value for key, value in pairs if key == "xt"]
    hashes = [topic[9:] for topic in topics if topic.startswith("urn:btih:")]
    insist(hashes, "the link has no info hash")
    if len(hashes[0]) == 32:
        info_hash = base64.b32decode(hashes[0].upper())
    else:
        insist(re.fullmatch("[0-9a-fA-F]{40}", hashes[0]), "the info hash is no info hash")
        info_hash = bytes.fromhex(hashes[0])
    trackers = [value for key, value in pairs if key == "tr"]
    return info_hash, trackers, [value for key, value in pairs if key == "x.pe"]


# Content on disk


class Store:
    """The content of a torrent on disk: files that lie end to end."""

    def __init__(self, torrent, path):
        names = [[os.fsdecode(part) for part in parts] for parts, _ in torrent.files]
        paths = [os.path.join(path, *parts) for parts in names]
        self.torrent, self.lengths = torrent, [length for _, length in torrent.files]
        self.files = list(zip(paths, self.lengths))

    def prepare(self):
        """Makes the files, each of its length."""
        for path, length in self.files:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "ab") as file:
                file.truncate(length)

    def places(self, index):
        """Returns where a piece is: files, each with an offset and a count of bytes."""
        begin, at = index * self.torrent.piece_length, 0
        end = begin + self.torrent.size(index)
        for path, length in self.files:
            low, high = max(begin, at), min(end, at + length)
            if low < high:
                yield path, low - at, high - low
            at += length

    def read(self, index):
        data = b""
        for path, offset, count in self.places(index):
            if os.path.exists(path):
                with open(path, "rb") as file:
                    file.seek(offset)
                    data += file.read(count)
        return data

    def write(self, index, data):
        for path, offset, count in self.places(index):
            with open(path, "r+b") as file:
                file.seek(offset)
                file.write(data[:count])
            data = data[count:]

    def right(self):
        """Returns the pieces whose hashes are right."""
        all_pieces = range(len(self.torrent.hashes))
        return {index for index in all_pieces if self.torrent.is_piece(index, self.read(index))}


def verify(torrent, path):
    store = Store(torrent, path)
    wrong = sorted(set(range(len(torrent.hashes))) - store.right())
    insist(not wrong, "wrong pieces, the first one is piece %d" % (wrong + [0])[0])
    for path, length in store.files:
        insist(os.path.getsize(path) == length, "%s has another length" % path)


def files_of(path, parts=()):
    """Returns the files in a folder, folder by folder: their parts, and their bytes."""
    insist(not parts or not os.path.islink(path), "%r is a link" % path)
    if not os.path.isdir(path):
        return [(parts, open(path, "rb").read())]
    names = sorted(os.listdir(path))
    return [file for name in names for file in files_of(os.path.join(path, name), parts + (name,))]


def create(out, path, options):
    path = os.fsencode(path)
    files = files_of(path)
    data = b"".join(content for _, content in files)
    insist(data, "there is not a byte in it")
    length = 16384
    while -(-len(data) // length) > 2048 and length < 1 << 24:
        length *= 2
    length = int(options.get("--piece-length", length))
    hashes = [hashlib.sha1(data[i:i + length]).digest() for i in range(0, len(data), length)]
    info = {b"name": os.path.basename(path.rstrip(b"/")), b"piece length": length}
    info[b"pieces"] = b"".join(hashes)
    if os.path.isdir(path):
        info[b"files"] = [{b"length": len(content), b"path": parts} for parts, content in files]
    else:
        info[b"length"] = len(data)
    torrent = {b"info": info}
    if "--announce" in options:
        torrent[b"announce"] = options["--announce"].encode()
    save(out, encode(torrent))
    print("Info Hash:", hashlib.sha1(encode(info)).hexdigest())


def save(path, data):
    with open(path, "wb") as file:
        file.write(data)


# Trackers and peers


def announce(url, info_hash, left, event=None, port=6881):
    import urllib.request  # which is slow to load

    query = {"info_hash": info_hash, "peer_id": ME, "port": port, "uploaded": 0,
             "downloaded": 0, "left": left, "compact": 1}
    if event:
        query["event"] = event
    text = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    answer = urllib.request.urlopen(url + "?" + text, timeout=LIMIT).read(LONGEST)
    peers = field(decode(answer)[0], b"peers", bytes)
    return [(socket.inet_ntoa(peers[i:i + 4]), struct.unpack(">H", peers[i + 4:i + 6])[0])
            for i in range(0, len(peers), 6)]


def first(candidates, deed):
    """Returns what comes of the first of them with which it works."""
    why = Refusal("there is nobody to ask")
    for candidate in candidates:
        try:
            return deed(candidate)
        except FAULTS as error:
            why = error
    raise why


def handshake(info_hash, extensions):
    reserved = bytearray(8)
    if extensions:
        reserved[5] |= 0x10
    return PROTOCOL + bytes(reserved) + info_hash + ME


class Peer:
    """A connection, and what the other side has said."""

    def __init__(self, line, pieces=None):
        self.line, self.pieces, self.buffer, self.lock = line, pieces, b"", threading.Lock()
        self.line.settimeout(LIMIT)
        self.choked, self.bits, self.haves, self.asked = True, b"", set(), set()
        self.extended, self.metadata_id, self.metadata_size = False, None, 0

    def fill(self, deadline):
        """Reads what comes until then; says whether something did."""
        if not select.select([self.line], [], [], max(deadline - time.time(), 0))[0]:
            return False
        more = self.line.recv(65536)
        insist(more, "the peer hung up")
        self.buffer += more
        return True

    def take(self, count, deadline):
        """Returns the next bytes, all of which must be there by then."""
        while len(self.buffer) < count:
            insist(self.fill(deadline), "the peer says nothing")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, number, payload=b""):
        with self.lock:
            self.line.sendall(struct.pack(">IB", 1 + len(payload), number) + payload)

    def receive(self, deadline):
        """Returns the next message, its id and its payload, unless it is not there by then."""
        while True:
            if len(self.buffer) >= 4:
                end = 4 + struct.unpack(">I", self.buffer[:4])[0]
                insist(end <= LONGEST, "a message of %d bytes" % end)
                if len(self.buffer) >= end:
                    message, self.buffer = self.buffer[4:end], self.buffer[end:]
                    if not message:
                        continue
                    self.note(message[0], message[1:])
                    return message[0], message[1:]
            if not self.fill(deadline):
                return None

    def note(self, number, payload):
        """Keeps what a message says about the other side."""
        if number == 0:
            self.choked = True
            self.asked.clear()
        elif number == 1:
            self.choked = False
        elif number == 4:
            self.haves.add(struct.unpack(">I", payload)[0])
        elif number == 5:
            is_right = self.pieces is None or len(payload) == -(-self.pieces // 8)
            insist(is_right, "the bitfield has %d bytes" % len(payload))
            self.bits = payload
        elif number == 20 and payload[:1] == b"\0":
            theirs = decode(payload[1:])[0]
            insist(isinstance(theirs, dict), "the extension handshake is no dictionary")
            self.metadata_id = theirs.get(b"m", {}).get(b"ut_metadata", 0)
            self.metadata_size = theirs.get(b"metadata_size", 0)

    def has(self, index):
        in_bits = index // 8 < len(self.bits) and self.bits[index // 8] >> (7 - index % 8) & 1
        return index in self.haves or in_bits

    def shake_extensions(self):
        """Sends the extension handshake, and waits for the peer's."""
        if self.extended:
            self.send(20, b"\0" + encode({b"m": {b"ut_metadata": UT_METADATA}}))
            deadline = time.time() + LIMIT
            while self.metadata_id is None:
                insist(self.receive(deadline), "no extension handshake came")

    def metadata(self, info_hash):
        """Fetches the info dictionary."""
        insist(self.metadata_id, "the peer has no metadata")
        size, parts, deadline = self.metadata_size, {}, time.time() + LIMIT
        insist(0 < size <= 48 << 20, "metadata of %d bytes" % size)
        count = -(-size // BLOCK)
        for index in range(count):
            request = encode({b"msg_type": 0, b"piece": index})
            self.send(20, bytes([self.metadata_id]) + request)
        while len(parts) < count:
            message = self.receive(deadline)
            insist(message, "the metadata did not come")
            number, payload = message
            if number != 20 or payload[:1] != bytes([UT_METADATA]):
                continue
            head, end = decode(payload[1:])
            insist(head.get(b"msg_type") != 2, "the peer rejects")
            if head.get(b"msg_type") == 1:
                index, data = head.get(b"piece"), payload[1 + end:]
                insist(index in range(count), "metadata piece %r" % index)
                insist(len(data) == min(BLOCK, size - index * BLOCK), "a metadata piece too long")
                parts[index] = data
        raw = b"".join(parts[index] for index in range(count))
        insist(hashlib.sha1(raw).digest() == info_hash, "the metadata has the wrong hash")
        return raw


def dial(address, info_hash, pieces=None, extensions=False):
    """Connects and shakes hands."""
    peer = Peer(socket.create_connection(address, LIMIT), pieces)
    peer.line.sendall(handshake(info_hash, extensions))
    theirs = peer.take(68, time.time() + LIMIT)
    insist(theirs[:20] == PROTOCOL, "this is no peer")
    insist(theirs[28:48] == info_hash, "the peer has another torrent")
    insist(theirs[48:] != ME, "this is ourselves")
    peer.id, peer.extended = theirs[48:], extensions and theirs[25] & 0x10
    return peer


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def meet(link):
    """Returns the info hash of a link, its trackers, and the addresses of peers."""
    info_hash, trackers, peers = read_magnet(link)
    peers = [address(text) for text in peers]
    peers += first(trackers, lambda url: announce(url, info_hash, 1)) if trackers else []
    return info_hash, trackers, peers


def shaken(address, info_hash):
    """Returns a peer, both handshakes done."""
    peer = dial(address, info_hash, extensions=True)
    peer.shake_extensions()
    return peer


def join(link):
    """Returns the torrent of a link as some peer describes it, and its peers."""
    info_hash, trackers, peers = meet(link)
    raw = first(peers, lambda address: shaken(address, info_hash).metadata(info_hash))
    return Torrent(raw, trackers), peers


def find(path, event=None):
    """Returns the torrent of a file, and its peers."""
    torrent = read_torrent(path)
    ask = lambda url: announce(url, torrent.info_hash, torrent.length, event)
    return torrent, first(torrent.trackers, ask)


def bitfield(torrent, have):
    bits = bytearray(-(-len(torrent.hashes) // 8))
    for index in have:
        bits[index // 8] |= 0x80 >> index % 8
    return bytes(bits)


def give(peer, store, have, payload):
    """Answers a request with its block, if that is there to be given."""
    index, begin, count = struct.unpack(">III", payload)
    insist(index in have, "a request for piece %d, which we do not have" % index)
    insist(0 < count <= BLOCK, "a request for %d bytes" % count)
    insist(begin + count <= store.torrent.size(index), "a request for more than a piece")
    piece = store.read(index)
    insist(store.torrent.is_piece(index, piece), "piece %d has changed" % index)
    peer.send(7, struct.pack(">II", index, begin) + piece[begin:begin + count])


# Taking


class Download:
    """Fetches pieces from many peers at once, each in a thread of its own."""

    def __init__(self, store, wanted, have=frozenset()):
        self.torrent, self.store = store.torrent, store
        # Both are replaced, never changed: other threads may be reading them.
        self.wanted, self.have = frozenset(wanted), frozenset(have)
        self.lock, self.loans, self.peers = threading.Lock(), {}, []
        self.why = "there is no peer"

    def run(self, addresses):
        start = lambda address: threading.Thread(target=self.try_peer, args=(address,), daemon=True)
        threads = [start(address) for address in addresses]
        for thread in threads:
            thread.start()
        while self.wanted and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        insist(not self.wanted, "%d pieces are missing: %s" % (len(self.wanted), self.why))

    def try_peer(self, address):
        try:
            peer = dial(address, self.torrent.info_hash, len(self.torrent.hashes))
            try:
                self.talk(peer, {})
            finally:
                peer.line.close()
        except FAULTS as error:
            self.why = error

    def talk(self, peer, mine):
        """Fetches from a peer until all is there. `mine` are the pieces on loan to it."""
        with self.lock:
            if self.have:
                peer.send(5, bitfield(self.torrent, self.have))
            self.peers.append(peer)
        useful, gives = time.time(), False
        try:
            peer.send(2)
            while self.wanted:
                waits = bool(peer.asked)
                self.ask(peer, mine)
                useful = useful if waits == bool(peer.asked) else time.time()
                message = peer.receive(time.time() + 0.1)
                patience = LIMIT if peer.asked else 2 * LIMIT
                insist(time.time() - useful < patience, "the peer gives nothing")
                number, payload = message or (None, b"")
                if number == 2:
                    gives = True
                    peer.send(1)
                if number == 6 and gives:
                    give(peer, self.store, self.have, payload)
                if number in (1, 4, 5) or number == 7 and self.block(peer, mine, payload):
                    useful = time.time()
        finally:
            with self.lock:
                self.peers.remove(peer)
                for index in mine:
                    self.loans[index] -= 1

    def ask(self, peer, mine):
        """Keeps requests on their way, from one piece to the next."""
        for index in set(mine) - self.wanted:
            del mine[index]
            peer.asked = {request for request in peer.asked if request[0] != index}
        while not peer.choked and len(peer.asked) < AHEAD:
            missing = [(index, begin) for index in mine for begin in mine[index][1]]
            missing = [request for request in missing if request not in peer.asked]
            if missing:
                index, begin = missing[0]
                count = min(BLOCK, self.torrent.size(index) - begin)
                peer.asked.add((index, begin))
                peer.send(6, struct.pack(">III", index, begin, count))
            elif not self.borrow(peer, mine):
                return

    def borrow(self, peer, mine):
        """Lends a peer a piece that it has: one that nobody fetches, or in the end any."""
        with self.lock:
            able = [index for index in self.wanted if index not in mine and peer.has(index)]
            free = [index for index in able if not self.loans.get(index)]
            if not free and not mine:
                free = able
            if not free:
                return False
            index = random.choice(free)
            self.loans[index] = self.loans.get(index, 0) + 1
        size = self.torrent.size(index)
        mine[index] = bytearray(size), list(range(0, size, BLOCK))
        return True

    def block(self, peer, mine, payload):
        """Takes a block; says whether it was missing."""
        index, begin = struct.unpack(">II", payload[:8])
        data, missing = mine.get(index, (b"", []))
        if begin not in missing or len(payload) - 8 != min(BLOCK, len(data) - begin):
            return False
        data[begin:begin + BLOCK] = payload[8:]
        missing.remove(begin)
        peer.asked.discard((index, begin))
        if not missing:
            insist(self.torrent.is_piece(index, data), "piece %d has the wrong hash" % index)
            self.finish(index, bytes(data))
        return True

    def finish(self, index, data):
        """Keeps a piece, and says so to everybody."""
        with self.lock:
            if index in self.wanted:
                self.store.write(index, data)
            self.wanted, self.have = self.wanted - {index}, self.have | {index}
            for peer in self.peers:
                try:
                    peer.send(4, struct.pack(">I", index))
                except OSError:
                    pass  # its own thread notices


class OnePiece:
    """What takes the place of a store if one piece is wanted: a file for it alone."""

    def __init__(self, torrent, out):
        self.torrent, self.out = torrent, out

    def write(self, index, data):
        save(self.out, data)

    def read(self, index):
        return open(self.out, "rb").read()


def download_piece(out, torrent, peers, index):
    insist(index < len(torrent.hashes), "there is no piece %d" % index)
    Download(OnePiece(torrent, out), {index}).run(peers)
    print("Piece %d downloaded to %s." % (index, out))


def download(out, torrent, peers):
    store = Store(torrent, out)
    store.prepare()
    have = store.right()
    Download(store, set(range(len(torrent.hashes))) - have, have).run(peers)
    print("Downloaded to %s." % out)


# Giving


class Limit:
    """So many bytes a second, for all threads together."""

    def __init__(self, rate):
        self.rate, self.paid_until, self.lock = rate, 0, threading.Lock()

    def wait(self, count):
        with self.lock:
            start = max(time.time(), self.paid_until)
            self.paid_until = start + count / self.rate
        time.sleep(max(0, start - time.time()))


class Seed:
    """Gives what is on disk to those who dial."""

    def __init__(self, torrent, path, slots, limit):
        self.torrent, self.store, self.slots = torrent, Store(torrent, path), slots
        self.limit = limit
        self.have = self.store.right()
        insist(self.have, "nothing of the torrent is there")
        self.lock, self.given, self.waiting = threading.Lock(), [], []

    def listen(self, port, many):
        listener = socket.create_server(("127.0.0.1", port))
        while True:
            line = listener.accept()[0]
            if many:
                threading.Thread(target=self.welcome, args=(line,), daemon=True).start()
            else:
                self.welcome(line)

    def welcome(self, line):
        peer, deadline = Peer(line), time.time() + LIMIT
        try:
            theirs = peer.take(48, deadline)
            insist(theirs[:20] == PROTOCOL, "this is no peer")
            insist(theirs[28:] == self.torrent.info_hash, "the peer wants another torrent")
            line.sendall(handshake(self.torrent.info_hash, True))
            insist(peer.take(20, deadline) != ME, "this is ourselves")
            peer.send(5, bitfield(self.torrent, self.have))
            if theirs[25] & 0x10:
                size, names = len(self.torrent.raw), {b"ut_metadata": UT_METADATA}
                peer.send(20, b"\0" + encode({b"m": names, b"metadata_size": size}))
            self.talk(peer)
        except FAULTS as error:
            print(error, file=sys.stderr)
        finally:
            self.leave(peer)
            line.close()

    def talk(self, peer):
        while True:
            message = peer.receive(time.time() + 120)
            insist(message, "the peer says nothing")
            number, payload = message
            if number == 2:
                self.enter(peer)
            if number == 6 and peer in self.given:
                self.limit.wait(BLOCK)
                give(peer, self.store, self.have, payload)
            if number == 20 and payload[:1] == bytes([UT_METADATA]):
                self.describe(peer, decode(payload[1:])[0])

    def describe(self, peer, request):
        """Gives a piece of the info dictionary."""
        index = field(request, b"piece", int)
        part = self.torrent.raw[index * BLOCK:][:BLOCK]
        insist(peer.metadata_id and part, "there is no metadata piece %d" % index)
        head = {b"msg_type": 1, b"piece": index, b"total_size": len(self.torrent.raw)}
        peer.send(20, bytes([peer.metadata_id]) + encode(head) + part)

    def enter(self, peer):
        """Gives a peer a slot, now or when one is free."""
        with self.lock:
            if peer not in self.given + self.waiting:
                self.waiting.append(peer)
            self.fill_slots()

    def leave(self, peer):
        with self.lock:
            for places in (self.given, self.waiting):
                if peer in places:
                    places.remove(peer)
            self.fill_slots()

    def fill_slots(self):
        while self.waiting and len(self.given) < self.slots:
            peer = self.waiting.pop(0)
            self.given.append(peer)
            try:
                peer.send(1)
            except OSError:
                pass  # its own thread notices


def seed(torrent, path, options, many):
    port = int(options["--port"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    tell = lambda event: first(
        torrent.trackers, lambda url: announce(url, torrent.info_hash, 0, event, port))
    giver = Seed(torrent, path, SLOTS, Limit(int(options.get("--max-upload", 1e9))))
    try:
        if many:
            threading.Thread(target=tell, args=("started",), daemon=True).start()
        giver.listen(port, many)
    except KeyboardInterrupt:
        if many:
            tell("stopped")


def main(command, *words):
    options = {}
    # By their names: a value may begin with a minus, too.
    while words and words[0] in ("-o", "--port", "--piece-length", "--announce", "--max-upload"):
        options[words[0]], words = words[1], words[2:]
    out = options.get("-o")
    if command == "decode":
        print(decode_all(os.fsencode(words[0])))
    elif command == "info":
        describe(read_torrent(words[0]))
    elif command == "magnet_parse":
        info_hash, trackers, peers = read_magnet(words[0])
        for url in trackers:
            print("Tracker URL:", url)
        print("Info Hash:", info_hash.hex())
        for peer in peers:
            print("Peer:", peer)
    elif command == "handshake":
        info_hash = read_torrent(words[0]).info_hash
        print("Peer ID:", dial(address(words[1]), info_hash).id.hex())
    elif command == "magnet_handshake":
        info_hash, _, peers = meet(words[0])
        peer = first(peers, lambda address: shaken(address, info_hash))
        print("Peer ID:", peer.id.hex())
        if peer.metadata_id:
            print("Peer Metadata Extension ID:", peer.metadata_id)
    elif command == "magnet_info":
        describe(join(words[0])[0])
    elif command == "verify":
        verify(read_torrent(words[0]), words[1])
    elif command == "create":
        create(out, words[0], options)
    elif command == "download_piece":
        download_piece(out, *find(words[0]), int(words[1]))
    elif command == "magnet_download_piece":
        download_piece(out, *join(words[0]), int(words[1]))
    elif command == "download_from":
        download(out, read_torrent(words[0]), [address(words[1])])
    elif command == "download":
        torrent, peers = find(words[0], "started")
        download(out, torrent, peers)
        first(torrent.trackers, lambda url: announce(url, torrent.info_hash, 0, "completed"))
    elif command == "magnet_download":
        download(out, *join(words[0]))
    elif command in ("serve", "seed"):
        seed(read_torrent(words[0]), words[1], options, command == "seed")
    else:
        raise Refusal("unknown command: " + command)


try:
    main(*sys.argv[1:])
except FAULTS as error:
    sys.exit("error: %s" % error)
except KeyboardInterrupt:
    sys.exit("stopped")
