"""A client for torrents of version 2, and hybrids: stages 23 and 24.

It believes no hash without proof. trees.txt makes wrong clients of it.
"""

import hashlib
import os
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
MOST = 512  # hashes in a request
PROTOCOL = b"\x13BitTorrent protocol"
ME = b"-TR0001-" + os.urandom(6).hex().encode()
UT_METADATA = 9  # the id by which we want to be sent metadata messages
UPGRADE = 0x10  # in the last of the reserved bytes: there is a name of version 2
REQUEST, HASHES, REJECT = 21, 22, 23


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
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def field(values, key, kind):
    """Returns the value of a key, which must be there."""
    insist(isinstance(values, dict) and isinstance(values.get(key), kind), "no %s" % key.decode())
    return values[key]


# Trees


def sha256(data):
    return hashlib.sha256(data).digest()


def blocks_of(data):
    return [sha256(data[at:at + BLOCK]) for at in range(0, len(data), BLOCK)]


def height(count):
    """Returns the height of a tree with this many leaves, filled up to a power of two."""
    return max(count - 1, 0).bit_length()


def layers_of(leaves, filler=bytes(32)):
    """Returns all layers of a tree, from these hashes to the root."""
    leaves = leaves + [filler] * ((1 << height(len(leaves))) - len(leaves))
    layers = [leaves]
    while len(layers[-1]) > 1:
        below = layers[-1]
        layers.append([sha256(below[at] + below[at + 1]) for at in range(0, len(below), 2)])
    return layers


def root_of(leaves, steps):
    """Returns the hash that is this many steps above the first leaf."""
    leaves = leaves + [bytes(32)] * ((1 << steps) - len(leaves))
    return layers_of(leaves)[-1][0]


def uncles(length, proof):
    """Returns how many hashes of a proof are sent: the others are computed from the range."""
    return max(0, proof - (height(length) - 1))


def climb(index, hashes, length):
    """Returns the hash that follows from a range and its uncles."""
    top, place = layers_of(hashes[:length])[-1][0], index // length
    for uncle in hashes[length:]:
        top = sha256(uncle + top) if place % 2 else sha256(top + uncle)
        place //= 2
    return top


def ask_for(root, base, index, length, proof):
    return root + struct.pack(">4I", base, index, length, proof)


# Torrents and links


