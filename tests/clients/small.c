/* A client in C, stages 1 to 5, as docs/your-own-client.md asks for it. It trusts nobody: every
   length is checked against what is there, every wait has an end, every failure is a sentence.

   cc -o small small.c && piecemeal grade --until 5 -- ./small */

#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef unsigned char byte;
typedef struct { const byte *at; size_t length; } Bytes;

enum { BLOCK = 16384, DEPTH = 64, AHEAD = 5, MOST = 2 << 20, PEERS = 200 };

static void refuse(const char *format, ...) {
    va_list words;
    va_start(words, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    exit(1);
}

static void *room(size_t size) {
    void *memory = malloc(size ? size : 1);
    if (!memory) refuse("there is no memory for %zu bytes", size);
    return memory;
}

/* SHA-1, FIPS 180-4 */

static uint32_t turned(uint32_t word, int by) { return word << by | word >> (32 - by); }

static void sha1_block(uint32_t *h, const byte *data) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)data[4 * i] << 24 | data[4 * i + 1] << 16 | data[4 * i + 2] << 8 | data[4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
        uint32_t next = turned(a, 5) + f + e + k + w[i];
        e = d, d = c, c = turned(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void sha1(const byte *data, size_t length, byte *hash) {
    uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    byte last[128] = {0};
    size_t whole = length / 64 * 64, rest = length - whole, size = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < whole; i += 64) sha1_block(h, data + i);
    if (rest) memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++) last[size - 1 - i] = (byte)((uint64_t)length * 8 >> 8 * i);
    for (size_t i = 0; i < size; i += 64) sha1_block(h, last + i);
    for (int i = 0; i < 20; i++) hash[i] = (byte)(h[i / 4] >> (24 - 8 * (i % 4)));
}

/* Stage 1: bencode. A value is checked once, by skip(); after that it can be walked over. */

static const char *broken;

static int is_digit(byte c) { return c >= '0' && c <= '9'; }

/* Returns the length of the string at a place, or -1; *start is where its bytes begin. */
static int64_t string_at(Bytes in, size_t at, size_t *start) {
    uint64_t length = 0;
    size_t first = at;
    for (; at < in.length && is_digit(in.at[at]); at++) {
        length = length * 10 + (in.at[at] - '0');
        if (length > in.length) return broken = "a string is longer than what is left", -1;
    }
    if (at == first || at == in.length || in.at[at] != ':')
        return broken = "a value was expected", -1;
    if (in.at[first] == '0' && at > first + 1) return broken = "a length has a leading zero", -1;
    *start = at + 1;
    if (length > in.length - *start) return broken = "a string is longer than what is left", -1;
    return (int64_t)length;
}

/* Reads the integer at a place; returns where it ends, or 0. */
static size_t integer_at(Bytes in, size_t at, int64_t *value) {
    size_t digits = ++at;
    int minus = at < in.length && in.at[at] == '-';
    uint64_t number = 0, limit = (uint64_t)INT64_MAX + minus;
    for (digits = at += minus; at < in.length && is_digit(in.at[at]); at++) {
        uint64_t digit = in.at[at] - '0';
        if (number > (limit - digit) / 10) return broken = "an integer has more than 64 bits", 0;
        number = number * 10 + digit;
    }
    if (at == digits || at == in.length || in.at[at] != 'e') return broken = "an integer is not i<digits>e", 0;
    if (in.at[digits] == '0' && (at > digits + 1 || minus)) return broken = "an integer is spelled in a second way", 0;
    *value = minus ? (int64_t)(0 - number) : (int64_t)number;
    return at + 1;
}

