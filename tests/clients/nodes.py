"""A small client for the DHT: stages 21 and 22. It asks nodes, looks peers up, and is a node itself.

It is right also with nodes that misbehave. nodes.txt makes wrong clients of it.
"""

import base64
import hashlib
import os
import random
import select
import signal
import socket
import struct
import sys
import time
import urllib.parse

ME = os.urandom(20)
LIMIT = 4.0  # seconds for an answer to a ping
PATIENCE = 1.0  # seconds for a node of a lookup
K = 8  # the closest nodes that count
ALPHA = 4  # queries of a lookup at a time
DEEPEST = 20  # lists and dictionaries inside each other
MOST = 1000  # nodes, info hashes, peers of one: what is kept
GIVEN = 80  # peers in an answer


class Failure(Exception):
    """Why there is no answer."""


def decode(data, at=0, depth=0):
    """Returns the value that begins at this byte, and where it ends."""
    kind = data[at:at + 1]
    if depth > DEEPEST:
        raise ValueError("too deep")
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = decode(data, at, depth + 1)
            items.append(item)
        if kind == b"l":
            return items, at + 1
        if not all(isinstance(key, bytes) for key in items[::2]):
            raise ValueError("a key is no string")
        return dict(zip(items[::2], items[1::2])), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    if end > len(data) or end <= colon:
        raise ValueError("a string is cut")
    return data[colon + 1:end], end


def encode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, (bytes, str)):
        value = value.encode() if isinstance(value, str) else value
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l" + b"".join(map(encode, value)) + b"e"
    return b"d" + b"".join(encode(key) + encode(value[key]) for key in sorted(value)) + b"e"


def read(data):
    """Returns the dictionary in a datagram, or None."""
    try:
        value, _ = decode(data)
    except (ValueError, IndexError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get(b"t"), bytes) else None


def pack(address):
    return socket.inet_aton(address[0]) + struct.pack(">H", address[1])


def unpack(data):
    return socket.inet_ntoa(data[:4]), struct.unpack(">H", data[4:])[0]


def distance(one, other):
    return int.from_bytes(one, "big") ^ int.from_bytes(other, "big")


def is_id(value):
    return isinstance(value, bytes) and len(value) == 20


def nodes_of(answer):
    """Returns the nodes of an answer that can be asked."""
    nodes = answer.get(b"nodes", b"")
    if not isinstance(nodes, bytes) or len(nodes) % 26:
        return
    for at in range(0, len(nodes), 26):
        node, address = nodes[at:at + 20], unpack(nodes[at + 20:at + 26])
        if address[1] > 0 and 0 < int(address[0].split(".")[0]) < 224 and node != ME:
            yield node, address


def peers_of(answer):
    values = answer.get(b"values", [])
    for value in values if isinstance(values, list) else []:
        if isinstance(value, bytes) and len(value) == 6:
            yield unpack(value)


class Line:
    """A socket, and the queries that wait for their answers."""

    def __init__(self, ip="", port=0):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((ip, port))
        self.waiting = {}

    def send(self, message, address):
        try:
            self.socket.sendto(encode(message), address)
        except OSError as error:
            print(address, error, file=sys.stderr)

    def ask(self, address, method, read_only=True, **arguments):
        transaction = os.urandom(2)
        query = {"t": transaction, "y": "q", "q": method, "a": dict(arguments, id=ME)}
        if read_only:
            query["ro"] = 1
        self.waiting[transaction, address] = method
        self.send(query, address)

    def receive(self, until):
        """Returns the next datagram that can be read, and where it came from; None at the time."""
        while True:
            left = until - time.time()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                return None, None
            data, address = self.socket.recvfrom(65536)
            message = read(data)
            if message is not None:
                return message, address

    def is_awaited(self, message, address):
        """Whether it is the answer to a query, which is over then."""
        return self.waiting.pop((message[b"t"], address), None) is not None


