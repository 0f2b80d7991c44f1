//! A configuration in the making: defaults, over them the file, over them flags; then checked whole.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;

use edgeweave_coordinator::AdmissionRules;
use edgeweave_protocol::SiteId;
use edgeweave_protocol::limits::MAX_ASSET_BYTES;
use edgeweave_protocol::policy::{Policy, Prefer, Prefetch};
use ipnet::IpNet;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Mistakes};
use super::supernode::SupernodeDraft;
use super::table::{Read, Table, list, number, parsed, socket, text, yes_or_no};
use super::{Config, Reach, Service, SiteConfig, Stun};
use crate::web_origin::WebOrigin;

/// The name of a proxied site, when it is not given one.
const SITE: &str = "default";
/// A bearer token shorter than this can be guessed.
const TOKEN_BYTES: usize = 16;

/// What is asked for; its keys are documented in [`super::DEFAULTS`].
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the file of defaults says what each key means")]
pub struct Draft {
    pub listen: SocketAddr,
    pub admin_listen: Option<SocketAddr>,
    pub stun: Stun,
    pub base_url: Option<WebOrigin>,
    pub origin: Option<WebOrigin>,
    pub public_origins: Vec<WebOrigin>,
    pub site: Option<SiteId>,
    pub api_token: Option<Box<str>>,
    pub trusted_proxies: Vec<IpNet>,
    pub allow_private_addresses: Option<bool>,
    pub geo_asn: Option<PathBuf>,
    pub geo_country: Option<PathBuf>,
    pub max_sessions: usize,
    pub max_connections: usize,
    pub supernode: SupernodeDraft,
    pub admission: AdmissionRules,
    pub policy: Policy,
    pub sites: Vec<SiteDraft>,
}

/// A site whose pages have the snippet.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the file of defaults says what each key means")]
pub struct SiteDraft {
    pub id: SiteId,
    pub origins: Vec<WebOrigin>,
    pub policy: Policy,
    pub admission: AdmissionRules,
    /// Where the file says so.
    pub at: Range<usize>,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            listen: Config::LISTEN,
            admin_listen: None,
            stun: Stun::AsListen,
            base_url: None,
            origin: None,
            public_origins: Vec::new(),
            site: SITE.parse().ok(),
            api_token: None,
            trusted_proxies: Vec::new(),
            allow_private_addresses: None,
            geo_asn: None,
            geo_country: None,
            max_sessions: Config::MAX_SESSIONS,
            max_connections: Config::MAX_CONNECTIONS,
            supernode: SupernodeDraft::default(),
            admission: AdmissionRules::default(),
            policy: Policy::default(),
            sites: Vec::new(),
        }
    }
}

impl Draft {
    /// Reads a file; every mistake in it is told.
    pub fn read(file: &str) -> Result<Self, Mistakes> {
        let (root, errors) = DeTable::parse_recoverable(file);
        if !errors.is_empty() {
            let mistakes = errors.iter().map(|error| {
                let mistake = Mistake::new("", error.message());
                match error.span() {
                    Some(at) => mistake.at(at),
                    None => mistake,
                }
            });
            return Err(Mistakes(mistakes.collect()));
        }
        let mistakes = RefCell::default();
        let mut draft = Self::default();
        let mut table = Table::root(&root, &mistakes);
        draft.read_root(&mut table);
        table.end();
        let mut mistakes = mistakes.into_inner();
        mistakes.sort_by_key(|mistake| mistake.at.as_ref().map(|at| at.start));
        if mistakes.is_empty() { Ok(draft) } else { Err(Mistakes(mistakes)) }
    }

