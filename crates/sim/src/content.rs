//! Contents without bytes: which version of which asset a payload is a piece of, and whether somebody has tampered
//! with it. Digests carry that, so that verifying is comparing, as it is with real ones.

use edgeweave_protocol::Digest;
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::{PIECE_BYTES, SEGMENT_PIECES};
use edgeweave_protocol::manifest::piece_count;

/// One version of one asset; of what is not the same for everybody, one visitor's variant of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Content {
    pub(crate) asset: u32,
    pub(crate) version: u32,
    /// Whom it was made for; nobody in particular, for public content.
    pub(crate) made_for: Option<u32>,
}

/// A payload: a piece of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) content: Content,
    pub(crate) piece: u32,
    /// Whether the bytes are other than the origin's.
    pub(crate) corrupt: bool,
}

const WHOLE: u32 = u32::MAX;

impl Content {
    /// The content's name.
    pub(crate) fn hash(self) -> Digest {
        self.digest(WHOLE, false)
    }

    /// The content of a name that [`hash`](Self::hash) made.
    pub(crate) fn of(hash: Digest) -> Self {
        let word =
            |at: usize| u32::from_le_bytes([hash.0[at], hash.0[at + 1], hash.0[at + 2], hash.0[at + 3]]);
        Self { asset: word(4), version: word(8), made_for: word(12).checked_sub(1) }
    }

    pub(crate) fn piece_digests(self, size: u64) -> PieceDigests {
        PieceDigests((0..piece_count(size)).map(|piece| self.digest(piece, false)).collect())
    }

    fn digest(self, piece: u32, corrupt: bool) -> Digest {
        let made_for = self.made_for.map_or(0, |visitor| visitor + 1);
        // The first word spreads the digests over their order, as real ones are.
        let spread = (u64::from(self.asset) << 32 | u64::from(self.version) << 8 ^ u64::from(piece))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words =
            [(spread >> 32) as u32, self.asset, self.version, made_for, piece, u32::from(corrupt), 0, 0];
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Digest(bytes)
    }
}

impl Token {
    /// The piece of a stored segment that starts at an offset.
    pub(crate) fn stored(hash: Digest, segment: u32, offset: u32) -> Self {
        let piece = segment * SEGMENT_PIECES + offset / PIECE_BYTES;
        Self { content: Content::of(hash), piece, corrupt: false }
    }

    /// What its SHA-256 is taken to be.
    pub(crate) fn digest(self) -> Digest {
        self.content.digest(self.piece, self.corrupt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_its_content_and_tampering_shows() {
        let content = Content { asset: 7, version: 3, made_for: None };
        assert_eq!(Content::of(content.hash()), content);
        let personal = Content { made_for: Some(0), ..content };
        assert_eq!(Content::of(personal.hash()), personal);
        let token = Token { content, piece: 1, corrupt: false };
        assert_eq!(content.piece_digests(200_000).0[1], token.digest());
        assert_ne!(Token { corrupt: true, ..token }.digest(), token.digest());
        assert_ne!(content.hash(), personal.hash());
    }
}