def response(message):
    """Returns what a response says, or None."""
    values = message.get(b"r")
    if message.get(b"y") == b"r" and isinstance(values, dict) and is_id(values.get(b"id")):
        return values
    return None


def resolve(text):
    host, _, port = text.rpartition(":")
    return socket.gethostbyname(host), int(port)


def dht_ping(text):
    line, address, until = Line(), resolve(text), time.time() + LIMIT
    line.ask(address, "ping")
    while True:
        message, sender = line.receive(until)
        if message is None:
            raise Failure("%s does not answer" % text)
        if not line.is_awaited(message, sender):
            continue
        if message.get(b"y") == b"e":
            raise Failure("%s says: %s" % (text, message[b"e"]))
        values = response(message)
        if values is None:
            raise Failure("%s answers without an id of 20 bytes" % text)
        print("Node ID: " + values[b"id"].hex())
        return


class Lookup:
    """The nodes that are known, and how far each has been asked."""

    def __init__(self, line, target, ways):
        self.line, self.target = line, target
        self.ids = {}  # by address; None for a way in
        self.asked, self.answered = {}, set()
        self.peers = set()
        for way in ways:
            self.ids[way] = None

    def place(self, address):
        known = self.ids[address]
        return -1 if known is None else distance(known, self.target)

    def gave_up(self, address):
        asked = self.asked.get(address, time.time())
        return address not in self.answered and time.time() > asked + PATIENCE

    def step(self):
        """Asks the closest; says whether anybody is still waited for."""
        alive = [address for address in self.ids if not self.gave_up(address)]
        closest = sorted(alive, key=self.place)[:K]
        waiting = [address for address in alive
                   if address in self.asked and address not in self.answered]
        for address in closest:
            if address not in self.asked and len(waiting) < ALPHA:
                self.line.ask(address, "get_peers", info_hash=self.target)
                self.asked[address] = time.time()
                waiting.append(address)
        return bool(waiting)

    def hear(self, message, address):
        if not self.line.is_awaited(message, address):
            return
        self.answered.add(address)
        values = response(message)
        if values is None:
            return
        self.ids[address] = values[b"id"]
        for node, named in nodes_of(values):
            if len(self.ids) < MOST:
                self.ids.setdefault(named, node)
        for peer in peers_of(values):
            if peer not in self.peers:
                self.peers.add(peer)
                print("%s:%d" % peer, flush=True)


def info_hash(text):
    if text.startswith("magnet:"):
        topics = urllib.parse.parse_qs(text.partition("?")[2]).get("xt", [])
        text = [topic[9:] for topic in topics if topic.startswith("urn:btih:")][0]
    if len(text) == 32:
        return base64.b32decode(text.upper())
    return bytes.fromhex(text)


def dht_peers(ways, text):
    lookup = Lookup(Line(), info_hash(text), [resolve(way) for way in ways])
    while lookup.step():
        message, address = lookup.line.receive(time.time() + 0.1)
        if message is not None:
            lookup.hear(message, address)
    if not lookup.peers:
        raise Failure("of %d nodes %d have answered, and none has peers"
                      % (len(lookup.asked), len(lookup.answered)))


class Refusal(Exception):
    """An error for whoever asked: a code and a text."""


