//! Whether two peers can meet: address translators, and what gets through two of them.

use serde::{Deserialize, Serialize};

use crate::dice::Dice;
use crate::world::access::AccessKind;

/// How the way out of a visitor's network treats UDP, in the words of RFC 3489.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// A public address, and nothing in the way.
    Open,
    /// Anybody may answer at the address that somebody has been shown.
    FullCone,
    /// Only addresses that have been sent to may.
    Restricted,
    /// Only ports that have been sent to may.
    PortRestricted,
    /// Everybody is shown another port.
    Symmetric,
    /// Nothing but the web gets through.
    UdpBlocked,
}

impl Nat {
    pub(crate) const ALL: [Self; 6] = [
        Self::Open,
        Self::FullCone,
        Self::Restricted,
        Self::PortRestricted,
        Self::Symmetric,
        Self::UdpBlocked,
    ];

    /// Whether a channel opens between two of these, with STUN and no relay (RFC 5128, section 3.3).
    pub(crate) fn can_meet(self, other: Self) -> bool {
        match (self, other) {
            (Self::UdpBlocked, _) | (_, Self::UdpBlocked) => false,
            // A port that only the other knows of cannot be sent to before it has sent.
            (Self::Symmetric, Self::Symmetric | Self::PortRestricted)
            | (Self::PortRestricted, Self::Symmetric) => false,
            _ => true,
        }
    }

    pub(crate) fn draw(dice: &mut Dice, access: AccessKind) -> Self {
        let shares = match access {
            AccessKind::Fibre | AccessKind::Cable | AccessKind::Dsl => FIXED,
            AccessKind::Mobile4g | AccessKind::Mobile5g => MOBILE,
        };
        let mut drawn = dice.below(100) as u8;
        for (nat, share) in Self::ALL.into_iter().zip(shares) {
            if drawn < share {
                return nat;
            }
            drawn -= share;
        }
        Self::PortRestricted
    }
}

/// Percents at home and at work, in the order of [`Nat::ALL`].
const FIXED: [u8; 6] = [3, 12, 13, 58, 9, 5];

/// Percents in cellular networks.
const MOBILE: [u8; 6] = [2, 14, 8, 41, 32, 3];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meeting_is_mutual() {
        for a in Nat::ALL {
            for b in Nat::ALL {
                assert_eq!(a.can_meet(b), b.can_meet(a), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn nobody_meets_one_whose_udp_is_blocked_and_everybody_meets_one_in_the_open() {
        for nat in Nat::ALL {
            assert!(!nat.can_meet(Nat::UdpBlocked));
            assert_eq!(nat.can_meet(Nat::Open), nat != Nat::UdpBlocked);
        }
        assert!(!Nat::Symmetric.can_meet(Nat::PortRestricted));
        assert!(Nat::Symmetric.can_meet(Nat::Restricted));
        assert!(Nat::PortRestricted.can_meet(Nat::PortRestricted));
    }

    #[test]
    fn as_many_pairs_meet_as_do_without_relays() {
        assert_eq!([FIXED.iter().sum::<u8>(), MOBILE.iter().sum::<u8>()], [100, 100]);
        let meeting = |a: [u8; 6], b: [u8; 6]| {
            let pairs = Nat::ALL.iter().zip(a).flat_map(|a| Nat::ALL.iter().zip(b).map(move |b| (a, b)));
            let meet = pairs.filter(|((a, _), (b, _))| a.can_meet(**b));
            meet.map(|((_, a), (_, b))| f64::from(a) * f64::from(b) / 1e4).sum::<f64>()
        };
        // 0.78 of calls and 0.70 of attempts to punch holes, in what docs/simulation.md names.
        let (home, mixed, away) = (meeting(FIXED, FIXED), meeting(FIXED, MOBILE), meeting(MOBILE, MOBILE));
        assert!((0.75..0.85).contains(&home), "{home}");
        assert!((0.60..0.75).contains(&mixed), "{mixed}");
        assert!((0.50..0.65).contains(&away), "{away}");
    }
}
