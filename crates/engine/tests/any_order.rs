//! Any inputs in any order: no panic, every request answered at most once, memory within bounds, and no deadline that
//! does not pass.

#![allow(clippy::unwrap_used)] // Helpers outside `#[test]` functions unwrap too.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{digest, peer_of};
use edgeweave_engine::io::{ByteRange, Circumstances, FetchedResource, HeldSegment, Payload};
use edgeweave_engine::{Engine, Input, Output, Setup};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::PIECE_BYTES;
use edgeweave_protocol::manifest::{Asset, ManifestDelta, ManifestVersion, piece_count};
use edgeweave_protocol::message::ToPeer;
use edgeweave_protocol::policy::{Policy, Prefer};
use edgeweave_protocol::report::Event;
use edgeweave_protocol::{AssetId, AssetSet, Digest, Reason, Timestamp};
use proptest::prelude::*;

const URLS: [&str; 3] = ["https://site/a", "https://site/b", "https://site/c"];
const SIZES: [u64; 3] = [0, 100_000, 3_000_000];

fn hash_of(which: usize) -> Digest {
    Digest([which as u8 + 1; 32])
}

fn right() -> Digest {
    digest(b"right")
}

fn asset(which: usize, id: u32, fresh_ms: u64) -> Asset {
    let pieces = vec![right(); piece_count(SIZES[which]) as usize];
    Asset {
        id: AssetId(id),
        url: URLS[which].into(),
        hash: hash_of(which),
        size: SIZES[which],
        fresh_ms,
        status: [200, 200, 404][which],
        headers: Vec::new().into(),
        pieces: (which < 2).then_some(PieceDigests(pieces).into()),
    }
}

/// What may happen; numbers are small, so that they meet.
fn input() -> impl Strategy<Value = Input> {
    let peer = || (0usize..3).prop_map(peer_of);
    let which = 0usize..3;
    let policy = (any::<bool>(), any::<bool>(), any::<bool>(), 0u64..20_000_000).prop_map(
        |(enabled, offload, hedge, cache_bytes)| {
            let prefer = if offload { Prefer::Offload } else { Prefer::Speed };
            Policy { enabled, prefer, hedge, cache_bytes, ..Policy::default() }
        },
    );
    prop_oneof![
        Just(Input::Tick),
        Just(Input::Suspend),
        Just(Input::Resume),
        Just(Input::Forget),
        Just(Input::SocketOpened),
        Just(Input::SocketClosed),
        (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(off, alone, selfish)| Input::Circumstances(
            Circumstances {
                off: off.then_some(Reason::NoConsent),
                alone: alone.then_some(Reason::NoWebRtc),
                selfish: selfish.then_some(Reason::SaveData),
            }
        )),
        policy.prop_map(|policy| Input::Heard(ToPeer::Welcome {
            protocol: 1,
            peer: peer_of(0),
            stun: vec![],
            policy,
            crowd: 3
        })),
        (any::<bool>(), any::<bool>(), 0u32..2, which.clone(), 0u32..4, 0u64..20_000).prop_map(
            |(reset, more, epoch, which, id, fresh_ms)| {
                let version = ManifestVersion { epoch, number: 1 };
                let add = vec![asset(which, id, fresh_ms)];
                let remove = vec![AssetId(id + 1)];
                Input::Heard(ToPeer::Manifest(ManifestDelta {
                    version,
                    reset,
                    more,
                    add,
                    remove,
                    ..Default::default()
                }))
            }
        ),
        (0u32..4, 0usize..60).prop_map(|(id, count)| {
            Input::Heard(ToPeer::Pieces {
                asset: AssetId(id),
                pieces: PieceDigests(vec![right(); count]).into(),
            })
        }),
        (peer(), any::<bool>()).prop_map(|(peer, offers)| {
            let holds: AssetSet = (0..4).map(AssetId).collect();
            Input::Heard(ToPeer::Introduce { peer, offers, holds })
        }),
        prop::collection::vec((0u32..5).prop_map(AssetId), 0..4)
            .prop_map(|assets| Input::Heard(ToPeer::Likely { assets })),
        (0u32..3).prop_map(|page| Input::Page { url: format!("https://site/{page}").into() }),
        (0u32..4).prop_map(|id| Input::Heard(ToPeer::NoHolder { assets: vec![AssetId(id)] })),
        peer().prop_map(|peer| Input::Heard(ToPeer::Gone { peer })),
        (0u32..20, which.clone(), any::<Option<(u32, u32)>>(), any::<bool>()).prop_map(
            |(id, which, range, rescue)| {
                let range =
                    range.map(|(first, last)| ByteRange { first: first.into(), last: Some(last.into()) });
                Input::Request { id, url: URLS[which].into(), range, rescue }
            }
        ),
        (0u32..20).prop_map(|id| Input::Cancel { id, reason: None }),
        (0u32..20, any::<u32>()).prop_map(|(id, bytes)| Input::Consumed { id, bytes }),
        (which.clone(), any::<bool>(), prop::sample::select(vec![0, 200, 404])).prop_map(
            |(which, controlled, status)| {
                let url = URLS[which].into();
                let resource =
                    FetchedResource { url, bytes: 9, first_byte_ms: 3, total_ms: 2, controlled, status };
                Input::Fetched { resources: vec![resource] }
            }
        ),
        peer().prop_map(|peer| Input::PeerOpened { peer }),
        peer().prop_map(|peer| Input::PeerClosed { peer, reason: Reason::ConnectFailed }),
        (peer(), prop::collection::vec(0u8..7, 0..25)).prop_map(|(peer, header)| Input::Frame {
            peer,
            header,
            payload: None
        }),
        (which.clone(), 0u32..4).prop_map(|(which, segment)| Input::Stored { hash: hash_of(which), segment }),
        (which.clone(), 0u32..4).prop_map(|(which, segment)| Input::StoreFailed {
            hash: hash_of(which),
            segment,
            reason: Reason::StorageFull
        }),
        (which, 0u32..60).prop_map(|(which, piece)| Input::Loaded {
            hash: hash_of(which),
            piece,
            payload: None
        }),
        (0u32..4).prop_map(|id| Input::AdoptEnded { asset: AssetId(id) }),
        Just(Input::Note { event: Event::Error, reason: None, about: "x".into(), bytes: 0 }),
    ]
}

