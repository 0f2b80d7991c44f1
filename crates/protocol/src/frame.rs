//! Frames between two neighbours: one binary message on a data channel each. A small header says what it is; what
//! follows the header of a piece is its payload, which the brains never see.
//!
//! All integers are little-endian. A transfer is a number that the asking side chose; it is unique among its open
//! transfers with that neighbour.
//!
//! | kind | name | after the kind byte |
//! | --- | --- | --- |
//! | 1 | have | runs of manifest indices: manifest epoch `u32`, then pairs `u32` first, `u32` length |
//! | 2 | lost | the same |
//! | 3 | ask | transfer `u32`, asset `u32`, manifest epoch `u32`, first piece `u32`, count `u32` |
//! | 4 | piece | transfer `u32`, piece `u32`, then the payload |
//! | 5 | refuse | transfer `u32`, reason `u8`, then a bitmap of the segments that are held |
//! | 6 | cancel | transfer `u32` |

use crate::limits::{MAX_ASK_PIECES, MAX_FRAME_HEADER_BYTES};
use crate::{AssetId, AssetSet, Reason};

/// The header of a piece, in bytes: the payload starts here.
pub const PIECE_HEADER_BYTES: usize = 9;

/// One message between neighbours, without a piece's payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The sender now holds something of these.
    Have {
        /// The manifest epoch in which the indices count.
        epoch: u32,
        /// The assets.
        assets: AssetSet,
    },
    /// The sender no longer holds anything of these.
    Lost {
        /// The manifest epoch in which the indices count.
        epoch: u32,
        /// The assets.
        assets: AssetSet,
    },
    /// Asks for pieces `first..first + count` of an asset.
    Ask {
        /// The asking side's number for it.
        transfer: u32,
        /// The manifest epoch in which `asset` counts.
        epoch: u32,
        /// The asset.
        asset: AssetId,
        /// The first piece.
        first: u32,
        /// How many pieces, 1 to [`MAX_ASK_PIECES`].
        count: u32,
    },
    /// A piece; its payload follows the header.
    Piece {
        /// The transfer it belongs to.
        transfer: u32,
        /// Its index in the asset.
        piece: u32,
    },
    /// The sender does not serve (the rest of) this transfer.
    Refuse {
        /// The transfer.
        transfer: u32,
        /// [`Reason::NotHeld`], [`Reason::Busy`], [`Reason::UploadCap`] or [`Reason::Disabled`].
        reason: Reason,
        /// Which segments of the asset the sender holds: bit `n` of the bytes, least significant first.
        segments: Vec<u8>,
    },
    /// The asking side no longer wants (the rest of) this transfer.
    Cancel {
        /// The transfer.
        transfer: u32,
    },
}

const REFUSALS: [Reason; 4] = [Reason::NotHeld, Reason::Busy, Reason::UploadCap, Reason::Disabled];