    fn read_root(&mut self, table: &mut Table<'_, '_>) {
        table.set("listen", &mut self.listen, socket);
        table.set_some("admin_listen", &mut self.admin_listen, socket);
        table.set("stun", &mut self.stun, stun);
        table.set_some("base_url", &mut self.base_url, parsed);
        table.set_some("origin", &mut self.origin, parsed);
        table.set("public_origins", &mut self.public_origins, list(parsed));
        table.set_some("site", &mut self.site, parsed);
        table.set_some("api_token", &mut self.api_token, token);
        table.set("trusted_proxies", &mut self.trusted_proxies, list(network));
        table.set_some("allow_private_addresses", &mut self.allow_private_addresses, yes_or_no);
        table.set_some("geo_asn", &mut self.geo_asn, path);
        table.set_some("geo_country", &mut self.geo_country, path);
        table.table("limits", |limits| {
            limits.set("sessions", &mut self.max_sessions, number(1, u64::from(u32::MAX)));
            limits.set("connections", &mut self.max_connections, number(1, u64::from(u32::MAX >> 4)));
        });
        table.table("supernode", |supernode| self.supernode.read(supernode));
        table.table("admission", |admission| read_admission(admission, &mut self.admission));
        table.table("policy", |policy| read_policy(policy, &mut self.policy));
        let (policy, admission) = (self.policy.clone(), self.admission.clone());
        table.tables("sites", |site| {
            let (mut policy, mut admission) = (policy.clone(), admission.clone());
            let id = site.need("id", parsed::<SiteId>);
            let origins = site.need("origins", list(parsed::<WebOrigin>));
            site.table("policy", |table| read_policy(table, &mut policy));
            site.table("admission", |table| read_admission(table, &mut admission));
            if let (Some((id, at)), Some((origins, _))) = (&id, origins) {
                self.sites.push(SiteDraft { id: id.clone(), origins, policy, admission, at: at.clone() });
            }
        });
    }

    /// Checks what only shows when everything is said.
    pub fn finish(self) -> Result<Config, Mistakes> {
        let mut mistakes = Vec::new();
        let mut sites = Vec::new();
        if let (Some(upstream), Some(id)) = (self.origin, self.site) {
            let service = Service::Proxy { upstream, public: self.public_origins };
            sites.push((SiteConfig { id, service, policy: self.policy, admission: self.admission }, None));
        } else if !self.public_origins.is_empty() {
            let what = "these say where visitors find the site of `origin`, but there is no `origin`";
            mistakes.push(Mistake::new("public_origins", what).way_out("give --origin URL"));
        }
        for site in self.sites {
            let SiteDraft { id, origins, policy, admission, at } = site;
            if origins.is_empty() {
                let what = format!("the site `{id}` has no origin");
                mistakes.push(Mistake::new("sites.origins", what).at(at.clone()));
            }
            let service = Service::Snippet { origins };
            sites.push((SiteConfig { id, service, policy, admission }, Some(at)));
        }
        mistakes.extend(contradictions(&sites));
        if sites.is_empty() && mistakes.is_empty() {
            let way_out = "give --origin URL to be a site's reverse proxy, or --config FILE with [[sites]]";
            mistakes.push(Mistake::new("", "there is no site to serve").way_out(way_out));
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        Ok(Config {
            listen: self.listen,
            admin_listen: self.admin_listen,
            stun: self.stun,
            base_url: self.base_url,
            sites: sites.into_iter().map(|(site, _)| site).collect(),
            api_token: self.api_token,
            trusted_proxies: self.trusted_proxies,
            fetch_reach: self
                .allow_private_addresses
                .map(|allow| if allow { Reach::Private } else { Reach::Public }),
            geo_asn: self.geo_asn,
            geo_country: self.geo_country,
            max_sessions: self.max_sessions,
            max_connections: self.max_connections,
            supernode: self.supernode.finish(),
        })
    }
}

/// Two sites of one name, or of one origin.
fn contradictions(sites: &[(SiteConfig, Option<Range<usize>>)]) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for (index, (site, at)) in sites.iter().enumerate() {
        for (other, _) in &sites[..index] {
            let what = if site.id == other.id {
                format!("there are two sites `{}`", site.id)
            } else if let Some(origin) = site.origins().iter().find(|origin| other.origins().contains(origin))
            {
                format!("{origin} belongs to the sites `{}` and `{}`", other.id, site.id)
            } else {
                continue;
            };
            let mistake = Mistake::new("sites", what);
            mistakes.push(match at {
                Some(at) => mistake.at(at.clone()),
                None => mistake,
            });
        }
    }
    mistakes
}

