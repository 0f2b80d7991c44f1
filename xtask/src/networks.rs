//! The list of networks that the simulator's visitors come from.
//!
//! Which addresses an autonomous system announces, and which country they are registered in, come from two packages on
//! npm; which countries matter, and how many visitors each has, from the simulator's own list. Both packages are named
//! by version, so that the task writes the same list whenever it is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{self, Node};
use crate::step::{Step, run_quietly};
use crate::workspace::Workspace;

/// Prefixes by autonomous system: CC BY 4.0 by RouteViews, DB-IP and the NRO.
const SYSTEMS: Package = Package { name: "asn", version: "2.3.2026061719", table: "asn-ipv4-num.csv" };

/// Prefixes by country: CC0, made from the registries' statistics (CC BY 4.0 by the NRO).
const COUNTRIES: Package = Package {
    name: "geo-whois-asn-country",
    version: "2.3.2026061719",
    table: "geo-whois-asn-country-ipv4-num.csv",
};

/// As many networks are listed, and besides them the largest of each country that has none among them.
const KEPT: usize = 2_000;

/// Nobody looks at web pages from a network with one of these in its name, which is looked at in lower case, as words
/// with one space between, before and after them: hosting and clouds, carriers' carriers, the military.
const WITHOUT_VISITORS: &[&str] = &[
    " 2cloud",
    " akamai",
    " alibaba",
    " amazon",
    " anexia",
    " arelion",
    " army ",
    " byteplus",
    " cdn",
    " choopa",
    " cloud",
    " cogent ",
    " colo ",
    " colocation",
    " cologix",
    " constant company",
    " contabo",
    " coreweave",
    " cyrusone",
    " data center",
    " data centre",
    " data foundry",
    " datacamp",
    " datacent",
    " dedicated",
    " defence",
    " defense",
    " defensie",
    " digital ocean",
    " digitalocean",
    " dod ",
    " egihosting",
    " equinix",
    " eonix",
    " fastly",
    " flexential",
    " gcore",
    " g core",
    " godaddy",
    " google llc",
    " gtt ",
    " hetzner",
    " host ",
    " hosted",
    " hostedserver",
    " hosting",
    " hostinger",
    " hostkey",
    " hostpapa",
    " hostroyale",
    " hostway",
    " huawei",
    " hurricane electric",
    " ibm ",
    " idc ",
    " incapsula",
    " internap",
    " internet exchange",
    " ionos",
    " ipxo",
    " kamatera",
    " larus",
    " leaseweb",
    " level 3",
    " limelight",
    " linode",
    " liquid web",
    " logicweb",
    " m247",
    " microsoft",
    " military",
    " naver",
    " navy",
    " netflix",
    " online sas",
    " oracle",
    " ovh",
    " packethub",
    " peg tech",
    " performive",
    " quadranet",
    " rackspace",
    " reserved",
    " scaleway",
    " server",
    " servers",
    " softlayer",
    " tencent",
    " tierpoint",
    " tzulo",
    " unified layer",
    " usaisc ",
    " verisign",
    " volcano engine",
    " volumedrive",
    " vps",
    " vultr",
    " web werks",
    " webhost",
    " zayo",
    " zenlayer",
    " zscaler",
];

/// Others without visitors of a public site, by number: companies and authorities that hold blocks from the Internet's
/// first years and announce far more addresses than they have people, brokers of addresses, and clouds, data centres
/// and carriers' carriers whose names do not tell.
const WITHOUT_VISITORS_BY_NUMBER: &[u32] = &[
    68, 72, 109, 158, 243, 270, 297, 521, 613, 702, 714, 1239, 1273, 1299, 1761, 1766, 1906, 1958, 2510,
    2571, 2686, 2687, 2688, 2828, 2914, 3300, 3360, 3477, 3491, 3561, 3585, 3810, 4155, 4249, 4637, 4694,
    4983, 5774, 5972, 6253, 6289, 6619, 6762, 7054, 7127, 7671, 7726, 7792, 8011, 8220, 8729, 8883, 8987,
    9123, 9159, 10_361, 10_455, 10_695, 10_794, 10_798, 10_954, 11_003, 11_993, 12_291, 12_824, 12_956,
    13_237, 13_238, 13_445, 13_768, 14_340, 14_962, 15_180, 15_854, 15_967, 16_780, 16_800, 16_839, 17_561,
    18_229, 18_676, 19_373, 19_773, 19_871, 22_284, 22_463, 22_908, 23_005, 23_844, 25_820, 28_753, 29_182,
    29_802, 29_992, 30_058, 30_383, 31_034, 31_399, 32_934, 36_943, 37_153, 37_937, 38_244, 38_365, 38_735,
    38_910, 42_926, 44_559, 45_062, 45_079, 45_815, 46_887, 47_541, 47_764, 49_505, 50_340, 53_667, 55_286,
    55_431, 55_960, 55_992, 58_851, 59_078, 59_371, 63_646, 131_486, 132_335, 132_420, 135_161, 137_718,
    139_341, 139_776, 140_641, 150_436, 152_715, 197_540, 197_695, 198_610, 200_656, 202_468, 203_020,
    203_665, 204_765, 209_502, 216_134, 395_266, 398_781,
];