static int compare(const void *one, const void *other) {
    const Bytes *a = one, *b = other;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = shorter ? memcmp(a->at, b->at, shorter) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Returns where the value at a place ends, or 0 if it is broken. */
static size_t skip(Bytes in, size_t at, int depth) {
    int64_t number;
    size_t start;
    if (at >= in.length) return broken = "the value ends too early", 0;
    if (depth > DEPTH) return broken = "lists and dictionaries are nested too deeply", 0;
    byte kind = in.at[at];
    if (kind == 'i') return integer_at(in, at, &number);
    if (kind != 'l' && kind != 'd') {
        int64_t length = string_at(in, at, &start);
        return length < 0 ? 0 : start + (size_t)length;
    }
    Bytes *keys = 0;
    size_t count = 0;
    for (at++; at && at < in.length && in.at[at] != 'e'; at = at ? skip(in, at, depth + 1) : 0) {
        if (kind != 'd') continue;
        int64_t length = string_at(in, at, &start);
        if (length < 0) { at = 0; continue; }
        if (!(count & (count - 1)) && !(keys = realloc(keys, (count ? 2 * count : 1) * sizeof *keys)))
            refuse("there is no memory for %zu keys", count);
        keys[count++] = (Bytes){in.at + start, (size_t)length};
        at = start + (size_t)length;
    }
    /* They need not be sorted. Sorted here, two that are equal are neighbors. */
    if (count > 1) qsort(keys, count, sizeof *keys, compare);
    for (size_t i = 1; i < count && at; i++)
        if (!compare(keys + i - 1, keys + i)) broken = "a key appears twice", at = 0;
    free(keys);
    if (at && at >= in.length) broken = "the value ends too early", at = 0;
    return at ? at + 1 : 0;
}

/* Returns the value of a key in a checked dictionary, as its bytes; none if it is not there. */
static Bytes get(Bytes in, const char *key) {
    size_t at = 1, start;
    if (!in.length || in.at[0] != 'd') return (Bytes){0, 0};
    while (in.at[at] != 'e') {
        size_t length = (size_t)string_at(in, at, &start), value = start + length, end = skip(in, value, 0);
        if (length == strlen(key) && !memcmp(in.at + start, key, length)) return (Bytes){in.at + value, end - value};
        at = end;
    }
    return (Bytes){0, 0};
}

static int is_string(Bytes value) { return value.length && is_digit(value.at[0]); }

static Bytes text(Bytes value) {
    size_t start;
    if (!is_string(value)) refuse("a string was expected, but is not there");
    int64_t length = string_at(value, 0, &start);
    return (Bytes){value.at + start, (size_t)length};
}

static int64_t number_of(Bytes value, const char *what) {
    int64_t number = -1;
    if (!value.length || value.at[0] != 'i' || !integer_at(value, 0, &number) || number < 0)
        refuse("%s must be a number, and not below 0", what);
    return number;
}

/* Returns how many bytes the UTF-8 character at a place has; 0 if it is none. */
static size_t utf8(Bytes in, size_t at) {
    byte c = in.at[at];
    size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
    if (more == 9 || more >= in.length - at) return 0;
    for (size_t i = 1; i <= more; i++)
        if ((in.at[at + i] & 0xc0) != 0x80) return 0;
    if (more && ((c == 0xe0 && in.at[at + 1] < 0xa0) || (c == 0xed && in.at[at + 1] > 0x9f) ||
                 (c == 0xf0 && in.at[at + 1] < 0x90) || (c == 0xf4 && in.at[at + 1] > 0x8f)))
        return 0;
    return more + 1;
}

static int is_text(Bytes in) {
    for (size_t at = 0, more; at < in.length; at += more)
        if (!(more = utf8(in, at))) return 0;
    return 1;
}

static void hex(Bytes in) {
    for (size_t i = 0; i < in.length; i++) printf("%02x", in.at[i]);
}

static void json_string(Bytes in) {
    putchar('"');
    for (size_t i = 0; i < in.length; i++) {
        static const char names[] = "\"\"\\\\\nn\tt\rr\bb\ff";
        byte c = in.at[i];
        const char *name = 0;
        for (const char *n = names; *n; n += 2)
            if ((byte)*n == c) name = n + 1;
        if (name) printf("\\%c", *name);
        else if (c < 0x20) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

/* Prints the checked value at a place as JSON; returns where it ends. */
static size_t json(Bytes in, size_t at) {
    byte kind = in.at[at];
    int64_t number;
    size_t start;
    if (kind == 'i') {
        at = integer_at(in, at, &number);
        printf("%lld", (long long)number);
        return at;
    }
    if (is_digit(kind)) {
        Bytes string = {0, (size_t)string_at(in, at, &start)};
        string.at = in.at + start;
        if (is_text(string)) json_string(string);
        else printf("{\"$hex\":\""), hex(string), printf("\"}");
        return start + string.length;
    }
    putchar(kind == 'l' ? '[' : '{');
    for (size_t first = ++at; in.at[at] != 'e';) {
        if (at > first) putchar(',');
        if (kind == 'd') {
            Bytes key = {0, (size_t)string_at(in, at, &start)};
            key.at = in.at + start;
            if (is_text(key)) json_string(key);
            else printf("\"$hex:"), hex(key), putchar('"');
            putchar(':');
            at = start + key.length;
        }
        at = json(in, at);
    }
    putchar(kind == 'l' ? ']' : '}');
    return at + 1;
}

static void decode(const char *word) {
    Bytes in = {(const byte *)word, strlen(word)};
    size_t end = skip(in, 0, 0);
    if (!end) refuse("the value is broken: %s", broken);
    if (end != in.length) refuse("%zu bytes follow the value", in.length - end);
    json(in, 0);
    putchar('\n');
}

/* Stage 2: the .torrent file */

typedef struct {
    Bytes top, info, hashes;
    byte info_hash[20];
    int64_t length, piece_length, pieces;
} Torrent;

static Bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) refuse("%s: %s", path, strerror(errno));
    size_t length = 0, size = 1 << 16;
    byte *data = room(size);
    for (size_t count; (count = fread(data + length, 1, size - length, file)) > 0;) {
        length += count;
        if (length == size && !(data = realloc(data, size *= 2))) refuse("%s is too large", path);
    }
    fclose(file);
    return (Bytes){data, length};
}

static void safe_component(Bytes part) {
    if (!part.length || (part.length == 1 && part.at[0] == '.') || (part.length == 2 && !memcmp(part.at, "..", 2)) ||
        memchr(part.at, '/', part.length) || memchr(part.at, 0, part.length))
        refuse("a path in the torrent leads out of its folder");
}

static Torrent read_torrent(const char *path) {
    Torrent torrent = {.top = read_file(path)};
    size_t end = skip(torrent.top, 0, 0);
    if (!end) refuse("%s: no torrent: %s", path, broken);
    torrent.info = get(torrent.top, "info");
    if (!torrent.info.length || torrent.info.at[0] != 'd') refuse("%s: there is no dictionary info", path);
    torrent.piece_length = number_of(get(torrent.info, "piece length"), "piece length");
    if (torrent.piece_length < 1 || torrent.piece_length > 512 << 20) refuse("%s: this piece length cannot be", path);
    torrent.hashes = text(get(torrent.info, "pieces"));
    Bytes files = get(torrent.info, "files");
    if (!files.length) {
        safe_component(text(get(torrent.info, "name")));
        torrent.length = number_of(get(torrent.info, "length"), "length");
    } else {
        if (files.at[0] != 'l') refuse("%s: files must be a list", path);
        for (size_t at = 1; files.at[at] != 'e';) {
            size_t next = skip(files, at, 0);
            Bytes file = {files.at + at, next - at}, parts = get(file, "path");
            int64_t more = number_of(get(file, "length"), "a file's length");
            if (more > INT64_MAX - torrent.length) refuse("%s: the files are too long", path);
            torrent.length += more;
            if (!parts.length || parts.at[0] != 'l' || parts.at[1] == 'e') refuse("%s: a file has no path", path);
            for (size_t part = 1; parts.at[part] != 'e';) {
                size_t after = skip(parts, part, 0);
                safe_component(text((Bytes){parts.at + part, after - part}));
                part = after;
            }
            at = next;
        }
    }
    torrent.pieces = torrent.length / torrent.piece_length + (torrent.length % torrent.piece_length > 0);
    if (torrent.hashes.length % 20 || (int64_t)(torrent.hashes.length / 20) != torrent.pieces)
        refuse("%s: %zu bytes of hashes do not fit %lld pieces", path, torrent.hashes.length, (long long)torrent.pieces);
    sha1(torrent.info.at, torrent.info.length, torrent.info_hash);
    return torrent;
}

/* Calls a function for each tracker, tier by tier; stops when it returns 1. */
static int each_tracker(const Torrent *torrent, int (*call)(const Torrent *, Bytes, void *), void *with) {
    Bytes tiers = get(torrent->top, "announce-list"), one = get(torrent->top, "announce");
    int any = 0;
    if (tiers.length && tiers.at[0] == 'l')
        for (size_t tier = 1; tiers.at[tier] != 'e'; tier = skip(tiers, tier, 0))
            if (tiers.at[tier] == 'l')
                for (size_t at = tier + 1; tiers.at[at] != 'e'; at = skip(tiers, at, 0)) {
                    Bytes url = {tiers.at + at, skip(tiers, at, 0) - at};
                    if (!is_string(url)) continue;
                    any = 1;
                    if (call(torrent, text(url), with)) return 1;
                }
    return !any && is_string(one) && call(torrent, text(one), with);
}

static int print_tracker(const Torrent *torrent, Bytes url, void *with) {
    (void)torrent, (void)with;
    printf("Tracker URL: %.*s\n", (int)url.length, url.at);
    return 0;
}

static void info(const char *path) {
    Torrent torrent = read_torrent(path);
    each_tracker(&torrent, print_tracker, 0);
    printf("Length: %lld\nInfo Hash: ", (long long)torrent.length);
    hex((Bytes){torrent.info_hash, 20});
    printf("\nPiece Length: %lld\nPiece Hashes:\n", (long long)torrent.piece_length);
    for (size_t i = 0; i < torrent.hashes.length; i += 20) hex((Bytes){torrent.hashes.at + i, 20}), putchar('\n');
}

/* Connections, each with a deadline. What fails sets `broken`; the caller may try another. */

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int ready(int socket, short what, int64_t deadline) {
    struct pollfd poll_it = {socket, what, 0};
    for (;;) {
        int64_t left = deadline - now();
        int done = left > 0 ? poll(&poll_it, 1, (int)left) : 0;
        if (done > 0) return 1;
        if (done == 0 || errno != EINTR) return broken = "it took too long", 0;
    }
}

static int dial(const char *host, const char *port, int64_t deadline) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = 0;
    if (getaddrinfo(host, port, &hints, &found)) return broken = "the host name is unknown", -1;
    for (struct addrinfo *one = found; one; one = one->ai_next) {
        int error = 0, line = socket(one->ai_family, SOCK_STREAM, 0);
        socklen_t size = sizeof error;
        if (line < 0) continue;
        fcntl(line, F_SETFL, O_NONBLOCK);
        if (!connect(line, one->ai_addr, one->ai_addrlen) ||
            (errno == EINPROGRESS && ready(line, POLLOUT, deadline) &&
             !getsockopt(line, SOL_SOCKET, SO_ERROR, &error, &size) && !error)) {
            freeaddrinfo(found);
            return line;
        }
        close(line);
    }
    freeaddrinfo(found);
    return broken = "nobody listens there", -1;
}