fn read_admission(table: &mut Table<'_, '_>, rules: &mut AdmissionRules) {
    let any = u64::from(u32::MAX);
    table.set("sightings", &mut rules.sightings, number(1, any));
    table.set("heuristic_freshness_s", &mut rules.heuristic_freshness_s, number(0, any));
    table.set("missing_freshness_s", &mut rules.missing_freshness_s, number(0, any));
    table.set("missing_after_s", &mut rules.missing_after_s, number(0, any));
    table.set("stale_if_error_s", &mut rules.stale_if_error_s, number(0, any));
}

fn read_policy(table: &mut Table<'_, '_>, policy: &mut Policy) {
    let any = u64::from(u32::MAX);
    // TOML has no larger whole numbers.
    let any_bytes = i64::MAX as u64;
    table.set("enabled", &mut policy.enabled, yes_or_no);
    table.set("prefer", &mut policy.prefer, |value| prefer(text(value)?));
    table.set("patience_ms", &mut policy.patience_ms, number(0, any));
    table.set("rescue_patience_ms", &mut policy.rescue_patience_ms, number(0, any));
    table.set("max_asset_bytes", &mut policy.max_asset_bytes, number(0, MAX_ASSET_BYTES));
    table.set("cache_bytes", &mut policy.cache_bytes, number(0, any_bytes));
    table.set("upload_bytes_per_month", &mut policy.upload_bytes_per_month, number(0, any_bytes));
    table.set("upload_bytes_per_second", &mut policy.upload_bytes_per_second, number(0, any_bytes));
    table.set("neighbours", &mut policy.neighbours, number(0, any));
    table.set("min_crowd", &mut policy.min_crowd, number(0, any));
    table.set("replicate_bytes_per_page", &mut policy.replicate_bytes_per_page, number(0, any_bytes));
    table.set("prefetch", &mut policy.prefetch, |value| prefetch(text(value)?));
    table.set("hedge", &mut policy.hedge, yes_or_no);
    table.set("holdout_percent", &mut policy.holdout_percent, number(0, 50));
    table.set("strip_local_candidates", &mut policy.strip_local_candidates, yes_or_no);
}

/// `speed` or `offload`.
pub fn prefer(text: &str) -> Result<Prefer, String> {
    match text {
        "speed" => Ok(Prefer::Speed),
        "offload" => Ok(Prefer::Offload),
        _ => Err("neither \"speed\" nor \"offload\"".into()),
    }
}

/// `off`, `conservative` or `moderate`.
fn prefetch(text: &str) -> Result<Prefetch, String> {
    match text {
        "off" => Ok(Prefetch::Off),
        "conservative" => Ok(Prefetch::Conservative),
        "moderate" => Ok(Prefetch::Moderate),
        _ => Err("none of \"off\", \"conservative\" and \"moderate\"".into()),
    }
}

fn stun(value: &DeValue<'_>) -> Read<Stun> {
    match text(value)? {
        "listen" => Ok(Stun::AsListen),
        "off" => Ok(Stun::Off),
        address => match address.parse() {
            Ok(address) => Ok(Stun::At(address)),
            Err(_) => {
                Err("neither \"listen\" nor \"off\" nor an address and port such as \"0.0.0.0:3478\"".into())
            }
        },
    }
}

fn token(value: &DeValue<'_>) -> Read<Box<str>> {
    api_token(text(value)?)
}

/// A token that is long enough, and can stand in a header.
pub fn api_token(text: &str) -> Result<Box<str>, String> {
    let fits = text.len() >= TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.into()).ok_or_else(|| format!("not at least {TOKEN_BYTES} visible ASCII characters"))
}