/// What a body owes: the engine's questions are answered, some wrongly, some never.
fn reply(output: &Output, lucky: bool, next_handle: &mut u32) -> Option<Input> {
    let mut keep = |len: u32| {
        *next_handle += 1;
        Payload { handle: *next_handle, len }
    };
    Some(match output {
        Output::Hash { handle } => {
            Input::Hashed { handle: *handle, digest: if lucky { right() } else { digest(b"wrong") } }
        }
        Output::SendFrame { peer, bytes } if bytes[0] == 3 => {
            let mut header = vec![4];
            header.extend(&bytes[1..5]);
            header.extend(&bytes[13..17]);
            Input::Frame { peer: *peer, header, payload: Some(keep(if lucky { PIECE_BYTES } else { 1 })) }
        }
        Output::Load { hash, piece, len, .. } => {
            Input::Loaded { hash: *hash, piece: *piece, payload: lucky.then(|| keep(*len)) }
        }
        Output::Adopt { asset, .. } if lucky => {
            Input::Adopted { asset: *asset, piece: 0, payload: keep(PIECE_BYTES) }
        }
        Output::Store { hash, segment, .. } => Input::Stored { hash: *hash, segment: *segment },
        Output::SendPiece { peer, transfer, .. } => Input::PieceSent { peer: *peer, transfer: *transfer },
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks(steps in prop::collection::vec((input(), 0u64..3_000, any::<bool>()), 1..150)) {
        let held = vec![HeldSegment { hash: hash_of(1), segment: 0 }, HeldSegment { hash: hash_of(2), segment: 7 }];
        let setup = Setup {
            site: "site".parse().unwrap(),
            release: "r".into(),
            seed: 1,
            unix_ms: 1_800_000_000_000,
            state: None,
            held,
        };
        let mut now = Timestamp::ZERO;
        let mut engine = Engine::new(now, setup);
        engine.handle_input(now, Input::Circumstances(Circumstances::default()));
        let mut next_handle = 0;
        let mut kept: BTreeSet<u32> = BTreeSet::new();
        let mut open: BTreeMap<u32, u32> = BTreeMap::new();
        for (input, after_ms, lucky) in steps {
            now = now + Duration::from_millis(after_ms);
            let mut inputs = vec![input];
            let mut rounds = 0;
            while let Some(input) = inputs.pop() {
                if let Input::Request { id, .. } = &input {
                    if open.contains_key(id) {
                        continue;
                    }
                    open.insert(*id, 0);
                }
                if let Input::Cancel { id, .. } = &input {
                    open.remove(id);
                }
                engine.handle_input(now, input);
                while let Some(output) = engine.poll_output() {
                    match &output {
                        Output::Head { id, .. } => prop_assert!(open.contains_key(id), "a head for nobody"),
                        Output::End { id } | Output::Fallback { id, .. } => {
                            prop_assert!(open.remove(id).is_some(), "answered twice, or nobody");
                        }
                        Output::Release { handle } => prop_assert!(kept.remove(handle), "released twice"),
                        _ => {}
                    }
                    rounds += 1;
                    if rounds < 300 && let Some(answer) = reply(&output, lucky, &mut next_handle) {
                        kept.extend(match &answer {
                            Input::Frame { payload, .. } | Input::Loaded { payload, .. } => payload.map(|p| p.handle),
                            Input::Adopted { payload, .. } => Some(payload.handle),
                            _ => None,
                        });
                        inputs.push(answer);
                    }
                }
                prop_assert!(kept.len() <= 400, "{} payloads are kept", kept.len());
            }
            engine.handle_input(now, Input::Tick);
            while let Some(output) = engine.poll_output() {
                match output {
                    Output::End { id } | Output::Fallback { id, .. } => prop_assert!(open.remove(&id).is_some()),
                    Output::Release { handle } => prop_assert!(kept.remove(&handle)),
                    _ => {}
                }
            }
            prop_assert!(engine.poll_timeout().is_none_or(|due| due > now), "a deadline does not pass");
            prop_assert!(engine.notes().count() <= 256);
        }
        // Sooner or later every request is answered, whatever does not happen.
        for _ in 0..50 {
            now = now + Duration::from_secs(60);
            engine.handle_input(now, Input::Tick);
            while let Some(output) = engine.poll_output() {
                if let Output::End { id } | Output::Fallback { id, .. } = output {
                    prop_assert!(open.remove(&id).is_some());
                }
            }
        }
        prop_assert!(open.is_empty(), "never answered: {open:?}");
    }
}