static int say(int line, const void *data, size_t length, int64_t deadline) {
    for (size_t sent = 0; sent < length;) {
        if (!ready(line, POLLOUT, deadline)) return 0;
        ssize_t count = send(line, (const byte *)data + sent, length - sent, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN && errno != EINTR) return broken = "it hung up", 0;
        sent += count > 0 ? (size_t)count : 0;
    }
    return 1;
}

/* Returns how many bytes came: at least one, unless the connection has ended or the time is up. */
static size_t hear(int line, void *data, size_t length, int64_t deadline) {
    for (;;) {
        if (!ready(line, POLLIN, deadline)) return 0;
        ssize_t count = recv(line, data, length, 0);
        if (count > 0) return (size_t)count;
        if (count == 0 || (errno != EAGAIN && errno != EINTR)) return broken = "it hung up", 0;
    }
}

static int hear_all(int line, void *data, size_t length, int64_t deadline) {
    for (size_t got = 0, more; got < length; got += more)
        if (!(more = hear(line, (byte *)data + got, length - got, deadline))) return 0;
    return 1;
}

/* Stage 3: the tracker */

static byte me[21] = "-SC0001-";

typedef struct { char host[64], port[8]; } Address;
typedef struct { Address all[PEERS]; int count; char why[300]; } Peers;