/// Writes the list.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let data = workspace.root.join("crates/sim/data");
    let users = users(&data.join("countries.csv"))?;
    let node = setup::node(workspace)?;
    let systems = fs::read_to_string(SYSTEMS.fetch(workspace, &node)?)?;
    let countries = fs::read_to_string(COUNTRIES.fetch(workspace, &node)?)?;

    let step = Step::begin("count the networks' addresses");
    let networks = networks(&systems, &countries)?;
    let visited = networks.into_iter().filter(|network| {
        users.contains_key(&network.country) && has_visitors(network.number, &network.name)
    });
    let kept = keep(visited.collect(), &users);
    step.done();

    let mut list = format!(
        "# Networks with visitors, by visitors. Written by `cargo xtask networks`; docs/simulation.md says how.\n\
         # From @ip-location-db/{} {} and @ip-location-db/{} {}.\n\
         # Data: RouteViews (https://www.routeviews.org), DB-IP (IP Geolocation by DB-IP, https://db-ip.com) and\n\
         # the NRO (https://www.nro.net), CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/). Changed:\n\
         # ranges were joined and counted, and networks without visitors left out.\n\
         asn,country,addresses,name\n",
        SYSTEMS.name, SYSTEMS.version, COUNTRIES.name, COUNTRIES.version,
    );
    for network in &kept {
        let Network { number, country, addresses, name } = network;
        writeln!(list, "{number},{country},{addresses},{name}")?;
    }
    let path = data.join("networks.csv");
    fs::write(&path, list).with_context(|| format!("cannot write {}", path.display()))?;
    let served: BTreeSet<&str> = kept.iter().map(|network| network.country.as_str()).collect();
    println!("{}: {} networks in {} countries", workspace.shown(&path), kept.len(), served.len());
    for country in users.keys().filter(|country| !served.contains(country.as_str())) {
        println!("  none in {country}");
    }
    Ok(())
}

/// A package of `ip-location-db`, and the table in it.
struct Package {
    name: &'static str,
    version: &'static str,
    table: &'static str,
}

impl Package {
    /// The table's path. What has been fetched is not fetched again.
    fn fetch(&self, workspace: &Workspace, node: &Node) -> Result<PathBuf> {
        let Self { name, version, table } = self;
        let folder = workspace.kept("networks").join(format!("{name}-{version}"));
        let table = folder.join("package").join(table);
        if table.is_file() {
            return Ok(table);
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let package = format!("@ip-location-db/{name}@{version}");
        let mut pack = node.tool(Path::new("npm"));
        pack.args(["pack", &package, "--pack-destination"]).arg(&folder);
        run_quietly(&format!("fetch {package} from npm"), &mut pack)?;
        let archive = folder.join(format!("ip-location-db-{name}-{version}.tgz"));
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&archive).arg("-C").arg(&folder);
        run_quietly(&format!("unpack {package}"), &mut tar)?;
        Ok(table)
    }
}

/// An autonomous system in the country where most of its addresses are.
struct Network {
    number: u32,
    country: String,
    /// Those in that country.
    addresses: u64,
    name: String,
}

/// Internet users by country, in millions.
fn users(path: &Path) -> Result<BTreeMap<String, f64>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let mut fields = line.split(',');
            let code = fields.next().unwrap_or_default().to_owned();
            let users = fields.nth(4).and_then(|users| users.parse().ok());
            Ok((code, users.with_context(|| format!("{}: cannot read `{line}`", path.display()))?))
        })
        .collect()
}