class Node:
    """A node: whom it knows, and which peers were announced to it."""

    def __init__(self, port, ways):
        self.line = Line(port=port)
        self.secret = os.urandom(16)
        self.table = {}  # the id of each address that has answered
        self.pinged = {}  # when each address was asked last
        self.peers = {}  # of each info hash
        self.ways = [resolve(way) for way in ways]

    def run(self):
        print("Node ID: " + ME.hex())
        print("Listening on: %s:%d" % self.line.socket.getsockname(), flush=True)
        for way in self.ways:
            self.line.ask(way, "find_node", read_only=False, target=ME)
        while True:
            message, address = self.line.receive(time.time() + 60)
            if message is not None and message.get(b"y") == b"q":
                self.answer(message, address)
            elif message is not None and self.line.is_awaited(message, address):
                self.learn(message, address)

    def learn(self, message, address):
        """Puts whoever has answered into the table, and asks those that it names."""
        values = response(message)
        if values is None:
            return
        if len(self.table) < MOST:
            self.table[address] = values[b"id"]
        for _, named in nodes_of(values):
            self.meet(named)

    def meet(self, address):
        """Asks a node that is not known, to see whether it answers."""
        if address in self.table or len(self.pinged) > MOST:
            return
        if time.time() > self.pinged.get(address, 0) + 2:
            self.pinged[address] = time.time()
            self.line.ask(address, "find_node", read_only=False, target=ME)

    def answer(self, message, address):
        transaction = message[b"t"]
        try:
            values = self.values(message, address)
        except Refusal as error:
            self.line.send({"t": transaction, "y": "e", "e": list(error.args)}, address)
            return
        self.line.send({"t": transaction, "y": "r", "r": dict(values, id=ME)}, address)
        if message.get(b"ro") != 1:
            self.meet(address)

    def values(self, message, address):
        """Returns what the answer to a query says."""
        method, arguments = message.get(b"q"), message.get(b"a")
        if not isinstance(arguments, dict) or not is_id(arguments.get(b"id")):
            raise Refusal(203, "an id has 20 bytes")
        if method == b"ping":
            return {}
        if method == b"find_node":
            return {"nodes": self.nodes(arguments.get(b"target"))}
        if method == b"get_peers":
            return self.found(arguments.get(b"info_hash"), address)
        if method == b"announce_peer":
            return self.announced(arguments, address)
        if method == b"sample_infohashes":
            samples = random.sample(sorted(self.peers), min(len(self.peers), 20))
            return {"nodes": self.nodes(arguments.get(b"target")), "interval": 60,
                    "num": len(self.peers), "samples": b"".join(samples)}
        raise Refusal(204, "this method is unknown")

    def nodes(self, target):
        if not is_id(target):
            raise Refusal(203, "a target has 20 bytes")
        closest = sorted(self.table, key=lambda address: distance(self.table[address], target))
        return b"".join(self.table[address] + pack(address) for address in closest[:K])

    def token(self, address):
        return hashlib.sha1(self.secret + address[0].encode()).digest()[:8]

    def found(self, target, address):
        found = {"nodes": self.nodes(target), "token": self.token(address)}
        peers = list(self.peers.get(target, []))
        if peers:
            found["values"] = [pack(peer) for peer in random.sample(peers, min(len(peers), GIVEN))]
        return found

    def announced(self, arguments, address):
        target, port = arguments.get(b"info_hash"), arguments.get(b"port")
        if not is_id(target):
            raise Refusal(203, "an info hash has 20 bytes")
        if arguments.get(b"token") != self.token(address):
            raise Refusal(203, "the token is wrong")
        if arguments.get(b"implied_port") == 1:
            port = address[1]
        if not isinstance(port, int) or not 0 < port < 65536:
            raise Refusal(203, "the port is wrong")
        if len(self.peers) < MOST:
            peers = self.peers.setdefault(target, {})
            if len(peers) < MOST:
                peers[address[0], port] = time.time()
        return {}


def dht_node(port, ways):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        Node(int(port), ways).run()
    except KeyboardInterrupt:
        pass


def main(command, *words):
    options, rest = {"--dht-bootstrap": [], "--port": []}, []
    words = list(words)
    while words:
        word = words.pop(0)
        options[word].append(words.pop(0)) if word in options else rest.append(word)
    ways = options["--dht-bootstrap"]
    if command == "dht_ping":
        dht_ping(rest[0])
    elif command == "dht_peers":
        dht_peers(ways, rest[0])
    elif command == "dht_node":
        dht_node(options["--port"][0], ways)
    else:
        sys.exit("unknown command: " + command)


try:
    main(*sys.argv[1:])
except (OSError, Failure) as error:
    sys.exit(str(error))
