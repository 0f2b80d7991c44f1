//! Writes the TypeScript types of what peers, nodes and engines say into the folder given as the only argument, and how
//! they pass between an engine and its shell.
//! `cargo xtask types` runs it; it is not a part of xtask so that tasks do not have to compile the engine first.

mod codecs;
mod formats;
mod random;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use edgeweave_engine::{Input, Output, Setup};
use edgeweave_protocol::message::{ToNode, ToPeer};
use edgeweave_protocol::report::Note;
use edgeweave_protocol::{PROTOCOL_VERSION, frame, limits};
use formats::{ContainerFormat, Registry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ts_rs::{Config, TS};

type Error = Box<dyn std::error::Error>;

/// Samples of each variant.
const SAMPLES: usize = 4;

fn main() -> Result<(), Error> {
    let folder = PathBuf::from(env::args_os().nth(1).ok_or("usage: typescript FOLDER")?);
    fs::create_dir_all(&folder)?;
    write_types(&folder)?;
    fs::write(folder.join("limits.ts"), constants())?;
    let registry = formats::registry()?;
    fs::write(folder.join("codecs.ts"), codecs::codecs(&registry)?)?;
    fs::write(folder.join("samples.json"), samples(&registry)?)?;
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
            MAX_TO_NODE_BYTES, MAX_TO_PEER_BYTES, MAX_FIND_ASSETS, MAX_SEEN_URLS, MAX_PAGE_ASSETS, MAX_LIKELY_ASSETS, MAX_TOGETHER, MAX_FRAME_HEADER_BYTES,
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

/// Values of every kind, as JSON and as the bytes that pass between the engine and its shell, by type: the shell's tests
/// hold its codecs against them.
fn samples(registry: &Registry) -> Result<String, Error> {
    let mut text = String::from("{\n");
    add::<Setup>(&mut text, registry, "Setup")?;
    add::<Input>(&mut text, registry, "Input")?;
    add::<Output>(&mut text, registry, "Output")?;
    add::<ToNode>(&mut text, registry, "ToNode")?;
    add::<ToPeer>(&mut text, registry, "ToPeer")?;
    add::<Note>(&mut text, registry, "Note")?;
    text.truncate(text.trim_end_matches(",\n").len());
    Ok(text + "\n}\n")
}

fn add<T: Serialize + DeserializeOwned>(
    text: &mut String,
    registry: &Registry,
    name: &str,
) -> Result<(), Error> {
    let format = registry.get(name).ok_or("a type is missing")?;
    let mut rng = fastrand::Rng::with_seed(1);
    let variants = if let ContainerFormat::Enum(variants) = format { variants.len() } else { 1 };
    writeln!(text, "\"{name}\": [")?;
    for number in 0..variants * SAMPLES {
        let value: T = serde_json::from_value(random::container(registry, name, format, number, &mut rng))?;
        let (json, bytes) = (serde_json::to_string(&value)?, postcard::to_allocvec(&value)?);
        let comma = if number + 1 < variants * SAMPLES { "," } else { "" };
        let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "  [{json}, \"{hexadecimal}\"]{comma}")?;
    }
    text.push_str("],\n");
    Ok(())
}