static void add_peer(Peers *peers, int family, const byte *from, size_t size) {
    unsigned port = from[size] << 8 | from[size + 1];
    if (peers->count == PEERS || !port) return;
    Address *address = &peers->all[peers->count++];
    inet_ntop(family, from, address->host, sizeof address->host);
    snprintf(address->port, sizeof address->port, "%u", port);
}

static size_t escaped(char *out, const byte *data) {
    char *start = out;
    for (int i = 0; i < 20; i++) out += sprintf(out, "%%%02x", data[i]);
    return (size_t)(out - start);
}

static int no(Peers *peers, Bytes url, const char *why) {
    snprintf(peers->why, sizeof peers->why, "%.*s: %s", (int)(url.length < 100 ? url.length : 100), url.at, why);
    return 0;
}

/* Takes the chunks of a body out of their wrapping; returns the length. */
static size_t unchunked(byte *body, size_t length) {
    size_t out = 0, at = 0;
    while (at < length) {
        byte *end = memchr(body + at, '\n', length - at);
        size_t size = strtoul((char *)body + at, 0, 16), start = end ? (size_t)(end - body) + 1 : length;
        if (!size || size > length - start) break;
        memmove(body + out, body + start, size);
        out += size, at = start + size + 2;
    }
    return out;
}

