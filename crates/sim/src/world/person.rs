//! Who comes: a network, a way to it, a device, and who shares an address with whom.

use crate::dice::Dice;
use crate::world::World;
use crate::world::access::Access;
use crate::world::nat::Nat;

/// Streams of dice.
const HOME: u64 = 0x803e;
const PERSON: u64 = 0x9e25;
const JOIN: u64 = 0x101d;

/// The chance that a visitor shares the address of the one before.
const SHARE: f64 = 0.15;

/// At most so many share one.
const SHARE_MOST: u64 = 4;

/// Marks the address of somebody on the road: nobody else has it.
const ROAD: u64 = 1 << 63;

/// A visitor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Person {
    pub(crate) network: usize,
    pub(crate) country: usize,
    pub(crate) access: Access,
    pub(crate) device: Device,
    pub(crate) nat: Nat,
    /// A number for the address: a few persons share one.
    pub(crate) household: u64,
}

/// What somebody looks at the site with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Device {
    pub(crate) form: Form,
    pub(crate) browser: BrowserKind,
    /// How many times as long it takes as a fast desktop computer.
    pub(crate) slowness: f64,
    pub(crate) webrtc: bool,
    pub(crate) service_worker: bool,
    /// Asks for less data, or says that what it uses is paid for by amount.
    pub(crate) saves_data: bool,
    /// How long it takes to start a stopped worker.
    pub(crate) worker_start_us: u64,
}

/// What is held in a hand, and what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Desktop,
    Phone,
}

/// The maker's line of browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BrowserKind {
    Chrome,
    Safari,
    Firefox,
    Edge,
    /// Mostly makers' own builds of Chromium, and browsers inside other applications.
    Other,
}

impl World {
    /// A visitor by number.
    pub(crate) fn draw_person(&self, seed: u64, number: u64) -> Person {
        if let Some(given) = &self.given {
            return given.draw_person(seed, number);
        }
        let household = household(seed, number);
        let mut home = Dice::new(seed, &[HOME, household]);
        let mut own = Dice::new(seed, &[PERSON, number]);
        let network = self.draw_network(&mut home);
        let country = self.networks[network].country;
        let usual = self.countries[country].usual;
        let fixed = Access::fixed(&mut home, usual);
        let at_home = Nat::draw(&mut home, fixed.kind);

        let phone = own.chance(PHONES);
        let on_the_road = phone && own.chance(phones_on_the_road(usual.fixed_mbps));
        let cellular = Access::cellular(&mut own, usual);
        let away = Nat::draw(&mut own, cellular.kind);
        let device = Device::draw(&mut own, phone, on_the_road);
        let (access, nat, household) =
            if on_the_road { (cellular, away, number | ROAD) } else { (fixed, at_home, household) };
        Person { network, country, access, device, nat, household }
    }
}

/// The share of page views on telephones (and tablets, which are counted with them).
const PHONES: f64 = 0.6;

/// The share of telephones that are not on somebody's wireless network: more where cables are few.
fn phones_on_the_road(fixed_mbps: f64) -> f64 {
    if fixed_mbps >= 60.0 { 0.4 } else { 0.5 }
}

/// The first of those who share an address.
fn household(seed: u64, number: u64) -> u64 {
    let mut first = number;
    while !first.is_multiple_of(SHARE_MOST) && Dice::new(seed, &[JOIN, first]).chance(SHARE) {
        first -= 1;
    }
    first
}

impl Device {
    fn draw(dice: &mut Dice, phone: bool, on_the_road: bool) -> Self {
        let shares = if phone { BROWSERS_ON_PHONES } else { BROWSERS_ON_DESKTOPS };
        let mut drawn = dice.below(100) as u8;
        let mut browser = BrowserKind::Other;
        for (kind, share) in shares {
            if drawn < share {
                browser = kind;
                break;
            }
            drawn -= share;
        }
        let (median, sigma) = match (phone, browser) {
            (false, _) => (1.4, 0.35),
            (true, BrowserKind::Safari) => (1.6, 0.35),
            (true, _) => (4.0, 0.5),
        };
        let slowness = dice.lognormal(median, sigma).clamp(1.0, 12.0);
        let other = browser == BrowserKind::Other;
        let webrtc = dice.chance(if other { 0.92 } else { 0.985 });
        // Browsers within other applications have no workers, nor have private windows of Firefox.
        let service_worker = dice.chance(match browser {
            BrowserKind::Other => 0.85,
            BrowserKind::Safari => 0.92,
            BrowserKind::Firefox => 0.90,
            BrowserKind::Chrome | BrowserKind::Edge => 0.975,
        });
        // Only Chromium says of what kind a connection is, and only on Android.
        let tells = phone && matches!(browser, BrowserKind::Chrome | BrowserKind::Other);
        let asks_for_less = dice.chance(if tells { 0.05 } else { 0.01 });
        let worker_start_us = (dice.lognormal(WORKER_START_US, 0.5) * slowness).min(3e6) as u64;
        Self {
            form: if phone { Form::Phone } else { Form::Desktop },
            browser,
            slowness,
            webrtc,
            service_worker,
            saves_data: asks_for_less || (tells && on_the_road),
            worker_start_us,
        }
    }
}

