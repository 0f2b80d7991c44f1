//! How people are connected: fibre, cable, copper and radio, at the speeds of their countries.

use crate::dice::Dice;

/// A person's way to the edge of an access network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Access {
    pub(crate) kind: AccessKind,
    /// Bytes a second.
    pub(crate) down: u64,
    /// Bytes a second.
    pub(crate) up: u64,
    /// One way, to the edge of the network, while little is sent.
    pub(crate) latency_us: u64,
    /// The share of packets that are lost.
    pub(crate) loss: f64,
}

/// What it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccessKind {
    Fibre,
    Cable,
    Dsl,
    Mobile4g,
    Mobile5g,
}

/// What is usual in a country, in megabits a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usual {
    pub(crate) fixed_mbps: f64,
    pub(crate) mobile_mbps: f64,
}

/// How much the rates within one country spread.
const RATE_SIGMA: f64 = 0.8;

/// How much the latencies of one kind spread.
const LATENCY_SIGMA: f64 = 0.35;

/// No access is slower: 0.5 Mbit/s.
const RATE_LEAST: f64 = 62_500.0;

/// No access is faster: 1 Gbit/s.
const RATE_MOST: f64 = 125_000_000.0;

const BYTES_PER_MBIT: f64 = 125_000.0;

/// What sets one kind apart.
struct Traits {
    /// Its rate, as a part of what is usual in the country.
    rate: f64,
    /// The upward rate, as a part of the downward one.
    upward: f64,
    latency_ms: f64,
    loss: f64,
}

impl AccessKind {
    fn traits(self) -> Traits {
        match self {
            Self::Fibre => Traits { rate: 1.3, upward: 0.7, latency_ms: 3.0, loss: 0.0005 },
            Self::Cable => Traits { rate: 1.1, upward: 0.1, latency_ms: 7.0, loss: 0.001 },
            Self::Dsl => Traits { rate: 0.4, upward: 0.17, latency_ms: 12.0, loss: 0.002 },
            Self::Mobile4g => Traits { rate: 0.8, upward: 0.25, latency_ms: 20.0, loss: 0.005 },
            Self::Mobile5g => Traits { rate: 2.5, upward: 0.13, latency_ms: 12.0, loss: 0.003 },
        }
    }
}

impl Access {
    /// At home or at work.
    pub(crate) fn fixed(dice: &mut Dice, usual: Usual) -> Self {
        use AccessKind::{Cable, Dsl, Fibre};
        // The faster a country, the more of it is fibre.
        let (fibre, cable) = match usual.fixed_mbps {
            fast if fast >= 150.0 => (0.70, 0.22),
            middling if middling >= 60.0 => (0.45, 0.28),
            _ => (0.30, 0.10),
        };
        let drawn = dice.unit();
        let kind = if drawn < fibre {
            Fibre
        } else if drawn < fibre + cable {
            Cable
        } else {
            Dsl
        };
        Self::draw(dice, kind, usual.fixed_mbps)
    }

    /// On the road.
    pub(crate) fn cellular(dice: &mut Dice, usual: Usual) -> Self {
        let fifth = match usual.mobile_mbps {
            fast if fast >= 80.0 => 0.5,
            middling if middling >= 40.0 => 0.25,
            _ => 0.05,
        };
        let kind = if dice.chance(fifth) { AccessKind::Mobile5g } else { AccessKind::Mobile4g };
        Self::draw(dice, kind, usual.mobile_mbps)
    }

    fn draw(dice: &mut Dice, kind: AccessKind, usual_mbps: f64) -> Self {
        let traits = kind.traits();
        let median = usual_mbps * BYTES_PER_MBIT * traits.rate;
        let down = dice.lognormal(median, RATE_SIGMA).clamp(RATE_LEAST, RATE_MOST);
        let up = dice.lognormal(down * traits.upward, 0.3).clamp(RATE_LEAST / 2.0, RATE_MOST);
        let latency = dice.lognormal(traits.latency_ms, LATENCY_SIGMA).clamp(0.5, 300.0);
        let loss = dice.lognormal(traits.loss, 0.7).min(0.05);
        Self { kind, down: down as u64, up: up as u64, latency_us: (latency * 1e3) as u64, loss }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn median(mut numbers: Vec<u64>) -> f64 {
        numbers.sort_unstable();
        numbers[numbers.len() / 2] as f64
    }

    #[test]
    fn rates_are_what_is_usual_in_the_country() {
        for usual in [
            Usual { fixed_mbps: 270.0, mobile_mbps: 125.0 },
            Usual { fixed_mbps: 90.0, mobile_mbps: 50.0 },
            Usual { fixed_mbps: 16.0, mobile_mbps: 20.0 },
        ] {
            let mut dice = Dice::new(1, &[]);
            let fixed = median((0..4_001).map(|_| Access::fixed(&mut dice, usual).down).collect());
            let cellular = median((0..4_001).map(|_| Access::cellular(&mut dice, usual).down).collect());
            let of = |rate: f64, mbps: f64| rate / (mbps * BYTES_PER_MBIT);
            let (fixed, cellular) = (of(fixed, usual.fixed_mbps), of(cellular, usual.mobile_mbps));
            assert!((0.6..1.4).contains(&fixed), "{usual:?}: {fixed}");
            assert!((0.7..1.6).contains(&cellular), "{usual:?}: {cellular}");
        }
    }

    #[test]
    fn radio_takes_longer_than_glass() {
        let usual = Usual { fixed_mbps: 200.0, mobile_mbps: 100.0 };
        let mut dice = Dice::new(1, &[]);
        let fixed = median((0..1_001).map(|_| Access::fixed(&mut dice, usual).latency_us).collect());
        let cellular = median((0..1_001).map(|_| Access::cellular(&mut dice, usual).latency_us).collect());
        assert!(fixed < cellular && cellular < 30_000.0, "{fixed} {cellular}");
    }
}