static int announce(const Torrent *torrent, Bytes url, void *with) {
    Peers *peers = with;
    char host[128] = "", port[8] = "80", path[1024] = "/", request[2048], *query = request;
    char *address = room(url.length + 1), *rest;
    memcpy(address, url.at, url.length), address[url.length] = 0;
    if (strncmp(address, "http://", 7)) return no(peers, url, "only http is known here");
    rest = strpbrk(address + 7, "/?");
    if (rest) snprintf(path, sizeof path, "%s%s", *rest == '?' ? "/" : "", rest), *rest = 0;
    char *colon = strrchr(address + 7, ':'), *bracket = strchr(address + 7, ']');
    if (colon && (!bracket || colon > bracket)) snprintf(port, sizeof port, "%s", colon + 1), *colon = 0;
    char *name = address + 7 + (address[7] == '[');
    if ((bracket = strchr(name, ']'))) *bracket = 0;
    snprintf(host, sizeof host, "%s", name);

    query += sprintf(query, "GET %s%cinfo_hash=", path, strchr(path, '?') ? '&' : '?');
    query += escaped(query, torrent->info_hash);
    query += sprintf(query, "&peer_id=%s&port=6881&uploaded=0&downloaded=0&left=%lld&compact=1 HTTP/1.0\r\n", me,
                     (long long)torrent->length);
    query += sprintf(query, "Host: %s:%s\r\nConnection: close\r\n\r\n", host, port);

    int64_t deadline = now() + 5000;
    int line = dial(host, port, deadline);
    if (line < 0) return no(peers, url, broken);
    byte *answer = room(MOST + 1);
    size_t length = 0, more = 0;
    if (say(line, request, (size_t)(query - request), deadline)) {
        broken = 0;
        while (length < MOST && (more = hear(line, answer + length, MOST - length, deadline))) length += more;
    }
    close(line);
    answer[length] = 0;
    char *end = strstr((char *)answer, "\r\n\r\n");
    if (length == MOST) return no(peers, url, "its answer does not end");
    if (!end) return no(peers, url, broken ? broken : "its answer is not HTTP");
    *end = 0;
    Bytes body = {(byte *)end + 4, length - (size_t)((byte *)end + 4 - answer)};
    for (char *c = (char *)answer; *c; c++) *c = *c >= 'A' && *c <= 'Z' ? *c + 32 : *c;
    if (strstr((char *)answer, "transfer-encoding: chunked")) body.length = unchunked((byte *)end + 4, body.length);
    if (!skip(body, 0, 0) || body.at[0] != 'd') return no(peers, url, "its answer is no bencoded dictionary");
    Bytes failure = get(body, "failure reason"), list = get(body, "peers"), six = get(body, "peers6");
    if (failure.length) {
        failure = is_string(failure) ? text(failure) : failure;
        char words[200];
        snprintf(words, sizeof words, "%.*s", (int)failure.length, failure.at);
        return no(peers, url, words);
    }
    if (is_string(list)) {
        Bytes compact = text(list);
        if (compact.length % 6) return no(peers, url, "the length of peers is no multiple of 6");
        for (size_t i = 0; i < compact.length; i += 6) add_peer(peers, AF_INET, compact.at + i, 4);
    } else if (list.length && list.at[0] == 'l') {
        for (size_t at = 1; list.at[at] != 'e'; at = skip(list, at, 0)) {
            Bytes one = {list.at + at, skip(list, at, 0) - at}, ip = get(one, "ip"), number = get(one, "port");
            int64_t value = 0;
            if (!is_string(ip) || !number.length || !integer_at(number, 0, &value) || value < 1 || value > 65535) continue;
            if (peers->count == PEERS || text(ip).length >= sizeof peers->all->host) continue;
            Address *peer = &peers->all[peers->count++];
            snprintf(peer->host, sizeof peer->host, "%.*s", (int)text(ip).length, text(ip).at);
            snprintf(peer->port, sizeof peer->port, "%lld", (long long)value);
        }
    }
    if (is_string(six) && text(six).length % 18 == 0)
        for (size_t i = 0; i < text(six).length; i += 18) add_peer(peers, AF_INET6, text(six).at + i, 16);
    return 1;
}

