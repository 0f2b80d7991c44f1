//! IPv4 packets with UDP or TCP in them: who talks to whom, and saying otherwise with right checksums.

use std::net::SocketAddrV4;

use smoltcp::wire::{IpProtocol, Ipv4Packet, TcpPacket, UdpPacket};

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// Who talks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    pub(crate) source: SocketAddrV4,
    pub(crate) destination: SocketAddrV4,
}

/// Who talks to whom in a packet; nothing for what the emulated network does not carry: other protocols, and fragments,
/// which nobody here sends.
pub(crate) fn flow(bytes: &[u8]) -> Option<Flow> {
    let ip = Ipv4Packet::new_checked(bytes).ok()?;
    if ip.version() != 4 || ip.more_frags() || ip.frag_offset() != 0 {
        return None;
    }
    let (transport, from, to) = match ip.next_header() {
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(ip.payload()).ok()?;
            (Transport::Udp, udp.src_port(), udp.dst_port())
        }
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
            (Transport::Tcp, tcp.src_port(), tcp.dst_port())
        }
        _ => return None,
    };
    Some(Flow {
        transport,
        source: SocketAddrV4::new(ip.src_addr(), from),
        destination: SocketAddrV4::new(ip.dst_addr(), to),
    })
}

/// Makes a packet that [`flow`] understands one of `to`.
pub(crate) fn rewrite(bytes: &mut [u8], to: &Flow) {
    let mut ip = Ipv4Packet::new_unchecked(bytes);
    ip.set_src_addr(*to.source.ip());
    ip.set_dst_addr(*to.destination.ip());
    ip.fill_checksum();
    let (source, destination) = (ip.src_addr().into(), ip.dst_addr().into());
    match to.transport {
        Transport::Udp => {
            let mut udp = UdpPacket::new_unchecked(ip.payload_mut());
            udp.set_src_port(to.source.port());
            udp.set_dst_port(to.destination.port());
            udp.fill_checksum(&source, &destination);
        }
        Transport::Tcp => {
            let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
            tcp.set_src_port(to.source.port());
            tcp.set_dst_port(to.destination.port());
            tcp.fill_checksum(&source, &destination);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{Ipv4Repr, TcpControl, TcpRepr, TcpSeqNumber, UdpRepr};

    use super::*;

    /// A datagram with a payload of so many bytes.
    pub(crate) fn datagram(source: SocketAddrV4, destination: SocketAddrV4, length: usize) -> Vec<u8> {
        let udp = UdpRepr { src_port: source.port(), dst_port: destination.port() };
        let ip = ip(source, destination, IpProtocol::Udp, udp.header_len() + length);
        let mut bytes = vec![0; ip.buffer_len() + ip.payload_len];
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
        let mut packet = UdpPacket::new_unchecked(&mut bytes[ip.buffer_len()..]);
        let (from, to) = ((*source.ip()).into(), (*destination.ip()).into());
        udp.emit(
            &mut packet,
            &from,
            &to,
            length,
            |payload| payload.fill(7),
            &ChecksumCapabilities::default(),
        );
        bytes
    }

    fn ip(
        source: SocketAddrV4,
        destination: SocketAddrV4,
        next_header: IpProtocol,
        length: usize,
    ) -> Ipv4Repr {
        Ipv4Repr {
            src_addr: *source.ip(),
            dst_addr: *destination.ip(),
            next_header,
            payload_len: length,
            hop_limit: 64,
        }
    }

    fn segment(source: SocketAddrV4, destination: SocketAddrV4) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: source.port(),
            dst_port: destination.port(),
            control: TcpControl::Syn,
            seq_number: TcpSeqNumber(1),
            ack_number: None,
            window_len: 1,
            window_scale: None,
            max_seg_size: Some(1460),
            sack_permitted: true,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let ip = ip(source, destination, IpProtocol::Tcp, tcp.buffer_len());
        let mut bytes = vec![0; ip.buffer_len() + ip.payload_len];
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut bytes), &ChecksumCapabilities::default());
        let (from, to) = ((*source.ip()).into(), (*destination.ip()).into());
        let mut packet = TcpPacket::new_unchecked(&mut bytes[ip.buffer_len()..]);
        tcp.emit(&mut packet, &from, &to, &ChecksumCapabilities::default());
        bytes
    }

    fn checksums_are_right(bytes: &[u8]) -> bool {
        let ip = Ipv4Packet::new_checked(bytes).unwrap();
        let (from, to) = (ip.src_addr().into(), ip.dst_addr().into());
        let inner = match ip.next_header() {
            IpProtocol::Udp => UdpPacket::new_checked(ip.payload()).unwrap().verify_checksum(&from, &to),
            _ => TcpPacket::new_checked(ip.payload()).unwrap().verify_checksum(&from, &to),
        };
        ip.verify_checksum() && inner
    }

    #[test]
    fn a_rewritten_packet_says_who_and_has_right_checksums() {
        let [a, b, c, d] = ["10.0.0.2:5000", "198.18.0.1:80", "198.19.1.1:6000", "10.0.0.9:81"]
            .map(|text| text.parse().unwrap());
        for mut bytes in [datagram(a, b, 100), segment(a, b)] {
            let before = flow(&bytes).unwrap();
            assert_eq!((before.source, before.destination), (a, b));
            let after = Flow { source: c, destination: d, ..before };
            rewrite(&mut bytes, &after);
            assert_eq!(flow(&bytes), Some(after));
            assert!(checksums_are_right(&bytes));
        }
    }

    #[test]
    fn what_is_no_whole_packet_has_no_flow() {
        let bytes = datagram("10.0.0.2:5000".parse().unwrap(), "198.18.0.1:80".parse().unwrap(), 10);
        assert_eq!(flow(&bytes[..12]), None);
        assert_eq!(flow(&[]), None);
        assert_eq!(flow(&[0x60; 40]), None);
    }
}
