//! BitTorrent, piece by piece.
//!
//! Each step of the protocol is a numbered module, in the order in which a
//! download needs them. Read them from the first to the last: a stage uses only
//! earlier ones, and each opens with what goes over the wire.
//!
//! | stage | what it does | BEPs | commands |
//! |---|---|---|---|
//! | [`s01_bencode`] | values and bytes | 3 | `decode` |
//! | [`s02_metainfo`] | the .torrent file, the info hash, safe paths | 3, 12, 27, 47 | `info` |
//! | [`s03_tracker`] | ask an HTTP tracker for peers | 3, 7, 12, 23, 31 | `peers` |
//! | [`s04_handshake`] | the 68-byte hello | 3 | `handshake` |
//! | [`s05_messages`] | length-prefixed messages, the bitfield | 3, 6 | |
//! | [`s06_magnet`] | magnet links | 9, 53 | `magnet_parse` |
//! | [`s07_extension`] | the extension handshake | 10, 54 | `magnet_handshake` |
//! | [`s08_metadata`] | the info dictionary from a peer | 9 | `magnet_info` |
//! | [`s09_pieces`] | blocks, pipelining, one verified piece | 3 | `download_piece`, `magnet_download_piece` |
//! | [`s10_storage`] | pieces and files; create, verify, resume | 3, 19, 47 | `create`, `verify` |
//! | [`s11_work_queue`] | who fetches which piece: one Mutex, leases, rarest first | 3 | `work_queue` |
//! | [`s12_session`] | one peer, one thread, one loop | 3, 6, 10, 21, 54 | `download_from` |
//! | [`s13_peer_sources`] | where peers come from, again and again | 3, 12, 27, 31 | `announce` |
//! | [`s14_peer_list`] | whom to dial, who gets a place, who is banned | 3 | `peer_list` |
//! | [`s15_swarm`] | many peers at once | 3, 6, 12 | `download`, `magnet_download` |
//! | [`s16_uploading`] | answer requests with verified blocks | 3, 6, 54 | `serve` |
//! | [`s17_seeding`] | listen, choose whom to give to, stay | 3, 6, 21 | `seed` |
//! | [`s18_udp_tracker`] | the same phone book over UDP; scrape | 15, 41, 48 | `scrape` |
//! | [`s19_pex`] | peers tell each other about their peers | 11, 27 | `pex_peers` |
//! | [`s20_lsd`] | who in this room has the torrent | 14, 27 | `lsd_peers` |
//! | [`s21_dht_lookup`] | find peers in the DHT: ask nearer and nearer nodes | 5, 32, 42, 43 | `dht_ping`, `dht_peers` |
//! | [`s22_dht_node`] | be a node of the DHT: answer, store, announce | 5, 32, 33, 42, 43, 51 | `dht_node` |
//! | [`s23_v2`] | version 2 torrents: each file is a tree of hashes | 47, 52 | `tree` |
//! | [`s24_hash_transfer`] | ask a peer for hashes, with proof | 52 | `hashes` |
//! | [`report`] | why a download waits, and why it failed, in words | | |
//! | [`trace`] | what the bytes on the wire mean, field by field | | `explain`, `replay` |
//! | [`actors`] | scripted peers and trackers, for tests and for a judge of clients | | |
//! | [`lab`] | a swarm on this machine, and a tracker for a class | | `lab`, `tracker`, `swarm_sheet`, `demo` |
//! | [`grade`] | checks a client in any language, with peers that misbehave | | `grade` |
//! | [`simulate`] | swarms in virtual time, by the stages' own rules | | `simulate` |
//! | [`offspring`] | programs of others, ended with all that they start | | |
//!
//! `piecemeal stages` prints this table.

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod s01_bencode;
pub mod s02_metainfo;
pub mod s03_tracker;
pub mod s04_handshake;
pub mod s05_messages;
pub mod s06_magnet;
pub mod s07_extension;
pub mod s08_metadata;
pub mod s09_pieces;
pub mod s10_storage;
pub mod s11_work_queue;
pub mod s12_session;
pub mod s13_peer_sources;
pub mod s14_peer_list;
pub mod s15_swarm;
pub mod s16_uploading;
pub mod s17_seeding;
pub mod s18_udp_tracker;
pub mod s19_pex;
pub mod s20_lsd;
pub mod s21_dht_lookup;
pub mod s22_dht_node;
pub mod s23_v2;
pub mod s24_hash_transfer;

pub mod actors;
pub mod grade;
pub mod lab;
pub mod offspring;
pub mod report;
pub mod simulate;
pub mod trace;

#[cfg(doctest)]
#[doc = include_str!("../docs/01-bencode.md")]
struct Chapter01;

#[cfg(doctest)]
#[doc = include_str!("../docs/02-metainfo.md")]
struct Chapter02;

#[cfg(doctest)]
#[doc = include_str!("../docs/03-tracker.md")]
struct Chapter03;

#[cfg(doctest)]
#[doc = include_str!("../docs/04-handshake.md")]
struct Chapter04;

#[cfg(doctest)]
#[doc = include_str!("../docs/05-messages.md")]
struct Chapter05;

#[cfg(doctest)]
#[doc = include_str!("../docs/06-magnet.md")]
struct Chapter06;

#[cfg(doctest)]
#[doc = include_str!("../docs/07-extension.md")]
struct Chapter07;

#[cfg(doctest)]
#[doc = include_str!("../docs/08-metadata.md")]
struct Chapter08;

#[cfg(doctest)]
#[doc = include_str!("../docs/09-pieces.md")]
struct Chapter09;

#[cfg(doctest)]
#[doc = include_str!("../docs/10-storage.md")]
struct Chapter10;

#[cfg(doctest)]
#[doc = include_str!("../docs/11-work-queue.md")]
struct Chapter11;

#[cfg(doctest)]
#[doc = include_str!("../docs/12-session.md")]
struct Chapter12;

#[cfg(doctest)]
#[doc = include_str!("../docs/13-peer-sources.md")]
struct Chapter13;

#[cfg(doctest)]
#[doc = include_str!("../docs/14-peer-list.md")]
struct Chapter14;

#[cfg(doctest)]
#[doc = include_str!("../docs/15-swarm.md")]
struct Chapter15;

#[cfg(doctest)]
#[doc = include_str!("../docs/16-uploading.md")]
struct Chapter16;

#[cfg(doctest)]
#[doc = include_str!("../docs/17-seeding.md")]
struct Chapter17;

#[cfg(doctest)]
#[doc = include_str!("../docs/18-udp-tracker.md")]
struct Chapter18;

#[cfg(doctest)]
#[doc = include_str!("../docs/19-pex.md")]
struct Chapter19;

#[cfg(doctest)]
#[doc = include_str!("../docs/20-lsd.md")]
struct Chapter20;

#[cfg(doctest)]
#[doc = include_str!("../docs/21-dht-lookup.md")]
struct Chapter21;

#[cfg(doctest)]
#[doc = include_str!("../docs/22-dht-node.md")]
struct Chapter22;

#[cfg(doctest)]
#[doc = include_str!("../docs/23-v2.md")]
struct Chapter23;

#[cfg(doctest)]
#[doc = include_str!("../docs/24-hash-transfer.md")]
struct Chapter24;

#[cfg(doctest)]
#[doc = include_str!("../docs/answers.md")]
struct ChapterAnswers;
