//! Writes the TypeScript types of what peers, nodes and engines say into the folder given as the only argument.
//! `cargo xtask types` runs it; it is not a part of xtask so that tasks do not have to compile the engine first.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{env, fmt, fs};

use edgeweave_engine::io::{Circumstances, Input, Output, Payload, Setup, Shelf, ShelfAsset, Stats};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::{Asset, ManifestDelta, ManifestVersion, Renewal};
use edgeweave_protocol::message::{Meeting, ToNode, ToPeer};
use edgeweave_protocol::policy::Policy;
use edgeweave_protocol::report::{Event, Note, Report, Traffic};
use edgeweave_protocol::{
    AssetId, AssetSet, Digest, PROTOCOL_VERSION, PeerId, Reason, SiteId, frame, limits,
};
use serde::Serialize;
use serde_json::value::RawValue;
use ts_rs::{Config, TS};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: typescript FOLDER")?);
    fs::create_dir_all(&folder)?;
    write_types(&folder)?;
    fs::write(folder.join("limits.ts"), constants())?;
    fs::write(folder.join("samples.ts"), samples()?)?;
    Ok(())
}

/// One file a type, with everything that these refer to.
fn write_types(folder: &Path) -> Result<(), Error> {
    let config = Config::new().with_out_dir(folder).with_large_int("number");
    ToNode::export_all(&config)?;
    ToPeer::export_all(&config)?;
    Setup::export_all(&config)?;
    Input::export_all(&config)?;
    Output::export_all(&config)?;
    Ok(())
}

/// The constants that both sides keep to.
fn constants() -> String {
    let mut text = String::from(
        "// Written by `cargo xtask types` from crates/protocol, which says what each one means.\n",
    );
    let mut add = |name: &str, value: u64| text.push_str(&format!("export const {name} = {value};\n"));
    macro_rules! add {
        ($($from:ident::{$($name:ident),+ $(,)?});+ $(;)?) => { $($(add(stringify!($name), u64::from_number($from::$name));)+)+ };
    }
    add("PROTOCOL_VERSION", u64::from(PROTOCOL_VERSION));
    add! {
        frame::{PIECE_HEADER_BYTES};
        limits::{
            PIECE_BYTES, SEGMENT_PIECES, MAX_ASSET_BYTES, MAX_ASSETS, MAX_ADMITTED, MAX_URL_BYTES, MAX_HEADER_BYTES,
            MAX_TO_NODE_BYTES, MAX_TO_PEER_BYTES, MAX_FIND_ASSETS, MAX_SEEN_URLS, MAX_FRAME_HEADER_BYTES,
            MAX_ASK_PIECES, MAX_OPEN_ASKS, MAX_REPORT_BYTES, MESSAGE_BURST, MESSAGES_PER_SECOND,
        };
    }
    text
}

/// Numbers of any width, as one.
trait FromNumber<T> {
    fn from_number(number: T) -> Self;
}

impl FromNumber<u32> for u64 {
    fn from_number(number: u32) -> Self {
        Self::from(number)
    }
}

impl FromNumber<u64> for u64 {
    fn from_number(number: u64) -> Self {
        number
    }
}

impl FromNumber<usize> for u64 {
    fn from_number(number: usize) -> Self {
        number as Self
    }
}

/// Values as they really are on the wire, typed: where a type says something else than the serialiser does, the
/// client's type check fails.
fn samples() -> Result<String, Error> {
    let mut text = String::from(
        "// Written by `cargo xtask types`: values as the engine and the node write them. Nothing uses this file; the\n\
         // type checker compares it with the types beside it.\n",
    );
    for name in ["Input", "Output", "Policy", "Reason", "Setup", "ToNode", "ToPeer"] {
        text.push_str(&format!("import type {{ {name} }} from \"./{name}\";\n"));
    }
    add(&mut text, "reasons", "Reason", Reason::ALL)?;
    add(&mut text, "policies", "Policy", &[Policy::default()])?;
    add(&mut text, "setups", "Setup", &[setup()])?;
    add(&mut text, "toNode", "ToNode", &to_node()?)?;
    add(&mut text, "toPeer", "ToPeer", &to_peer()?)?;
    add(&mut text, "inputs", "Input", &inputs())?;
    add(&mut text, "outputs", "Output", &outputs())?;
    Ok(text)
}

fn add<T: Serialize>(text: &mut String, name: &str, kind: &str, values: &[T]) -> Result<(), Error> {
    use fmt::Write;
    writeln!(text, "\nexport const {name} = [")?;
    for value in values {
        writeln!(text, "  {},", serde_json::to_string(value)?)?;
    }
    writeln!(text, "] satisfies {kind}[];")?;
    Ok(())
}

const PEER: PeerId = PeerId(0xff);
const DIGEST: Digest = Digest([7; 32]);
const ASSET: AssetId = AssetId(3);

fn site() -> SiteId {
    match "demo".parse() {
        Ok(site) => site,
        Err(_) => unreachable!("it is a valid name"),
    }
}

fn headers() -> Vec<(Box<str>, Box<str>)> {
    vec![("content-type".into(), "image/avif".into())]
}

fn setup() -> Setup {
    Setup { site: site(), release: "r".into(), seed: 1, unix_ms: 2, state: None, held: Vec::new() }
}