/// On a fast desktop computer.
pub(crate) const WORKER_START_US: f64 = 40_000.0;

/// Percents.
const BROWSERS_ON_PHONES: [(BrowserKind, u8); 5] = [
    (BrowserKind::Chrome, 66),
    (BrowserKind::Safari, 23),
    (BrowserKind::Firefox, 1),
    (BrowserKind::Edge, 1),
    (BrowserKind::Other, 9),
];

/// Percents.
const BROWSERS_ON_DESKTOPS: [(BrowserKind, u8); 5] = [
    (BrowserKind::Chrome, 65),
    (BrowserKind::Safari, 9),
    (BrowserKind::Firefox, 7),
    (BrowserKind::Edge, 13),
    (BrowserKind::Other, 6),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::tests::world;

    #[test]
    fn a_number_is_always_the_same_person() {
        let (one, other) = (world(500, 50), world(500, 50));
        for number in 0..1_000 {
            assert_eq!(one.draw_person(7, number), other.draw_person(7, number));
        }
        assert_ne!(one.draw_person(7, 1).access, one.draw_person(8, 1).access);
    }

    #[test]
    fn percents_are_of_a_hundred() {
        for shares in [BROWSERS_ON_PHONES, BROWSERS_ON_DESKTOPS] {
            assert_eq!(shares.iter().map(|(_, share)| u32::from(*share)).sum::<u32>(), 100);
        }
    }

    #[test]
    fn a_few_share_an_address_and_what_comes_with_it() {
        let world = world(100, 20);
        let people: Vec<Person> = (0..20_000).map(|number| world.draw_person(1, number)).collect();
        let mut homes: Vec<u64> = people.iter().map(|person| person.household).collect();
        homes.dedup();
        let alone = homes.len() as f64 / people.len() as f64;
        assert!((0.88..0.99).contains(&alone), "{alone}");
        for pair in people.windows(2).filter(|pair| pair[0].household == pair[1].household) {
            assert_eq!(
                (pair[0].network, pair[0].access, pair[0].nat),
                (pair[1].network, pair[1].access, pair[1].nat)
            );
        }
    }

    #[test]
    fn three_quarters_of_pairs_can_meet() {
        let world = world(500, 50);
        let nats: Vec<Nat> = (0..20_000).map(|number| world.draw_person(1, number).nat).collect();
        let meet =
            nats.iter().zip(&nats[10_000..]).filter(|(a, b)| a.can_meet(**b)).count() as f64 / 10_000.0;
        assert!((0.71..0.76).contains(&meet), "{meet}");
    }

    #[test]
    fn devices_are_as_common_as_counted() {
        let world = world(500, 50);
        let devices: Vec<Device> = (0..20_000).map(|number| world.draw_person(1, number).device).collect();
        let share = |is: &dyn Fn(&Device) -> bool| {
            devices.iter().filter(|device| is(device)).count() as f64 / devices.len() as f64
        };
        let phones = share(&|device| device.form == Form::Phone);
        assert!((phones - PHONES).abs() < 0.02, "{phones}");
        let able = share(&|device| device.webrtc && device.service_worker);
        assert!((0.92..0.94).contains(&able), "{able}");
        let saving = share(&|device| device.saves_data);
        assert!((0.19..0.23).contains(&saving), "{saving}");
        let start = |form: Form| {
            let mut starts: Vec<u64> = devices
                .iter()
                .filter(|device| device.form == form)
                .map(|device| device.worker_start_us)
                .collect();
            starts.sort_unstable();
            starts[starts.len() / 2]
        };
        assert!((50_000..60_000).contains(&start(Form::Desktop)), "{}", start(Form::Desktop));
        assert!((125_000..155_000).contains(&start(Form::Phone)), "{}", start(Form::Phone));
    }
}
