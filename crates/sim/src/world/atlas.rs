//! The lists of countries and networks, and the choice among them.

use std::collections::BTreeMap;

use crate::world::access::Usual;

/// Kept by hand.
const COUNTRIES: &str = include_str!("../../data/countries.csv");

/// Written by `cargo xtask networks`.
const NETWORKS: &str = include_str!("../../data/networks.csv");

/// An autonomous system whose users look at web pages.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Network {
    pub(crate) asn: u32,
    pub(crate) name: &'static str,
    /// The place of its country.
    pub(crate) country: usize,
    /// Its share of all visitors.
    pub(crate) weight: f64,
}

/// A country.
#[derive(Clone, Debug)]
pub(crate) struct Country {
    /// Of ISO 3166.
    pub(crate) code: [u8; 2],
    pub(crate) name: &'static str,
    /// Of where its people are, rather than its land.
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) utc_offset_minutes: i32,
    /// Its share of all visitors.
    pub(crate) weight: f64,
    pub(crate) area_km2: f64,
    pub(crate) usual: Usual,
}

/// A world that cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    /// More than are listed.
    #[error("{asked} countries were asked for, and 1 to {listed} are possible")]
    Countries {
        /// How many were asked for.
        asked: usize,
        /// How many there are.
        listed: usize,
    },
    /// More than are listed, or fewer than there are countries.
    #[error("{asked} networks were asked for, and {least} to {listed} are possible in {countries} countries")]
    Networks {
        /// How many were asked for.
        asked: usize,
        /// One for each country.
        least: usize,
        /// How many there are in the countries.
        listed: usize,
        /// How many countries were asked for.
        countries: usize,
    },
    /// One of the lists is damaged.
    #[error("{list}: cannot read the line `{line}`")]
    Unreadable {
        /// The file.
        list: &'static str,
        /// The line.
        line: &'static str,
    },
}

/// A network as it is listed.
struct Listed {
    asn: u32,
    country: &'static str,
    addresses: f64,
    name: &'static str,
}

/// The countries with most internet users, and their networks with most visitors: first the largest of each country,
/// and then whichever are largest.
pub(crate) fn choose(networks: usize, countries: usize) -> Result<(Vec<Network>, Vec<Country>), WorldError> {
    let listed = listed_networks()?;
    let mut chosen = listed_countries()?;
    chosen.retain(|country| listed.iter().any(|network| network.country.as_bytes() == country.code));
    if countries == 0 || countries > chosen.len() {
        return Err(WorldError::Countries { asked: countries, listed: chosen.len() });
    }
    // The sort is stable: countries with as many users keep the list's order.
    chosen.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    chosen.truncate(countries);
    let places: BTreeMap<[u8; 2], usize> =
        chosen.iter().enumerate().map(|(place, country)| (country.code, place)).collect();
    let users: f64 = chosen.iter().map(|country| country.weight).sum();
    chosen.iter_mut().for_each(|country| country.weight /= users);

    let place_of = |network: &Listed| places.get(network.country.as_bytes()).copied();
    let mut inside: Vec<(usize, Listed)> =
        listed.into_iter().filter_map(|network| Some((place_of(&network)?, network))).collect();
    if networks < countries || networks > inside.len() {
        let listed = inside.len();
        return Err(WorldError::Networks { asked: networks, least: countries, listed, countries });
    }
    let mut addresses = vec![0.0; countries];
    inside.iter().for_each(|(place, network)| addresses[*place] += network.addresses);
    let visitors =
        |place: usize, network: &Listed| chosen[place].weight * network.addresses / addresses[place];
    inside.sort_by(|(a, one), (b, other)| {
        visitors(*b, other).total_cmp(&visitors(*a, one)).then(one.asn.cmp(&other.asn))
    });
    let mut served = vec![false; countries];
    let (first, others): (Vec<_>, Vec<_>) =
        inside.into_iter().partition(|(place, _)| !std::mem::replace(&mut served[*place], true));
    let taken: Vec<(usize, Listed)> = first.into_iter().chain(others).take(networks).collect();

    // Whoever is in a network that was left out is in another of the country.
    let mut addresses = vec![0.0; countries];
    taken.iter().for_each(|(place, network)| addresses[*place] += network.addresses);
    let mut taken: Vec<Network> = taken
        .into_iter()
        .map(|(place, network)| Network {
            asn: network.asn,
            name: network.name,
            country: place,
            weight: chosen[place].weight * network.addresses / addresses[place],
        })
        .collect();
    taken.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.asn.cmp(&b.asn)));
    Ok((taken, chosen))
}

