//! Values of any type, as JSON, from its format alone.

use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::limits::MAX_ASSETS;
use edgeweave_protocol::{Digest, PeerId};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::formats::{ContainerFormat, Format, Named, Registry, VariantFormat, is_met};

/// JavaScript's numbers are whole up to here.
const MOST: u64 = (1 << 53) - 1;

/// A value of the type `name`; of an enum, the variant of this number, which is taken round.
pub(crate) fn container(
    registry: &Registry,
    name: &str,
    format: &ContainerFormat,
    variant: usize,
    rng: &mut Rng,
) -> Value {
    match (name, format) {
        ("AssetSet", _) => asset_set(rng),
        ("Digest", _) => digest(rng).to_string().into(),
        ("PeerId", _) => PeerId(rng.u64(..)).to_string().into(),
        ("PieceDigests", _) => {
            let digests = (0..rng.usize(..4)).map(|_| digest(rng)).collect();
            serde_json::to_value(PieceDigests(digests)).unwrap_or_default()
        }
        ("Signal", _) => json!({ "sdp": text(rng), "none": null, "list": [1, {}] }),
        ("SiteId", _) => "shop.example".into(),
        (_, ContainerFormat::NewTypeStruct(of)) => value(registry, of, rng),
        (_, ContainerFormat::Struct(fields)) => structure(registry, fields, rng),
        (_, ContainerFormat::Enum(variants)) => {
            let met: Vec<_> = variants.values().filter(|of| is_met(name, &of.name)).collect();
            let Some(Named { name, value: of }) = met.get(variant % met.len()) else {
                return Value::Null;
            };
            let inner = match of {
                VariantFormat::NewType(of) => value(registry, of, rng),
                VariantFormat::Struct(fields) => structure(registry, fields, rng),
                _ => return name.as_str().into(),
            };
            Map::from_iter([(name.clone(), inner)]).into()
        }
        _ => Value::Null,
    }
}

fn structure(registry: &Registry, fields: &[Named<Format>], rng: &mut Rng) -> Value {
    let named =
        |field: &Named<Format>, rng: &mut Rng| (field.name.clone(), value(registry, &field.value, rng));
    fields.iter().map(|field| named(field, rng)).collect::<Map<_, _>>().into()
}

fn value(registry: &Registry, format: &Format, rng: &mut Rng) -> Value {
    match format {
        Format::TypeName(name) => registry
            .get(name)
            .map_or(Value::Null, |format| container(registry, name, format, rng.usize(..1000), rng)),
        Format::Bool => rng.bool().into(),
        Format::U8 => rng.u8(..).into(),
        Format::U16 => rng.u16(..).into(),
        Format::U32 => number(u32::MAX.into(), rng),
        Format::U64 => number(MOST, rng),
        Format::Str => text(rng).into(),
        Format::Option(of) if rng.bool() => value(registry, of, rng),
        Format::Seq(of) => (0..rng.usize(..4)).map(|_| value(registry, of, rng)).collect(),
        Format::TupleArray { content, size } => (0..*size).map(|_| value(registry, content, rng)).collect(),
        _ => Value::Null,
    }
}

/// Small and large ones, up to the largest.
fn number(most: u64, rng: &mut Rng) -> Value {
    (most >> rng.u32(..=most.ilog2())).into()
}

fn text(rng: &mut Rng) -> String {
    let length = [0, 1, 5, 60][rng.usize(..4)];
    (0..length).map(|_| *rng.choice(&['a', '"', '\\', '\n', 'é', '語', '🕸']).unwrap_or(&'b')).collect()
}

fn digest(rng: &mut Rng) -> Digest {
    Digest(std::array::from_fn(|_| rng.u8(..)))
}

fn asset_set(rng: &mut Rng) -> Value {
    let mut end = 0;
    let mut words = Vec::new();
    for _ in 0..rng.usize(..4) {
        let (first, length) = (end + rng.u32(1..MAX_ASSETS / 16), rng.u32(1..300));
        end = first + length;
        words.extend([first, length]);
    }
    words.into()
}
