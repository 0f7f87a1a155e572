//! The seam for info dictionaries that another stage reads: it hands over [`Parts`].

use std::sync::Arc;

use super::keys::broken;
use super::piece_check::PieceCheck;
use super::pieces::Shape;
use super::{FileEntry, Info, MAX_PIECES, MetainfoError, Names};

/// What another stage has found in an info dictionary whose files are aligned: each one that is
/// not empty begins at a piece, and padding fills the gaps.
pub struct Parts {
    /// See [`Info::raw`].
    pub raw: Vec<u8>,
    /// The torrent's names.
    pub names: Names,
    /// See [`Info::name`].
    pub name: String,
    /// In bytes.
    pub piece_length: u32,
    /// In order, with padding between them and none at the end.
    pub files: Vec<FileEntry>,
    /// See [`Info::multi_file`].
    pub multi_file: bool,
    /// See [`Info::private`].
    pub private: bool,
    /// See [`Info::passed_over`].
    pub passed_over: Vec<String>,
    /// Recognizes each piece.
    pub check: Arc<dyn PieceCheck>,
}

impl Parts {
    /// Makes an [`Info`] of the parts.
    ///
    /// # Errors
    /// If the files have more than [`MAX_PIECES`] pieces.
    pub fn into_info(self) -> Result<Info, MetainfoError> {
        let end = self.files.last().map_or(0, |last| last.offset + last.length);
        let pieces = end.div_ceil(self.piece_length.into());
        if pieces > MAX_PIECES {
            return Err(broken(
                "info.piece length",
                format!("long enough for {MAX_PIECES} pieces"),
                self.piece_length,
            ));
        }
        let length = self.files.iter().filter(|file| !file.padding).map(|file| file.length).sum();
        Ok(Info {
            info_hash: self.names.first(),
            raw: self.raw,
            name: self.name,
            piece_length: self.piece_length,
            length,
            files: self.files,
            multi_file: self.multi_file,
            private: self.private,
            passed_over: self.passed_over,
            check: self.check,
            names: self.names,
            shape: Shape {
                pieces: u32::try_from(pieces).expect("at most 2^21 was checked above"),
                is_aligned: true,
            },
        })
    }
}
