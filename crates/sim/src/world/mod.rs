//! The model of the world: networks and countries, how far apart they are, who lives there, what the site is, and how
//! people come to it. Nothing here has a state or a clock: everything is drawn from a seed.
//!
//! Each number is from somewhere; `docs/simulation.md` says where.

pub(crate) mod access;
mod atlas;
pub(crate) mod given;
pub(crate) mod given_site;
mod nat;
pub(crate) mod person;
pub(crate) mod site;
mod site_model;
pub(crate) mod visits;

use crate::dice::{Dice, Weighted};
pub(crate) use access::Access;
pub(crate) use atlas::{Country, Network, WorldError};
pub(crate) use given::Given;
pub use nat::Nat;
pub(crate) use person::Person;

/// Networks, and the countries that they are in.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// By weight, the largest first.
    pub(crate) networks: Vec<Network>,
    /// By internet users, most first.
    pub(crate) countries: Vec<Country>,
    by_visitors: Weighted,
    /// Round trips between any two countries, in rows; those within a country are between two of its networks.
    round_trips_us: Vec<u32>,
    /// What a scenario gives instead of all this, if it does.
    pub(crate) given: Option<Given>,
}

/// What light in glass goes in a microsecond, in kilometres.
const FIBRE_KM_PER_US: f64 = 0.2;

/// How many times as long a round trip within a country takes as the shortest fibre would let it.
const INFLATION: f64 = 2.1;

/// The same between countries: long cables are straighter than short ones.
const INFLATION_ABROAD: f64 = 1.6;

/// Routers at both ends.
const AT_LEAST_US: f64 = 2_000.0;

/// Two people of a country are this part of the root of its area apart: people live together, and traffic goes through
/// exchanges in few places.
const SPREAD: f64 = 0.35;

/// Two people of one network are nearer: traffic does not leave it.
const WITHIN_NETWORK: f64 = 0.6;

const EARTH_RADIUS_KM: f64 = 6_371.0;

/// Activity by hour of the local day.
const BY_HOUR: [f64; 24] = [
    0.75, 0.50, 0.34, 0.25, 0.22, 0.26, 0.40, 0.64, 0.86, 1.00, 1.08, 1.14, 1.19, 1.20, 1.17, 1.16, 1.18,
    1.22, 1.30, 1.43, 1.54, 1.57, 1.40, 1.08,
];

/// No moment of the day has more activity.
pub(crate) const BUSIEST: f64 = 1.65;

impl World {
    /// The `networks` with most visitors of the `countries` with most internet users; each country has at least one.
    pub(crate) fn new(networks: usize, countries: usize) -> Result<Self, WorldError> {
        let (networks, countries) = atlas::choose(networks, countries)?;
        let weights: Vec<f64> = networks.iter().map(|network| network.weight).collect();
        let round_trips_us = countries
            .iter()
            .flat_map(|a| countries.iter().map(move |b| between_countries_us(a, b)))
            .collect();
        Ok(Self { by_visitors: Weighted::new(&weights), networks, countries, round_trips_us, given: None })
    }

    /// One network, in no country: distances are between people and not between places.
    pub(crate) fn given(given: Given) -> Self {
        let (country, network) = atlas::nowhere();
        Self {
            networks: vec![network],
            countries: vec![country],
            by_visitors: Weighted::new(&[1.0]),
            round_trips_us: vec![0],
            given: Some(given),
        }
    }

    /// What a node can tell of a network: a given one has addresses that are in no table.
    pub(crate) fn asn(&self, network: usize) -> Option<u32> {
        self.networks.get(network).filter(|_| self.given.is_none()).map(|network| network.asn)
    }

    /// The same of a country.
    pub(crate) fn country_code(&self, country: usize) -> Option<[u8; 2]> {
        self.countries.get(country).filter(|_| self.given.is_none()).map(|country| country.code)
    }

    /// A network, by visitors.
    fn draw_network(&self, dice: &mut Dice) -> usize {
        self.by_visitors.draw(dice)
    }

    /// A round trip between the edges of two networks.
    pub(crate) fn round_trip_us(&self, a: usize, b: usize) -> u64 {
        let (from, to) = (self.networks[a].country, self.networks[b].country);
        let round_trip = self.round_trips_us[from * self.countries.len() + to];
        let within = if a == b { WITHIN_NETWORK } else { 1.0 };
        (f64::from(round_trip) * within) as u64
    }

    /// How active people are at a second of the day in UTC; the mean over a day is 1.
    pub(crate) fn daylight(&self, country: usize, day_second_utc: u32) -> f64 {
        const DAY_S: i64 = 86_400;
        let offset = i64::from(self.countries[country].utc_offset_minutes) * 60;
        // An hour's figure holds at its middle.
        let local = (i64::from(day_second_utc) + offset - 1_800).rem_euclid(DAY_S) as usize;
        let (hour, within) = (local / 3_600, (local % 3_600) as f64 / 3_600.0);
        let mean = BY_HOUR.iter().sum::<f64>() / 24.0;
        (BY_HOUR[hour] * (1.0 - within) + BY_HOUR[(hour + 1) % 24] * within) / mean
    }
}

