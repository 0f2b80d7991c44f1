//! What serde writes of the types that pass between an engine and its shell, in the order in which it writes it.

use std::collections::BTreeMap;

use edgeweave_engine::{Input, Output, Setup};
use edgeweave_protocol::digest::PieceDigests;
use edgeweave_protocol::manifest::{Asset, ManifestDelta};
use edgeweave_protocol::message::{Meeting, ToNode, ToPeer};
use edgeweave_protocol::policy::{Policy, Prefer, Prefetch};
use edgeweave_protocol::report::{Event, Note};
use edgeweave_protocol::{AssetId, AssetSet, Digest, PeerId, Reason, Signal, SiteId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
pub(crate) use serde_reflection::{ContainerFormat, Format, Named, Registry, VariantFormat};
use serde_reflection::{Samples, Tracer, TracerConfig};

use crate::{Error, random};

/// The format of everything that has a name.
pub(crate) fn registry() -> Result<Registry, Error> {
    let mut tracer = Tracer::new(TracerConfig::default().is_human_readable(false));
    let mut samples = Samples::new();
    // These are not valid with what the tracer would make up.
    tracer.trace_value(&mut samples, &"site".parse::<SiteId>()?)?;
    tracer.trace_value(&mut samples, &PeerId(1))?;
    tracer.trace_value(&mut samples, &Digest([1; 32]))?;
    tracer.trace_value(&mut samples, &PieceDigests::default())?;
    tracer.trace_value(&mut samples, &AssetSet::from_iter([AssetId(1)]))?;
    tracer.trace_value(&mut samples, &"{}".parse::<Signal>()?)?;
    // Enums within others have to be traced by themselves, so that every variant is met.
    tracer.trace_type::<Reason>(&samples)?;
    tracer.trace_type::<Event>(&samples)?;
    tracer.trace_type::<Prefer>(&samples)?;
    tracer.trace_type::<Prefetch>(&samples)?;
    tracer.trace_type::<Meeting>(&samples)?;
    tracer.trace_type::<ToNode>(&samples)?;
    tracer.trace_type::<ToPeer>(&samples)?;
    tracer.trace_type::<Setup>(&samples)?;
    tracer.trace_type::<Input>(&samples)?;
    tracer.trace_type::<Output>(&samples)?;
    tracer.trace_type::<Note>(&samples)?;
    Ok(tracer.registry()?)
}

/// Fields of the policy that every node says; one that is older than its clients does not know the others.
const SAID_BY_ALL: [&str; 15] = [
    "enabled",
    "prefer",
    "patience_ms",
    "rescue_patience_ms",
    "max_asset_bytes",
    "cache_bytes",
    "upload_bytes_per_month",
    "upload_bytes_per_second",
    "neighbours",
    "min_crowd",
    "replicate_bytes_per_page",
    "hedge",
    "holdout_percent",
    "supernode",
    "strip_local_candidates",
];

/// What readers of JSON take for a field that is missing, by the names of its struct and its own. Only what a node says
/// is read as JSON by the shell.
pub(crate) fn defaults(registry: &Registry) -> Result<BTreeMap<(String, String), Value>, Error> {
    let mut found = BTreeMap::new();
    probe::<Asset>(registry, "Asset", &mut found)?;
    probe::<ManifestDelta>(registry, "ManifestDelta", &mut found)?;
    probe::<Policy>(registry, "Policy", &mut found)?;
    found.retain(|(of, field), _| of != "Policy" || !SAID_BY_ALL.contains(&field.as_str()));
    Ok(found)
}

/// Finds out by leaving out each field in turn.
fn probe<T: Serialize + DeserializeOwned>(
    registry: &Registry,
    name: &str,
    found: &mut BTreeMap<(String, String), Value>,
) -> Result<(), Error> {
    let format = registry.get(name).ok_or("there is no such type")?;
    let Value::Object(whole) = random::container(registry, name, format, 0, &mut fastrand::Rng::with_seed(0))
    else {
        return Err("not a struct".into());
    };
    for field in whole.keys() {
        let mut lacking = whole.clone();
        lacking.remove(field);
        if let Ok(read) = serde_json::from_value::<T>(lacking.into()) {
            let value = serde_json::to_value(read)?.get(field).cloned().unwrap_or_default();
            found.insert((name.to_owned(), field.clone()), value);
        }
    }
    Ok(())
}

/// Why nodes do not admit what they have fetched: browsers never meet these, and their names weigh.
const NODES_OWN: [Reason; 11] = [
    Reason::Private,
    Reason::NoStore,
    Reason::SetCookie,
    Reason::Varies,
    Reason::Status,
    Reason::OtherOrigin,
    Reason::NotCacheable,
    Reason::OriginUnreachable,
    Reason::PrivateAddress,
    Reason::Redirect,
    Reason::VisitorsDiffer,
];

/// Whether a browser can meet the variant `name` of an enum.
pub(crate) fn is_met(of: &str, name: &str) -> bool {
    of != "Reason" || NODES_OWN.iter().all(|reason| reason.as_str() != name)
}