impl Frame {
    /// Writes the frame; a piece's payload is to follow.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24);
        let mut put = |kind: u8, words: &[u32]| {
            bytes.push(kind);
            words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        };
        match self {
            Self::Have { epoch, assets } => put(1, &set_words(*epoch, assets)),
            Self::Lost { epoch, assets } => put(2, &set_words(*epoch, assets)),
            Self::Ask { transfer, epoch, asset, first, count } => {
                put(3, &[*transfer, asset.0, *epoch, *first, *count]);
            }
            Self::Piece { transfer, piece } => put(4, &[*transfer, *piece]),
            Self::Refuse { transfer, reason, segments } => {
                put(5, &[*transfer]);
                let code = REFUSALS.iter().position(|known| known == reason).unwrap_or(0);
                bytes.push(code as u8);
                bytes.extend(segments);
            }
            Self::Cancel { transfer } => put(6, &[*transfer]),
        }
        bytes
    }

    /// Reads a frame; for a piece, `bytes` may or may not include the payload. `None` for anything malformed.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&kind, rest) = bytes.split_first()?;
        if kind == 4 {
            let (transfer, rest) = word(rest)?;
            let (piece, _payload) = word(rest)?;
            return Some(Self::Piece { transfer, piece });
        }
        if bytes.len() > MAX_FRAME_HEADER_BYTES {
            return None;
        }
        match kind {
            1 | 2 => {
                let (epoch, rest) = word(rest)?;
                let assets = read_set(rest)?;
                Some(if kind == 1 { Self::Have { epoch, assets } } else { Self::Lost { epoch, assets } })
            }
            3 => {
                let (transfer, rest) = word(rest)?;
                let (asset, rest) = word(rest)?;
                let (epoch, rest) = word(rest)?;
                let (first, rest) = word(rest)?;
                let (count, rest) = word(rest)?;
                let valid = rest.is_empty() && (1..=MAX_ASK_PIECES).contains(&count);
                valid.then_some(Self::Ask { transfer, epoch, asset: AssetId(asset), first, count })
            }
            5 => {
                let (transfer, rest) = word(rest)?;
                let (&code, segments) = rest.split_first()?;
                let reason = *REFUSALS.get(usize::from(code))?;
                Some(Self::Refuse { transfer, reason, segments: segments.to_vec() })
            }
            6 => {
                word(rest).filter(|(_, rest)| rest.is_empty()).map(|(transfer, _)| Self::Cancel { transfer })
            }
            _ => None,
        }
    }

    /// Splits a set over as many frames as the header's limit needs, made with `frame`.
    pub fn announce(epoch: u32, assets: &AssetSet, frame: impl Fn(u32, AssetSet) -> Self) -> Vec<Self> {
        const RUNS_PER_FRAME: usize = (MAX_FRAME_HEADER_BYTES - 5) / 8;
        assets.split_runs(RUNS_PER_FRAME).map(|part| frame(epoch, part)).collect()
    }
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), rest))
}

fn set_words(epoch: u32, assets: &AssetSet) -> Vec<u32> {
    let mut words = vec![epoch];
    words.extend(assets.run_words());
    words
}

fn read_set(bytes: &[u8]) -> Option<AssetSet> {
    if !bytes.len().is_multiple_of(8) {
        return None;
    }
    AssetSet::from_run_words(bytes.chunks(4).filter_map(|chunk| word(chunk).map(|(value, _)| value)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes: Vec<u8>) {
            if let Some(frame) = Frame::decode(&bytes) {
                prop_assert_eq!(Frame::decode(&frame.encode()), Some(frame));
            }
        }

        #[test]
        fn holdings_of_any_size_are_announced_within_the_limit(members: Vec<u16>) {
            let assets: AssetSet = members.into_iter().map(|index| AssetId(u32::from(index))).collect();
            let mut heard = AssetSet::new();
            for frame in Frame::announce(7, &assets, |epoch, assets| Frame::Have { epoch, assets }) {
                let bytes = frame.encode();
                prop_assert!(bytes.len() <= MAX_FRAME_HEADER_BYTES);
                let Some(Frame::Have { epoch: 7, assets }) = Frame::decode(&bytes) else { panic!("not a have") };
                heard.extend(assets.iter());
            }
            prop_assert_eq!(heard, assets);
        }
    }

    #[test]
    fn every_kind_survives_the_wire() {
        let frames = [
            Frame::Have { epoch: 1, assets: [AssetId(1), AssetId(2), AssetId(9)].into_iter().collect() },
            Frame::Lost { epoch: 1, assets: [AssetId(4)].into_iter().collect() },
            Frame::Ask { transfer: 7, epoch: 1, asset: AssetId(2), first: 3, count: MAX_ASK_PIECES },
            Frame::Piece { transfer: 7, piece: 4 },
            Frame::Refuse { transfer: 7, reason: Reason::Busy, segments: vec![5] },
            Frame::Cancel { transfer: 7 },
        ];
        for frame in frames {
            assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }
    }
}
