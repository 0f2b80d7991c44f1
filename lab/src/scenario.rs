//! What is emulated and who comes: the simulator's scenario, with defaults for a laboratory.

use std::path::Path;

use anyhow::{Context, Result};
use edgeweave_protocol::policy::{Policy, Prefetch};
use edgeweave_sim::{GivenNetwork, NatShares, Scenario, SiteModel};

/// What a request costs a service worker in Chromium on two processors, which the browser, its driver and the network share:
/// 136 pictures took 0.54 s from its cache at the least, and 0.9 s in the way of this client.
const WORKER_MS: f64 = 5.0;

/// The default: a site 120 ms away, a node nearby, and people with good connections behind home routers, who read quickly.
pub(crate) fn default() -> Scenario {
    Scenario {
        // Five browsers at a time, and visits of a minute.
        arrivals_s: 11.0,
        network: Some(network()),
        // Everything that helps a site's first visitors.
        native_peer: true,
        warmed: true,
        // No link of a site in a folder changes anything.
        policy: Policy { prefetch: Prefetch::Moderate, ..Policy::default() },
        site: SiteModel {
            bounce_share: 0.3,
            pages_per_visit: 4.0,
            // With the tail that reading times have, that is 12.8 s in the mean: a quarter of what people take.
            dwell_s: 7.0,
            return_share: 0.4,
            // Two minutes: in a laboratory, a day is short.
            return_days: 120.0 / 86_400.0,
            ..SiteModel::default()
        },
        ..Scenario::default()
    }
}

fn network() -> GivenNetwork {
    let nat = NatShares {
        open: 0.0,
        full_cone: 1.0,
        restricted: 0.0,
        port_restricted: 0.0,
        symmetric: 0.0,
        udp_blocked: 0.0,
    };
    GivenNetwork { nat, worker_ms: WORKER_MS, ..GivenNetwork::default() }
}

/// The scenario of a file, whose keys take the place of the default's.
pub(crate) fn read(path: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no scenario", path.display()))
}

fn parse(text: &str) -> Result<Scenario> {
    // First as it is, for an error with the place in the file.
    Scenario::parse(text)?;
    let mut all: toml::Table = toml::from_str(&default().to_toml()?)?;
    lay_over(&mut all, toml::from_str(text)?);
    Ok(Scenario::parse(&toml::to_string(&all)?)?)
}

/// Puts keys in the place of others; tables are gone into, but for shares, which belong together.
fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if key != "nat" => {
                lay_over(below, above);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_differs_from_the_default() {
        let scenario =
            parse("[network]\norigin_ms = 200\nnat = { symmetric = 1.0 }\n[site]\ndwell_s = 9.0").unwrap();
        let network = scenario.network.unwrap();
        assert_eq!((network.origin_ms, network.node_ms), (200.0, 30.0));
        assert_eq!((network.nat.symmetric, network.nat.full_cone), (1.0, 0.0));
        assert_eq!((scenario.site.dwell_s, scenario.site.pages_per_visit), (9.0, 4.0));
        assert_eq!(parse("").unwrap(), default());
        assert!(parse("[network]\nnowhere = 1").is_err());
    }
}