/// A place that is on no map, for networks that are given instead of chosen: `ZZ` is nobody's code.
pub(crate) fn nowhere() -> (Country, Network) {
    let country = Country {
        code: *b"ZZ",
        name: "given",
        latitude: 0.0,
        longitude: 0.0,
        utc_offset_minutes: 0,
        weight: 1.0,
        area_km2: 0.0,
        usual: Usual { fixed_mbps: 0.0, mobile_mbps: 0.0 },
    };
    (country, Network { asn: 0, name: "given", country: 0, weight: 1.0 })
}

/// The lines of a list, without remarks and heading.
fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#')).skip(1)
}

fn listed_networks() -> Result<Vec<Listed>, WorldError> {
    let read = |line: &'static str| {
        let mut fields = line.splitn(4, ',');
        let asn = fields.next()?.parse().ok()?;
        let country = fields.next()?;
        let addresses = fields.next()?.parse().ok().filter(|addresses| *addresses > 0.0)?;
        Some(Listed { asn, country, addresses, name: fields.next()? })
    };
    let unreadable = |line| WorldError::Unreadable { list: "networks.csv", line };
    lines(NETWORKS).map(|line| read(line).ok_or_else(|| unreadable(line))).collect()
}

/// The weight of each is still its internet users, in millions.
fn listed_countries() -> Result<Vec<Country>, WorldError> {
    let read = |line: &'static str| {
        let mut fields = line.split(',');
        let code = fields.next()?.as_bytes().try_into().ok()?;
        let name = fields.next()?;
        let numbers: Vec<f64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
        let [latitude, longitude, offset, users, fixed_mbps, mobile_mbps, area] = numbers.try_into().ok()?;
        Some(Country {
            code,
            name,
            latitude,
            longitude,
            utc_offset_minutes: offset as i32,
            weight: users,
            area_km2: area * 1_000.0,
            usual: Usual { fixed_mbps, mobile_mbps },
        })
    };
    let unreadable = |line| WorldError::Unreadable { list: "countries.csv", line };
    lines(COUNTRIES).map(|line| read(line).ok_or_else(|| unreadable(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sound() {
        let countries = listed_countries().unwrap();
        let networks = listed_networks().unwrap();
        assert!(countries.len() >= 100 && networks.len() >= 2_000);
        for country in &countries {
            assert!(country.latitude.abs() < 70.0 && country.longitude.abs() <= 180.0, "{}", country.name);
            // Clocks do not stray far from the sun.
            let sun = country.longitude * 4.0;
            assert!((f64::from(country.utc_offset_minutes) - sun).abs() < 190.0, "{}", country.name);
            let usual = country.usual;
            assert!(
                (1.0..1_000.0).contains(&usual.fixed_mbps) && (1.0..1_000.0).contains(&usual.mobile_mbps)
            );
            let has_network = networks.iter().any(|network| network.country.as_bytes() == country.code);
            assert!(has_network, "{}", country.name);
        }
        let mut codes: Vec<[u8; 2]> = countries.iter().map(|country| country.code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), countries.len());
        let users: f64 = countries.iter().map(|country| country.weight).sum();
        assert!((5_000.0..5_700.0).contains(&users), "{users} million");
    }
}
