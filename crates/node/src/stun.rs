//! Tells a peer its own address as the Internet sees it: STUN binding requests (RFC 8489), and nothing else of STUN.

use std::net::SocketAddr;

use stun_types::attribute::XorMappedAddress;
use stun_types::message::{BINDING, Message, MessageClass, MessageWriteVec};
use stun_types::prelude::{MessageWrite, MessageWriteExt};
use tokio::net::UdpSocket;

/// Larger than any binding request that browsers send; what is longer is cut, and then unreadable.
const REQUEST_BYTES: usize = 1500;

/// Answers for ever.
pub(crate) async fn serve(socket: UdpSocket) {
    let mut buffer = [0; REQUEST_BYTES];
    loop {
        // Errors are those of earlier answers (a peer's port is closed), and concern nobody else.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(answer) = answer(&buffer[..length], from) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

/// The answer to a packet; none to what is no binding request.
fn answer(packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::from_bytes(packet).ok()?;
    if !request.has_class(MessageClass::Request) || !request.has_method(BINDING) {
        return None;
    }
    let from = SocketAddr::new(from.ip().to_canonical(), from.port());
    let mut answer = Message::builder_success(&request, MessageWriteVec::new());
    answer.add_attribute(&XorMappedAddress::new(from, request.transaction_id())).ok()?;
    Some(answer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_request_is_answered_with_the_address_it_came_from() {
        let from: SocketAddr = "192.0.2.7:4321".parse().unwrap();
        let request = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        let answer = answer(&request, from).unwrap();
        let answer = Message::from_bytes(&answer).unwrap();
        assert!(answer.has_class(MessageClass::Success));
        let mapped = answer.attribute::<XorMappedAddress>().unwrap();
        assert_eq!(mapped.addr(answer.transaction_id()), from);
    }

    #[test]
    fn anything_else_is_not_answered() {
        let from: SocketAddr = "192.0.2.7:4321".parse().unwrap();
        let mut response = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
        response[0] |= 1;
        for packet in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 20], &response] {
            assert!(answer(packet, from).is_none());
        }
    }
}