static Peers find_peers(const Torrent *torrent) {
    Peers peers = {.why = "the torrent names no tracker"};
    if (!each_tracker(torrent, announce, &peers)) refuse("%s", peers.why);
    return peers;
}

static void print_peers(const char *path) {
    Torrent torrent = read_torrent(path);
    Peers peers = find_peers(&torrent);
    for (int i = 0; i < peers.count; i++) {
        const char *host = peers.all[i].host;
        printf(strchr(host, ':') ? "[%s]:%s\n" : "%s:%s\n", host, peers.all[i].port);
    }
}

/* Stage 4: the handshake. Returns the connection, or -1. */

static int shake_hands(const Torrent *torrent, Address address, byte *theirs) {
    byte ours[68] = "\x13" "BitTorrent protocol";
    int64_t deadline = now() + 8000;
    int line = dial(address.host, address.port, now() + 5000);
    if (line < 0) return -1;
    memcpy(ours + 28, torrent->info_hash, 20), memcpy(ours + 48, me, 20);
    if (say(line, ours, 68, deadline) && hear_all(line, theirs, 20, deadline)) {
        if (memcmp(theirs, ours, 20)) broken = "it does not speak BitTorrent";
        else if (hear_all(line, theirs + 20, 48, deadline)) {
            if (memcmp(theirs + 28, ours + 28, 20)) broken = "it has another torrent";
            else if (!memcmp(theirs + 48, me, 20)) broken = "it is this client itself";
            else return line;
        }
    }
    close(line);
    return -1;
}

static void handshake(const char *path, const char *place) {
    Torrent torrent = read_torrent(path);
    Address address;
    const char *colon = strrchr(place, ':');
    byte theirs[68];
    if (!colon) refuse("HOST:PORT was expected, not %s", place);
    int brackets = place[0] == '[' && colon[-1] == ']';
    snprintf(address.host, sizeof address.host, "%.*s", (int)(colon - place) - 2 * brackets, place + brackets);
    snprintf(address.port, sizeof address.port, "%s", colon + 1);
    if (shake_hands(&torrent, address, theirs) < 0) refuse("%s: %s", place, broken);
    printf("Peer ID: ");
    hex((Bytes){theirs + 48, 20});
    putchar('\n');
}

/* Stages 5 and 9: messages, and one piece by them */

static uint32_t word(const byte *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }

static void put(byte *at, uint32_t value) {
    for (int i = 0; i < 4; i++) at[i] = (byte)(value >> (24 - 8 * i));
}

