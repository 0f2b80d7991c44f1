//! How a content gets its name: it is cut into pieces as it streams by, and named by their digests.

use sha2::{Digest as _, Sha256};

use crate::Digest;
use crate::digest::PieceDigests;
use crate::limits::PIECE_BYTES;

/// The digests of a content, of which nothing else is kept.
#[derive(Default)]
pub struct PieceHasher {
    size: u64,
    piece: Sha256,
    in_piece: usize,
    digests: Vec<Digest>,
}

/// A content's name, and what it was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The content's length in bytes.
    pub size: u64,
    /// Its name.
    pub hash: Digest,
    /// The digests of its pieces.
    pub pieces: PieceDigests,
}

impl PieceHasher {
    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut bytes: &[u8]) {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE_BYTES as usize - self.in_piece));
            self.piece.update(now);
            self.in_piece += now.len();
            bytes = later;
            if self.in_piece == PIECE_BYTES as usize {
                self.end_piece();
            }
        }
    }

    /// The name of all that was taken; no bytes at all are one empty piece.
    pub fn finish(mut self) -> Named {
        if self.in_piece > 0 || self.digests.is_empty() {
            self.end_piece();
        }
        let mut hash = Sha256::new();
        self.digests.iter().for_each(|digest| hash.update(digest.0));
        let hash = Digest(hash.finalize().into());
        Named { size: self.size, hash, pieces: PieceDigests(self.digests) }
    }

    fn end_piece(&mut self) {
        self.digests.push(Digest(self.piece.finalize_reset().into()));
        self.in_piece = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::piece_count;

    fn hashed(content: &[u8], step: usize) -> Named {
        let mut hasher = PieceHasher::default();
        content.chunks(step).for_each(|chunk| hasher.update(chunk));
        hasher.finish()
    }

    #[test]
    fn content_is_named_the_same_however_it_arrives() {
        let piece = PIECE_BYTES as usize;
        for size in [0, 1, piece - 1, piece, piece + 1, 3 * piece] {
            let content: Vec<u8> = (0..size).map(|index| (index * 31) as u8).collect();
            let whole = hashed(&content, usize::MAX);
            assert_eq!(whole, hashed(&content, 1000));
            assert_eq!(whole.pieces.0.len(), piece_count(size as u64) as usize);
            let digests: Vec<[u8; 32]> =
                content.chunks(piece).map(|bytes| Sha256::digest(bytes).into()).collect();
            if size > 0 {
                assert_eq!(whole.hash.0, <[u8; 32]>::from(Sha256::digest(digests.concat())));
            }
        }
    }
}