fn between_countries_us(a: &Country, b: &Country) -> u32 {
    let spread = |country: &Country| SPREAD * libm::sqrt(country.area_km2);
    let within = (spread(a) + spread(b)) / 2.0;
    let abroad = if a.code == b.code { 0.0 } else { great_circle_km(a, b) };
    // Whoever goes abroad goes to where the cable is first.
    let at_home = if a.code == b.code { within } else { within / 2.0 };
    let fibre_km = abroad * INFLATION_ABROAD + at_home * INFLATION;
    (AT_LEAST_US + 2.0 * fibre_km / FIBRE_KM_PER_US) as u32
}

/// The haversine formula.
fn great_circle_km(a: &Country, b: &Country) -> f64 {
    let haversine = |angle: f64| libm::pow(libm::sin(angle.to_radians() / 2.0), 2.0);
    let (north, east) = (b.latitude - a.latitude, b.longitude - a.longitude);
    let parallel = libm::cos(a.latitude.to_radians()) * libm::cos(b.latitude.to_radians());
    let chord = haversine(north) + parallel * haversine(east);
    2.0 * EARTH_RADIUS_KM * libm::asin(libm::sqrt(chord.min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn world(networks: usize, countries: usize) -> World {
        World::new(networks, countries).unwrap()
    }

    fn country(world: &World, code: &str) -> usize {
        world.countries.iter().position(|country| country.code == code.as_bytes()).unwrap()
    }

    /// The largest network of a country, and the next.
    fn networks(world: &World, code: &str) -> [usize; 2] {
        let country = country(world, code);
        let mut all = (0..world.networks.len()).filter(|network| world.networks[*network].country == country);
        [all.next().unwrap(), all.next().unwrap()]
    }

    #[test]
    fn there_are_as_many_networks_and_countries_as_asked_for() {
        for (networks, countries) in [(500, 50), (1, 1), (50, 50), (700, 100), (2, 1)] {
            let world = world(networks, countries);
            assert_eq!((world.networks.len(), world.countries.len()), (networks, countries));
            let mut numbers: Vec<u32> = world.networks.iter().map(|network| network.asn).collect();
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), networks, "each number once");
            for country in 0..countries {
                assert!(world.networks.iter().any(|network| network.country == country));
            }
        }
    }

    #[test]
    fn more_than_there_are_is_an_error_that_says_how_many_there_are() {
        let error = |networks, countries| World::new(networks, countries).unwrap_err().to_string();
        assert!(error(1_000_000, 50).contains("networks"), "{}", error(1_000_000, 50));
        assert!(error(500, 1_000).contains("countries"), "{}", error(500, 1_000));
        World::new(10, 20).unwrap_err();
        World::new(0, 0).unwrap_err();
    }

    #[test]
    fn a_country_s_networks_have_its_users() {
        let world = world(500, 50);
        for (place, country) in world.countries.iter().enumerate() {
            let networks = world.networks.iter().filter(|network| network.country == place);
            let sum: f64 = networks.map(|network| network.weight).sum();
            assert!((sum / country.weight - 1.0).abs() < 1e-9, "{}: {sum}", country.name);
        }
        let total: f64 = world.networks.iter().map(|network| network.weight).sum();
        assert!((total - 1.0).abs() < 1e-9);
        let largest: f64 = world.networks.iter().take(35).map(|network| network.weight).sum();
        assert!((0.5..0.51).contains(&largest), "{largest}");
    }

    #[test]
    fn round_trips_are_as_long_as_the_documentation_says() {
        let world = world(500, 50);
        let ms =
            |a: &str, b: &str| world.round_trip_us(networks(&world, a)[0], networks(&world, b)[1]) / 1_000;
        let expected = [
            ("DE", "DE", 6),
            ("US", "US", 25),
            ("GB", "DE", 16),
            ("US", "GB", 114),
            ("US", "JP", 174),
            ("US", "IN", 221),
            ("GB", "AU", 276),
        ];
        for (a, b, ms_expected) in expected {
            assert_eq!(ms(a, b), ms_expected, "{a} {b}");
            assert_eq!(ms(a, b), ms(b, a));
        }
        let [one, other] = networks(&world, "DE");
        assert!(world.round_trip_us(one, one) < world.round_trip_us(one, other));
    }

    #[test]
    fn days_have_a_mean_of_one_and_evenings_are_busier_than_nights() {
        let world = world(500, 50);
        let japan = country(&world, "JP");
        let minutes = (0..1_440).map(|minute| world.daylight(japan, minute * 60));
        let activity: Vec<f64> = minutes.collect();
        assert!((activity.iter().sum::<f64>() / 1_440.0 - 1.0).abs() < 1e-6);
        assert!(activity.iter().all(|activity| (0.0..=BUSIEST).contains(activity)));
        // 21:00 and 04:30 in Tokyo.
        assert!(world.daylight(japan, 12 * 3_600) > 5.0 * world.daylight(japan, 19 * 3_600 + 1_800));
    }
}