class File:
    """A file of a tree. `first` is its first piece."""

    def __init__(self, path, length, root, piece_length):
        self.path, self.length, self.root, self.offset, self.first = path, length, root, 0, 0
        self.blocks = -(-length // BLOCK)
        self.pieces = -(-length // piece_length)
        self.layer = [root] if self.pieces == 1 else None


class Torrent:
    def __init__(self, raw, trackers, layers=None):
        info = decode(raw)[0]
        self.raw, self.trackers, self.name = raw, trackers, field(info, b"name", bytes)
        self.long = sha256(raw)
        insist(info.get(b"meta version") == 2, "this is no torrent of version 2")
        self.piece_length = field(info, b"piece length", int)
        is_power = self.piece_length >= BLOCK and self.piece_length & (self.piece_length - 1) == 0
        insist(is_power, "a piece length of %d" % self.piece_length)
        self.steps = height(self.piece_length // BLOCK)  # from a block to its piece
        self.files = list(self.walk(field(info, b"file tree", dict), ()))
        insist(self.files, "there is no file in the tree")
        self.place()
        self.length = sum(file.length for file in self.files)
        self.single = len(self.files) == 1 and self.files[0].path == (self.name,)
        self.hashes = None
        if b"pieces" in info:
            self.read_version_one(info)
        self.names = [self.long[:20]]
        if self.hashes:
            self.names.insert(0, hashlib.sha1(raw).digest())
        for root, layer in (layers or {}).items():
            self.learn(root, layer)

    def walk(self, folder, path):
        """Returns the files of a folder, in the order of the tree."""
        insist(list(folder) == sorted(folder), "the tree is not sorted")
        for name, value in folder.items():
            insist(isinstance(value, dict), "a file is no dictionary")
            insist(name not in (b"", b".", b"..") and b"/" not in name, "no name for a file")
            if b"" in value:
                insist(len(value) == 1, "a file beside others in its own dictionary")
                yield self.file(value[b""], path + (name,))
            else:
                yield from self.walk(value, path + (name,))

    def file(self, values, path):
        length, root = field(values, b"length", int), None
        insist(length >= 0, "a length is negative")
        if length:
            root = field(values, b"pieces root", bytes)
            insist(len(root) == 32 and any(root), "this is no root")
        return File(path, length, root, self.piece_length)

    def place(self):
        """Gives each file its first piece. In between is padding."""
        self.count, self.owners = 0, []
        for file in self.files:
            file.first, file.offset = self.count, self.count * self.piece_length
            self.count += file.pieces
            self.owners += [file] * file.pieces

    def read_version_one(self, info):
        """Compares the version 1 half of a hybrid with the tree."""
        entries = [(list(self.files[0].path), info.get(b"length"), False)]
        if b"files" in info:
            entries = [(field(entry, b"path", list), field(entry, b"length", int),
                        b"p" in entry.get(b"attr", b"")) for entry in field(info, b"files", list)]
        else:
            insist(self.single, "a file without a folder, and a tree with one")
        at, files = 0, iter(self.files)
        for path, length, is_padding in entries:
            if is_padding:
                insist(length == -at % self.piece_length, "padding of another length")
            else:
                file = next(files, None)
                insist(file and list(file.path) == path, "the halves differ in a name")
                insist(file.length == length, "the halves differ in a length")
                insist(not length or at == file.offset, "a file does not begin at a piece")
            at += length
        insist(next(files, None) is None, "the halves differ in the number of files")
        hashes = field(info, b"pieces", bytes)
        self.end = at
        insist(len(hashes) == 20 * -(-at // self.piece_length), "%d bytes of hashes" % len(hashes))
        self.hashes = [hashes[at:at + 20] for at in range(0, len(hashes), 20)]

    def learn(self, root, layer):
        """Takes the piece layer of the files with this root, if it is right."""
        files = [file for file in self.files if file.root == root and file.pieces > 1]
        insist(files, "a layer of no file")
        for file in files:
            insist(len(layer) == 32 * file.pieces, "a layer of %d bytes" % len(layer))
            hashes = [layer[at:at + 32] for at in range(0, len(layer), 32)]
            filler = root_of([], self.steps)
            insist(layers_of(hashes, filler)[-1][0] == root, "a layer of another root")
            file.layer = hashes

    def lacking(self):
        """Returns the roots whose layers are not known, each once."""
        return list(dict.fromkeys(file.root for file in self.files
                                  if file.pieces > 1 and not file.layer))

    def steps_of(self, file):
        """Returns the height of the tree above a piece of this file."""
        return self.steps if file.pieces > 1 else height(file.blocks)

    def net(self, index):
        """Returns the length of a piece without padding."""
        file = self.owners[index]
        return min(self.piece_length, file.length - (index - file.first) * self.piece_length)

    def size(self, index):
        """Returns the length of a piece as it is asked for."""
        if self.hashes:
            return min(self.piece_length, self.end - index * self.piece_length)
        return self.net(index)

    def is_piece(self, index, data):
        """Says whether a piece is right. In a hybrid it is hashed twice, and both must agree."""
        file, net = self.owners[index], self.net(index)
        top = root_of(blocks_of(bytes(data[:net])), self.steps_of(file))
        is_right = file.layer is not None and top == file.layer[index - file.first]
        if self.hashes is None:
            return is_right
        is_old = hashlib.sha1(data).digest() == self.hashes[index]
        if file.layer is None or any(data[net:]):
            return is_old
        if is_old != is_right:
            raise Contradiction("the halves of this torrent are different files")
        return is_right


class Contradiction(Refusal):
    """The torrent is at fault, and no peer."""


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
    trackers = [values[b"announce"].decode()] if b"announce" in values else []
    layers = values.get(b"piece layers", {})
    insist(isinstance(layers, dict), "piece layers are no dictionary")
    return Torrent(raw, trackers, layers)


def describe(torrent):
    for url in torrent.trackers:
        print("Tracker URL:", url)
    print("Length:", torrent.end if torrent.hashes else torrent.length)
    if torrent.hashes:
        print("Info Hash:", torrent.names[0].hex())
    print("Info Hash v2:", torrent.long.hex())
    print("Piece Length:", torrent.piece_length)
    print("Piece Hashes:")
    full = [file for file in torrent.files if file.length]
    for piece_hash in torrent.hashes or [one for file in full for one in file.layer or []]:
        print(piece_hash.hex())
    print("Roots:")
    for file in full:
        print(file.root.hex(), b"/".join(file.path).decode())


class Link:
    def __init__(self, link):
        insist(link.startswith("magnet:?"), "this is no magnet link")
        pairs = [pair.partition("=")[::2] for pair in link[8:].split("&")]
        pairs = [(key, urllib.parse.unquote(value)) for key, value in pairs]
        topics = [value for key, value in pairs if key == "xt"]
        old = [topic[9:] for topic in topics if topic.startswith("urn:btih:")]
        new = [topic[9:] for topic in topics if topic.startswith("urn:btmh:")]
        insist(old or new, "the link has no info hash")
        self.old = self.new = None
        if old:
            insist(re.fullmatch("[0-9a-fA-F]{40}", old[0]), "behind btih are no 40 digits")
            self.old = bytes.fromhex(old[0])
        if new:
            insist(re.fullmatch("1220[0-9a-fA-F]{64}", new[0]), "no SHA-256 behind btmh")
            self.new = bytes.fromhex(new[0][4:])
        self.names = [self.old] if self.old else []
        self.names += [self.new[:20]] if self.new else []
        self.trackers = [value for key, value in pairs if key == "tr"]

    def show(self):
        for url in self.trackers:
            print("Tracker URL:", url)
        if self.old:
            print("Info Hash:", self.old.hex())
        if self.new:
            print("Info Hash v2:", self.new.hex())

    def is_info(self, raw):
        is_old = self.old is None or hashlib.sha1(raw).digest() == self.old
        return is_old and (self.new is None or sha256(raw) == self.new)


# Content on disk


class Store:
    def __init__(self, torrent, path):
        self.torrent, self.path = torrent, path

    def place(self, file):
        parts = [] if self.torrent.single else [os.fsdecode(part) for part in file.path]
        return os.path.join(self.path, *parts)

    def prepare(self):
        """Makes the files, each of its length."""
        for file in self.torrent.files:
            path = self.place(file)
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            with open(path, "ab") as out:
                out.truncate(file.length)

    def read(self, index):
        """Returns a piece, padding included."""
        file = self.torrent.owners[index]
        with open(self.place(file), "rb") as content:
            content.seek((index - file.first) * self.torrent.piece_length)
            data = content.read(self.torrent.net(index))
        return data + bytes(self.torrent.size(index) - self.torrent.net(index))

    def write(self, index, data):
        file = self.torrent.owners[index]
        with open(self.place(file), "r+b") as content:
            content.seek((index - file.first) * self.torrent.piece_length)
            content.write(data[:self.torrent.net(index)])

    def right(self):
        """Returns the pieces whose hashes are right."""
        pieces = set()
        for index in range(self.torrent.count):
            data = self.read(index)
            if len(data) == self.torrent.size(index) and self.torrent.is_piece(index, data):
                pieces.add(index)
        return pieces


def verify(torrent, path):
    store = Store(torrent, path)
    wrong = sorted(set(range(torrent.count)) - store.right())
    insist(not wrong, "wrong pieces, the first one is piece %d" % (wrong + [0])[0])
    for file in torrent.files:
        place = store.place(file)
        insist(os.path.getsize(place) == file.length, "%s has another length" % place)


# Trackers and peers


def announce(url, name, left, port=6881):
    import urllib.request  # which is slow to load

    query = {"info_hash": name, "peer_id": ME, "port": port, "uploaded": 0, "downloaded": 0,
             "left": left, "compact": 1}
    text = urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
    answer = urllib.request.urlopen(url + "?" + text, timeout=LIMIT).read(LONGEST)
    peers = field(decode(answer)[0], b"peers", bytes)
    return [(socket.inet_ntoa(peers[i:i + 4]), struct.unpack(">H", peers[i + 4:i + 6])[0])
            for i in range(0, len(peers), 6)]


def find(trackers, names, left):
    """Returns the peers that trackers have for any of a torrent's names."""
    peers = []
    for url in trackers:
        for name in names:
            peers += [peer for peer in announce(url, name, left) if peer not in peers]
    return peers


def first(candidates, deed):
    """Returns what comes of the first of them with which it works."""
    why = Refusal("there is nobody to ask")
    for candidate in candidates:
        try:
            return deed(candidate)
        except FAULTS as error:
            why = error
    raise why


def handshake(name, is_hybrid):
    return PROTOCOL + bytes([0, 0, 0, 0, 0, 0x10, 0, UPGRADE if is_hybrid else 0]) + name + ME


class Peer:
    """A connection, and what the other side has said."""

    def __init__(self, line):
        self.line, self.buffer, self.lock = line, b"", threading.Lock()
        self.line.settimeout(LIMIT)
        self.choked, self.bits, self.haves, self.asked = True, b"", set(), set()
        self.metadata_id, self.metadata_size, self.name = None, 0, b""

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
            self.bits = payload
        elif number == 20 and payload[:1] == b"\0":
            theirs = decode(payload[1:])[0]
            insist(isinstance(theirs, dict), "the extension handshake is no dictionary")
            self.metadata_id = theirs.get(b"m", {}).get(b"ut_metadata", 0)
            self.metadata_size = theirs.get(b"metadata_size", 0)

    def has(self, index):
        in_bits = index // 8 < len(self.bits) and self.bits[index // 8] >> (7 - index % 8) & 1
        return index in self.haves or in_bits

    def metadata(self, link):
        """Fetches the info dictionary."""
        self.send(20, b"\0" + encode({b"m": {b"ut_metadata": UT_METADATA}}))
        deadline = time.time() + LIMIT
        while self.metadata_id is None:
            insist(self.receive(deadline), "no extension handshake came")
        size, parts = self.metadata_size, {}
        insist(self.metadata_id and 0 < size <= 48 << 20, "the peer has no metadata")
        count = -(-size // BLOCK)
        for index in range(count):
            self.send(20, bytes([self.metadata_id]) + encode({b"msg_type": 0, b"piece": index}))
        while len(parts) < count:
            message = self.receive(deadline)
            insist(message, "no metadata came")
            if message[0] == 20 and message[1][:1] == bytes([UT_METADATA]):
                head, end = decode(message[1][1:])
                insist(head.get(b"msg_type") == 1, "the peer gives no metadata")
                parts[head[b"piece"]] = message[1][1 + end:]
        raw = b"".join(parts.get(index, b"") for index in range(count))
        insist(link.is_info(raw), "the metadata has the wrong hash")
        return raw

    def layers(self, torrent):
        """Fetches the piece layers that are missing, and takes each once it is proved."""
        missing = {}
        for file in torrent.files:
            if file.root in torrent.lacking() and file.root not in missing:
                missing[file.root] = file
        if missing:
            insist(self.name == torrent.names[-1], "this is a connection of version 1")
        for file in missing.values():
            self.layer(torrent, file)

    def layer(self, torrent, file):
        above = height(file.blocks) - torrent.steps  # from a piece to the root
        length = min(MOST, 1 << above)
        proof, parts, asked = above - 1, {}, {}
        wanted = list(range(0, file.pieces, length))
        deadline = time.time() + LIMIT
        while wanted or asked:
            while wanted and len(asked) < 4:
                index = wanted.pop(0)
                request = ask_for(file.root, torrent.steps, index, length, proof)
                asked[request] = index
                self.send(REQUEST, request)
            message = self.receive(deadline)
            insist(message, "no hashes came")
            number, payload = message
            if number not in (HASHES, REJECT) or payload[:48] not in asked:
                continue
            insist(number == HASHES, "the peer rejects the request")
            index = asked.pop(payload[:48])
            parts[index] = self.proved(payload, file.root, index, length, proof)
            deadline = time.time() + LIMIT
        hashes = [one for index in sorted(parts) for one in parts[index]][:file.pieces]
        torrent.learn(file.root, b"".join(hashes))

    def proved(self, payload, root, index, length, proof):
        """Returns the hashes of an answer, if they lead to the root."""
        hashes = [payload[at:at + 32] for at in range(48, len(payload), 32)]
        size = 48 + 32 * (length + uncles(length, proof))
        insist(len(payload) == size, "an answer of %d bytes" % len(payload))
        insist(climb(index, hashes, length) == root, "the hashes do not lead to the root")
        return hashes[:length]


def dial(address, names, is_hybrid=False):
    """Connects and shakes hands."""
    peer = Peer(socket.create_connection(address, LIMIT))
    peer.line.sendall(handshake(names[0], is_hybrid))
    theirs = peer.take(68, time.time() + LIMIT)
    insist(theirs[:20] == PROTOCOL, "this is no peer")
    insist(theirs[28:48] in names, "the peer has another torrent")
    insist(theirs[48:] != ME, "this is ourselves")
    peer.name = theirs[28:48]
    return peer


def call(address, torrent):
    return dial(address, torrent.names, torrent.hashes is not None)


def learned(address, link):
    """Returns the torrent of a link, with all that a peer has about it."""
    peer = dial(address, link.names, len(link.names) > 1)
    torrent = Torrent(peer.metadata(link), link.trackers)
    if torrent.hashes is None:
        peer.layers(torrent)
    return torrent


def hashes(torrent, address):
    """Prints the hashes of the pieces of each file that is longer than a piece."""
    for file in torrent.files:
        if file.pieces > 1:
            file.layer = None
    call(address, torrent).layers(torrent)
    for file in torrent.files:
        if file.pieces > 1:
            print("\n".join(one.hex() for one in file.layer))


def bitfield(torrent, have):
    bits = bytearray(-(-torrent.count // 8))
    for index in have:
        bits[index // 8] |= 0x80 >> index % 8
    return bytes(bits)


# Taking


class Piece:
    """A piece in progress, which stays if a peer leaves."""

    def __init__(self, size):
        self.data, self.missing = bytearray(size), set(range(0, size, BLOCK))
        self.senders, self.owner = {}, None


class Download:
    """Fetches pieces from many peers at once, each in a thread of its own."""

    def __init__(self, store, have):
        self.torrent, self.store = store.torrent, store
        self.wanted = set(range(self.torrent.count)) - have
        self.pieces = {index: Piece(self.torrent.size(index)) for index in self.wanted}
        self.lock, self.banned, self.spoilt = threading.Lock(), set(), set()
        self.why, self.fault = "there is no peer", None

    def run(self, addresses):
        start = lambda address: threading.Thread(target=self.try_peer, args=(address,), daemon=True)
        threads = [start(address) for address in addresses]
        for thread in threads:
            thread.start()
        while self.wanted and not self.fault and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        insist(not self.fault, self.fault)
        insist(not self.wanted, "%d pieces are missing: %s" % (len(self.wanted), self.why))

    def try_peer(self, address):
        # A peer that has left may come back.
        for _ in range(2):
            try:
                peer = call(address, self.torrent)
                try:
                    self.talk(peer, address)
                finally:
                    peer.line.close()
            except Contradiction as error:
                self.fault = error
                return
            except FAULTS as error:
                self.why = error
            if address in self.banned or not self.wanted:
                return
            time.sleep(0.2)

    def talk(self, peer, address):
        """Fetches from a peer until all is there."""
        useful = time.time()
        leaves = {}  # what it was asked about blocks, and for which piece
        try:
            peer.send(2)
            while self.wanted:
                insist(address not in self.banned, "the peer lies")
                self.ask(peer, address)
                self.ask_leaves(peer, leaves)
                message = peer.receive(time.time() + 0.1)
                insist(time.time() - useful < LIMIT, "the peer gives nothing")
                number, payload = message or (None, b"")
                if number == 7 and self.block(peer, address, payload) or number in (1, 4, 5):
                    useful = time.time()
                if number == HASHES and payload[:48] in leaves:
                    self.judge(peer, leaves.pop(payload[:48]), payload)
                    useful = time.time()
        finally:
            with self.lock:
                for piece in self.pieces.values():
                    if piece.owner is peer:
                        piece.owner = None

    def ask(self, peer, address):
        """Keeps requests on their way, piece by piece."""
        with self.lock:
            # In the end, one piece may be asked of several peers.
            for mine in (True, False):
                for index in sorted(self.wanted - self.spoilt):
                    piece = self.pieces[index]
                    if piece.owner not in (None, peer) or not peer.has(index):
                        continue
                    if mine and piece.owner is not peer:
                        continue
                    for begin in sorted(piece.missing):
                        if peer.choked or len(peer.asked) >= AHEAD:
                            return
                        if (index, begin) not in peer.asked:
                            piece.owner = peer
                            count = min(BLOCK, len(piece.data) - begin)
                            peer.asked.add((index, begin))
                            peer.send(6, struct.pack(">III", index, begin, count))

    def block(self, peer, address, payload):
        """Takes a block; says whether it was missing."""
        index, begin = struct.unpack(">II", payload[:8])
        peer.asked.discard((index, begin))
        with self.lock:
            piece = self.pieces.get(index)
            if index not in self.wanted or begin not in piece.missing:
                return False
            insist(len(payload) - 8 == min(BLOCK, len(piece.data) - begin), "a block of odd length")
            piece.data[begin:begin + BLOCK] = payload[8:]
            piece.missing.remove(begin)
            piece.senders[begin] = address
            if piece.missing:
                return True
            if self.torrent.is_piece(index, piece.data):
                self.store.write(index, piece.data)
                self.wanted.discard(index)
            elif len(set(piece.senders.values())) == 1:
                self.pieces[index] = Piece(len(piece.data))
                self.banned.add(address)
                raise Refusal("piece %d has the wrong hash" % index)
            else:
                self.spoilt.add(index)
        return True

    def ask_leaves(self, peer, leaves):
        """Asks which blocks of a spoilt piece are right."""
        torrent = self.torrent
        for index in self.spoilt - set(leaves.values()):
            file = torrent.owners[index]
            steps = torrent.steps_of(file)
            if peer.name == torrent.names[-1] and peer.has(index) and steps:
                start, above = (index - file.first) << steps, height(file.blocks)
                request = ask_for(file.root, 0, start, 1 << steps, above - 1)
                leaves[request] = index
                peer.send(REQUEST, request)

    def judge(self, peer, index, payload):
        """Puts the wrong blocks back, and bans those who sent them."""
        _, start, length, proof = struct.unpack(">4I", payload[32:48])
        file = self.torrent.owners[index]
        right = peer.proved(payload, file.root, start, length, proof)
        with self.lock:
            if index not in self.spoilt:
                return
            piece, net = self.pieces[index], self.torrent.net(index)
            for begin in range(0, net, BLOCK):
                if sha256(piece.data[begin:min(begin + BLOCK, net)]) != right[begin // BLOCK]:
                    self.banned.add(piece.senders.pop(begin))
                    piece.missing.add(begin)
            piece.owner = None
            self.spoilt.discard(index)


def download(out, torrent, peers):
    store = Store(torrent, out)
    store.prepare()
    have = store.right()
    # Layers that the file does not have are with the peers.
    if torrent.lacking() and torrent.hashes is None:
        first(peers, lambda address: call(address, torrent).layers(torrent))
    Download(store, have).run(peers)
    print("Downloaded to %s." % out)


# Giving


class Seed:
    """Gives what is on disk to those who dial, blocks and hashes."""

    def __init__(self, torrent, path):
        self.torrent, self.store = torrent, Store(torrent, path)
        self.have = self.store.right()
        insist(self.have, "nothing of the torrent is there")
        self.trees = {}
        for file in torrent.files:
            pieces = range(file.first, file.first + file.pieces)
            data = b"".join(self.store.read(index)[:torrent.net(index)] for index in pieces)
            if file.length:
                self.trees[file.root] = layers_of(blocks_of(data))

    def listen(self, port):
        listener = socket.create_server(("127.0.0.1", port))
        while True:
            line = listener.accept()[0]
            threading.Thread(target=self.welcome, args=(line,), daemon=True).start()

    def welcome(self, line):
        peer, deadline = Peer(line), time.time() + LIMIT
        try:
            theirs = peer.take(48, deadline)
            names = self.torrent.names
            insist(theirs[:20] == PROTOCOL and theirs[28:] in names, "no peer of this torrent")
            peer.name = names[-1] if theirs[27] & UPGRADE else theirs[28:]
            line.sendall(handshake(peer.name, False))
            insist(peer.take(20, deadline) != ME, "this is ourselves")
            peer.send(5, bitfield(self.torrent, self.have))
            self.talk(peer)
        except FAULTS as error:
            print(error, file=sys.stderr)
        finally:
            line.close()

    def talk(self, peer):
        while True:
            message = peer.receive(time.time() + 120)
            insist(message, "the peer says nothing")
            number, payload = message
            if number == 2:
                peer.send(1)
            if number == 6:
                self.give(peer, *struct.unpack(">III", payload))
            if number == REQUEST and peer.name == self.torrent.names[-1]:
                insist(len(payload) == 48, "a request of %d bytes" % len(payload))
                found = self.answer(payload[:32], *struct.unpack(">4I", payload[32:]))
                peer.send(REJECT if found is None else HASHES, payload + b"".join(found or []))

    def answer(self, root, base, index, length, proof):
        """Returns the hashes that answer a request, or None."""
        layers = self.trees.get(root)
        if layers is None or base + 1 >= len(layers) or proof > len(layers) - base - 2:
            return None
        if length < 2 or length & (length - 1) or index % length:
            return None
        if index + length > len(layers[base]):
            return None
        found = layers[base][index:index + length]
        for up in range(height(length), proof + 1):
            found.append(layers[base + up][index >> up ^ 1])
        return found

    def give(self, peer, index, begin, count):
        insist(index in self.have, "a request for piece %d, which we do not have" % index)
        insist(0 < count <= BLOCK, "a request for %d bytes" % count)
        insist(begin + count <= self.torrent.size(index), "a request for more than a piece")
        piece = self.store.read(index)
        insist(self.torrent.is_piece(index, piece), "piece %d has changed" % index)
        peer.send(7, struct.pack(">II", index, begin) + piece[begin:begin + count])


def seed(torrent, path, port):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    giver = Seed(torrent, path)
    tell = lambda: find(torrent.trackers, torrent.names, 0)
    threading.Thread(target=tell, daemon=True).start()
    try:
        giver.listen(port)
    except KeyboardInterrupt:
        pass


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def main(command, *words):
    options = {}
    while words and words[0] in ("-o", "--port"):
        options[words[0]], words = words[1], words[2:]
    out = options.get("-o")
    if command == "info":
        describe(read_torrent(words[0]))
    elif command == "verify":
        verify(read_torrent(words[0]), words[1])
    elif command == "magnet_parse":
        Link(words[0]).show()
    elif command == "download":
        torrent = read_torrent(words[0])
        download(out, torrent, find(torrent.trackers, torrent.names, torrent.length))
    elif command == "magnet_download":
        link = Link(words[0])
        peers = find(link.trackers, link.names, 1)
        download(out, first(peers, lambda address: learned(address, link)), peers)
    elif command == "hashes":
        hashes(read_torrent(words[0]), address(words[1]))
    elif command == "seed":
        seed(read_torrent(words[0]), words[1], int(options["--port"]))
    else:
        raise Refusal("unknown command: " + command)


try:
    main(*sys.argv[1:])
except FAULTS as error:
    sys.exit("error: %s" % error)
except KeyboardInterrupt:
    sys.exit("stopped")