/// Joins two tables of ranges, of which each is in order of addresses.
fn networks(systems: &str, countries: &str) -> Result<Vec<Network>> {
    let mut names: BTreeMap<u32, &str> = BTreeMap::new();
    let mut counts: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    let mut countries = countries.lines().map(range).peekable();
    for line in systems.lines() {
        let (first, last, rest) = range(line)?;
        let (number, name) = rest.split_once(',').with_context(|| format!("cannot read `{line}`"))?;
        let number = number.parse().with_context(|| format!("cannot read `{line}`"))?;
        names.insert(number, name);
        while let Some(next) = countries.peek() {
            let (from, to, country) = match next {
                Ok(range) => *range,
                Err(error) => anyhow::bail!("{error:#}"),
            };
            if from > last {
                break;
            }
            if to >= first {
                *counts.entry((number, country)).or_default() += to.min(last) - from.max(first) + 1;
            }
            if to > last {
                break;
            }
            countries.next();
        }
    }
    let mut largest: BTreeMap<u32, (&str, u64)> = BTreeMap::new();
    for ((number, country), addresses) in counts {
        let entry = largest.entry(number).or_insert((country, 0));
        if addresses > entry.1 {
            *entry = (country, addresses);
        }
    }
    let network = |(number, (country, addresses)): (u32, (&str, u64))| Network {
        number,
        country: country.to_owned(),
        addresses,
        name: plain(names.get(&number).copied().unwrap_or_default()),
    };
    Ok(largest.into_iter().map(network).collect())
}

/// The first and last address of a line, and what it says of them.
fn range(line: &str) -> Result<(u64, u64, &str)> {
    let mut fields = line.splitn(3, ',');
    let mut number = || fields.next()?.parse().ok();
    let (first, last) = (number(), number());
    first
        .zip(last)
        .zip(fields.next())
        .map(|((first, last), rest)| (first, last, rest))
        .with_context(|| format!("cannot read `{line}`"))
}

/// A name as it was before it was quoted for a table.
fn plain(name: &str) -> String {
    let inner = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    inner.map_or_else(|| name.to_owned(), |inner| inner.replace("\"\"", "\"")).trim().to_owned()
}

fn has_visitors(number: u32, name: &str) -> bool {
    let lower = name.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let spaced = format!(" {} ", words.join(" "));
    !WITHOUT_VISITORS_BY_NUMBER.contains(&number)
        && !WITHOUT_VISITORS.iter().any(|word| spaced.contains(word))
}

/// The networks with most visitors, where the visitors of a country are spread over its networks by addresses.
fn keep(networks: Vec<Network>, users: &BTreeMap<String, f64>) -> Vec<Network> {
    let mut addresses: BTreeMap<String, u64> = BTreeMap::new();
    for network in &networks {
        *addresses.entry(network.country.clone()).or_default() += network.addresses;
    }
    let visitors = |network: &Network| {
        let all = addresses.get(&network.country).copied().unwrap_or(1);
        users.get(&network.country).copied().unwrap_or_default() * network.addresses as f64 / all as f64
    };
    let mut ranked: Vec<(f64, Network)> =
        networks.into_iter().map(|network| (visitors(&network), network)).collect();
    ranked.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.number.cmp(&other.number)));
    let mut seen = BTreeSet::new();
    let kept = ranked.into_iter().enumerate().filter(|(rank, (_, network))| {
        let first_of_country = seen.insert(network.country.clone());
        first_of_country || *rank < KEPT
    });
    kept.map(|(_, (_, network))| network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_count_where_most_of_a_network_is() {
        let systems = "0,99,7,\"One, Inc.\"\n100,199,8,Two\n200,299,7,\"One, Inc.\"";
        let countries = "0,49,AA\n50,249,BB\n250,299,AA";
        let networks = networks(systems, countries).unwrap();
        let told: Vec<_> = networks.iter().map(|n| (n.number, &*n.country, n.addresses, &*n.name)).collect();
        assert_eq!(told, [(7, "AA", 100, "One, Inc."), (8, "BB", 100, "Two")]);
    }

    #[test]
    fn clouds_have_no_visitors_and_providers_have() {
        assert!(!has_visitors(16_509, "Amazon.com, Inc."));
        assert!(!has_visitors(1, "Some Hosting Ltd"));
        assert!(!has_visitors(31_399, "Mercedes-Benz Group AG"));
        assert!(has_visitors(3_320, "Deutsche Telekom AG"));
        assert!(has_visitors(16_591, "Google Fiber Inc."));
    }

    #[test]
    fn every_country_keeps_its_largest() {
        let network = |number, country: &str, addresses| Network {
            number,
            country: country.to_owned(),
            addresses,
            name: String::new(),
        };
        let many = (0..KEPT as u32 + 10).map(|number| network(number, "AA", 100));
        let few = [network(90_001, "BB", 1), network(90_002, "BB", 2)];
        let users = [("AA".to_owned(), 1e6), ("BB".to_owned(), 1e-6)].into();
        let kept = keep(many.chain(few).collect(), &users);
        assert_eq!(kept.len(), KEPT + 1);
        assert_eq!(kept.last().map(|network| network.number), Some(90_002));
    }
}
