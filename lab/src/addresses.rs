//! Who has which address: homes' are private, public ones are from the block for benchmarks (RFC 2544), which is nobody's.

use std::net::Ipv4Addr;

/// The site's origin.
pub(crate) const ORIGIN: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 1);
/// The node.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 2);
/// Where the node listens.
pub(crate) const NODE_PORT: u16 = 8080;
/// Where its native peer does.
pub(crate) const NODE_PEER_PORT: u16 = 3479;
/// People in one block of public addresses.
const BLOCK: usize = 250;

/// The address in a home.
pub(crate) fn private_address(place: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 66, place as u8, 2)
}

/// The address that the Internet sees of somebody.
pub(crate) fn public_address(person: usize) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, (person / BLOCK) as u8, (person % BLOCK + 1) as u8)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nobody_shares_an_address() {
        let people = 0..250 * 250;
        let addresses: BTreeSet<_> = people.clone().map(public_address).chain([ORIGIN, NODE]).collect();
        assert_eq!(addresses.len(), people.len() + 2);
    }
}