/* Fetches a piece into data; returns 1 if it has come and is right. */
static int fetch(const Torrent *torrent, Address address, uint32_t index, byte *data, uint32_t size) {
    uint32_t blocks = (size + BLOCK - 1) / BLOCK, missing = blocks, waiting = 0, bits = (uint32_t)((torrent->pieces + 7) / 8);
    byte *state = room(blocks), theirs[68], *message = room(bits + BLOCK + 64); /* 0 not asked for, 1 asked for, 2 here */
    int line = shake_hands(torrent, address, theirs), choked = 1, has = -1, good = 0; /* has: not known */
    uint32_t most = bits + 1 > BLOCK + 9 ? bits + 1 : BLOCK + 9;
    if (line < 0) return 0;
    memset(state, 0, blocks);
    const byte interested[5] = {0, 0, 0, 1, 2};
    int64_t patience = now() + 5000;
    if (!say(line, interested, 5, patience)) goto done;
    while (missing) {
        for (uint32_t block = 0; has && !choked && waiting < AHEAD && block < blocks; block++) {
            if (state[block]) continue;
            byte request[17] = {0, 0, 0, 13, 6};
            put(request + 5, index), put(request + 9, block * BLOCK);
            put(request + 13, block + 1 < blocks ? BLOCK : size - block * BLOCK);
            if (!say(line, request, 17, patience)) goto done;
            state[block] = 1, waiting++;
        }
        byte head[4];
        if (!hear_all(line, head, 4, patience)) goto done;
        uint32_t length = word(head);
        if (!length) continue;
        /* Only a bitfield or a block may be long; what comes of unknown kinds is read, and dropped. */
        if (length > most && length > 1 << 17) { broken = "it announces a message that cannot be"; goto done; }
        byte id, *payload = message;
        if (!hear_all(line, &id, 1, patience)) goto done;
        uint32_t rest = length - 1;
        if (rest > bits + BLOCK + 64) {
            for (uint32_t part; rest; rest -= part) {
                part = rest < BLOCK ? rest : BLOCK;
                if (!hear_all(line, message, part, patience)) goto done;
            }
            if (id == 5 || id == 7) { broken = "it sends a message that is too long"; goto done; }
            continue;
        }
        if (!hear_all(line, payload, rest, patience)) goto done;
        if (id == 0) {
            choked = 1, waiting = 0;
            for (uint32_t block = 0; block < blocks; block++) if (state[block] == 1) state[block] = 0;
        } else if (id == 1) {
            choked = 0;
        } else if (id == 4 && rest == 4) {
            if (word(payload) == index) has = 1;
        } else if (id == 5) {
            if (rest != bits) { broken = "its bitfield does not fit the torrent"; goto done; }
            has = has == 1 || payload[index / 8] >> (7 - index % 8) & 1;
        } else if (id == 7) {
            if (rest < 8) { broken = "it sends half a block"; goto done; }
            uint32_t begin = word(payload + 4), block = begin / BLOCK;
            if (word(payload) == index && begin % BLOCK == 0 && block < blocks && state[block] != 2 &&
                rest - 8 == (block + 1 < blocks ? BLOCK : size - begin)) {
                memcpy(data + begin, payload + 8, rest - 8);
                waiting -= state[block] == 1;
                state[block] = 2, missing--;
                patience = now() + 5000;
            }
        }
    }
    byte hash[20];
    sha1(data, size, hash);
    good = !memcmp(hash, torrent->hashes.at + 20 * (size_t)index, 20);
    if (!good) broken = "the piece has the wrong hash";
done:
    close(line);
    free(state), free(message);
    return good;
}

static void download_piece(const char *out, const char *path, const char *number) {
    Torrent torrent = read_torrent(path);
    char *end;
    long long index = strtoll(number, &end, 10);
    if (*end || index < 0 || index >= torrent.pieces) refuse("there is no piece %s", number);
    int64_t from = index * torrent.piece_length, left = torrent.length - from;
    uint32_t size = (uint32_t)(left < torrent.piece_length ? left : torrent.piece_length);
    byte *data = room(size);
    Peers peers = find_peers(&torrent);
    broken = "no tracker knows a peer";
    for (int i = 0; i < peers.count; i++) {
        if (!fetch(&torrent, peers.all[i], (uint32_t)index, data, size)) {
            fprintf(stderr, "%s:%s: %s\n", peers.all[i].host, peers.all[i].port, broken);
            continue;
        }
        FILE *file = fopen(out, "wb");
        if (!file || fwrite(data, 1, size, file) != size || fclose(file)) refuse("%s: %s", out, strerror(errno));
        printf("Piece %s downloaded to %s.\n", number, out);
        return;
    }
    refuse("piece %s did not come from any peer; the last one: %s", number, broken);
}

int main(int count, char **words) {
    const char *command = count > 1 ? words[1] : "";
    signal(SIGPIPE, SIG_IGN);
    FILE *dice = fopen("/dev/urandom", "rb");
    for (int i = 8; i < 20; i++) me[i] = (byte)('a' + (dice ? fgetc(dice) : rand()) % 26);
    if (!strcmp(command, "decode") && count == 3) decode(words[2]);
    else if (!strcmp(command, "info") && count == 3) info(words[2]);
    else if (!strcmp(command, "peers") && count == 3) print_peers(words[2]);
    else if (!strcmp(command, "handshake") && count == 4) handshake(words[2], words[3]);
    else if (!strcmp(command, "download_piece") && count == 6 && !strcmp(words[2], "-o")) download_piece(words[3], words[4], words[5]);
    else refuse("decode VALUE, info TORRENT, peers TORRENT, handshake TORRENT HOST:PORT or download_piece -o OUT TORRENT INDEX was expected");
    return 0;
}
