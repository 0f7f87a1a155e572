//! The book: the chapters as pages, with the source beside them.
//!
//! ```text
//! docs/*.md, README.md --+-- names      each name in "Read along" becomes a link, or is an error
//! src/**.rs -------------+-- diagram    a conversation becomes a drawing
//!                        +-- chapter    a document becomes a page for mdBook
//!                        +-- source     a Rust file becomes a page beside it
//! ```
//!
//! All of it works without mdBook, and so do the tests. Only the program needs it, to make HTML of
//! the chapters.

pub mod book;
pub mod chapter;
pub mod diagram;
pub mod drawing;
pub mod fault;
pub mod items;
pub mod markdown;
pub mod names;
pub mod rust;
pub mod source;
pub mod tree;
