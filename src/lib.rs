pub mod s01_bencode;
pub mod s02_metainfo;
pub mod s03_tracker;
pub mod s04_handshake;