pub(super) fn path(value: &DeValue<'_>) -> Read<PathBuf> {
    text(value).map(PathBuf::from)
}

fn network(value: &DeValue<'_>) -> Read<IpNet> {
    parse_network(text(value)?)
}

/// An address, or a prefix such as `10.0.0.0/8`.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from).ok();
    text.parse()
        .ok()
        .or_else(address)
        .ok_or_else(|| format!("`{text}` is neither an address nor a prefix such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_defaults_says_the_defaults() {
        let read = Draft::read(super::super::DEFAULTS).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", Draft::default()));
    }

    #[test]
    fn the_file_of_defaults_has_every_key() {
        // Uncommented, everything in it is a known key.
        let all: String = super::super::DEFAULTS
            .lines()
            .filter_map(|line| match line.strip_prefix("# ") {
                Some(key) if key.contains(" = ") || key.starts_with("[[") => Some(key),
                Some(_) => None,
                None => Some(line),
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        let all = all.replace('…', "0123456789abcdef");
        let read = Draft::read(&all).unwrap();
        assert_eq!(read.sites.len(), 1);
        let policy = serde_json::to_value(&read.policy).unwrap();
        // What the node says of itself is no choice of a site's.
        for key in policy.as_object().unwrap().keys().filter(|key| *key != "supernode") {
            assert!(all.contains(&format!("\n{key} = ")), "{key}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_its_place_and_the_way_out() {
        let file = r#"
listen = "8080"
lisen = "127.0.0.1:80"
origin = "ftp://example.com"
stun = 3478
trusted_proxies = ["10.0.0.0/8", "nobody"]
api_token = "short"

[policy]
prefer = "fast"
patience_ms = -1
cache = 1

[limits]
sessions = 0

[supernode]
enabled = 1
folder = ""
disk_byte = 1
disk_bytes = 0

[[sites]]
id = "The Shop"
origins = "https://shop.example.com"

[[sites]]
id = "shop"

[sights]
"#;
        let Mistakes(mistakes) = Draft::read(file).unwrap_err();
        let shown: Vec<String> = mistakes
            .iter()
            .map(|mistake| {
                let at = mistake.at.clone().unwrap();
                let line = file[..at.start].matches('\n').count() + 1;
                let way_out =
                    mistake.way_out.as_deref().map(|way_out| format!(" ({way_out})")).unwrap_or_default();
                format!("line {line}, {:?}: {mistake}{way_out}", &file[at])
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_where() {
        let Mistakes(mistakes) = Draft::read("listen = \n[policy\n").unwrap_err();
        assert!(mistakes.iter().all(|mistake| mistake.at.is_some()) && !mistakes.is_empty());
    }

    #[test]
    fn sites_do_not_contradict_each_other() {
        let file = r#"
[[sites]]
id = "a"
origins = ["https://a.example"]
[[sites]]
id = "a"
origins = ["https://b.example"]
[[sites]]
id = "c"
origins = ["https://B.example:443/"]
[[sites]]
id = "d"
origins = []
"#;
        let Mistakes(mistakes) = Draft::read(file).unwrap().finish().unwrap_err();
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "sites.origins: the site `d` has no origin",
                "sites: there are two sites `a`",
                "sites: https://b.example belongs to the sites `a` and `c`",
            ]
        );
        assert_eq!(Draft::default().finish().unwrap_err().to_string(), "there is no site to serve");
    }

    #[test]
    fn a_site_can_differ_from_the_others() {
        let file = r#"
[policy]
neighbours = 4
[[sites]]
id = "a"
origins = ["https://a.example"]
[[sites]]
id = "b"
origins = ["https://b.example"]
policy.min_crowd = 10
"#;
        let config = Draft::read(file).unwrap().finish().unwrap();
        let policies: Vec<_> =
            config.sites.iter().map(|site| (site.policy.neighbours, site.policy.min_crowd)).collect();
        assert_eq!(policies, [(4, 2), (4, 10)]);
    }
}