fn to_node() -> Result<Vec<ToNode>, Error> {
    let hello = |manifest| ToNode::Hello {
        protocol: PROTOCOL_VERSION,
        site: site(),
        release: "r".into(),
        visitor: 1,
        manifest,
        connects: true,
        shares: false,
    };
    Ok(vec![
        hello(None),
        hello(Some(ManifestVersion { epoch: 1, number: 2 })),
        ToNode::Holdings { add: AssetSet::from_iter([ASSET]), remove: AssetSet::from_iter([AssetId(9)]) },
        ToNode::Find { assets: vec![ASSET] },
        ToNode::Signal { to: PEER, signal: RawValue::from_string("{\"sdp\":\"v=0\"}".into())? },
        ToNode::Met { peer: PEER, outcome: Meeting::Opened(28) },
        ToNode::Met { peer: PEER, outcome: Meeting::Failed(Reason::ConnectTimeout) },
        ToNode::Parted { peer: PEER, bytes: 1, busy_ms: 2, fault: None },
        ToNode::Parted { peer: PEER, bytes: 1, busy_ms: 2, fault: Some(Reason::WrongPiece) },
        ToNode::Seen { urls: vec!["https://site/".into()] },
        ToNode::Differs { assets: vec![ASSET] },
        ToNode::Pieces { asset: ASSET },
    ])
}

fn to_peer() -> Result<Vec<ToPeer>, Error> {
    let asset = |pieces| Asset {
        id: ASSET,
        url: "https://site/a".into(),
        hash: DIGEST,
        size: 1,
        fresh_ms: 2,
        headers: headers(),
        pieces,
    };
    Ok(vec![
        ToPeer::Welcome {
            protocol: PROTOCOL_VERSION,
            peer: PEER,
            stun: vec!["stun:127.0.0.1:3478".into()],
            policy: Policy::default(),
            crowd: 2,
        },
        ToPeer::Manifest(ManifestDelta::default()),
        ToPeer::Manifest(ManifestDelta {
            version: ManifestVersion { epoch: 1, number: 2 },
            reset: true,
            more: true,
            add: vec![asset(None), asset(Some(PieceDigests(vec![DIGEST])))],
            renew: vec![Renewal { id: ASSET, fresh_ms: 1 }],
            remove: vec![ASSET],
        }),
        ToPeer::Pieces { asset: ASSET, pieces: PieceDigests(vec![DIGEST]) },
        ToPeer::Introduce { peer: PEER, offers: true, holds: AssetSet::from_iter([ASSET]) },
        ToPeer::NoHolder { assets: vec![ASSET] },
        ToPeer::Signal { from: PEER, signal: Cow::Owned(RawValue::from_string("{\"sdp\":\"v=0\"}".into())?) },
        ToPeer::Gone { peer: PEER },
        ToPeer::Policy { policy: Policy::default() },
        ToPeer::Error { reason: Reason::Malformed, about: "hello".into() },
    ])
}

fn inputs() -> Vec<Input> {
    vec![
        Input::Tick,
        Input::Circumstances(Circumstances { off: None, alone: Some(Reason::NoWebRtc), selfish: None }),
        Input::SocketText { text: "{}".into() },
        Input::Request { id: 1, url: "https://site/a".into(), range: None, rescue: false },
        Input::Cancel { id: 1, reason: None },
        Input::Frame { peer: PEER, header: vec![1, 2], payload: Some(Payload { handle: 1, len: 2 }) },
        Input::Frame { peer: PEER, header: vec![1, 2], payload: None },
        Input::Hashed { handle: 1, digest: DIGEST },
        Input::Note { event: Event::Error, reason: None, about: "".into(), bytes: 0 },
    ]
}

fn outputs() -> Vec<Output> {
    let shelf = ShelfAsset {
        url: "https://site/a".into(),
        hash: DIGEST,
        size: 1,
        fresh_until_ms: 2,
        headers: headers(),
    };
    let note = Note { at_ms: 1, event: Event::Served, reason: None, peer: None, about: "".into(), bytes: 0 };
    let whole_note =
        Note { reason: Some(Reason::Stalled), peer: Some(PEER), about: "a".into(), bytes: 1, ..note.clone() };
    let report = Report {
        site: site(),
        release: "r".into(),
        notes: vec![note, whole_note],
        traffic: Traffic::default(),
    };
    vec![
        Output::Connect,
        Output::OpenPeer { peer: PEER, offers: true, stun: Vec::new(), strip_local: false },
        Output::SendFrame { peer: PEER, bytes: vec![1, 2] },
        Output::Hash { handle: 1 },
        Output::Head {
            id: 1,
            status: 206,
            headers: headers(),
            first: 0,
            end: 1,
            size: 1,
            pieces: PieceDigests(vec![DIGEST]),
        },
        Output::Fallback { id: 1, reason: Reason::NotAdmitted, delivered: 0 },
        Output::Adopt { asset: ASSET, url: "https://site/a".into(), size: 1 },
        Output::Store { hash: DIGEST, segment: 0, handles: vec![1] },
        Output::Shelf(Shelf { held: vec![shelf], ..Shelf::default() }),
        Output::Stats(Stats::default()),
        Output::Stats(Stats { off: Some(Reason::SaveData), ..Stats::default() }),
        Output::Report(report),
    ]
}
