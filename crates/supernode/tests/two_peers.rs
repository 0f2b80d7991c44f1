//! Two native peers over the loopback's UDP: what they say to each other arrives, however much it is.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use edgeweave_protocol::{Reason, Signal};
use edgeweave_supernode::peer::{Happened, Outgoing, Peer, Received};
use tokio::net::UdpSocket;

/// Longer than any datagram.
const DATAGRAM_BYTES: usize = 2048;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The length of a piece with its header.
const PIECE_BYTES: usize = 60 * 1024 + 9;

/// The first byte of a DTLS record that belongs to a handshake, and of one that is encrypted.
const HANDSHAKE: u8 = 22;
const ENCRYPTED: u8 = 23;

/// A peer and its socket.
struct End {
    peer: Peer,
    socket: UdpSocket,
    address: SocketAddr,
    /// What arrives before the first datagram of the handshake.
    stray: Option<Vec<u8>>,
}

impl End {
    async fn offering() -> (Self, Signal) {
        let (socket, address) = bind().await;
        let (peer, offer) = Peer::offering(Instant::now(), &[address]);
        (Self { peer, socket, address, stray: None }, offer.unwrap())
    }

    async fn answering() -> Self {
        let (socket, address) = bind().await;
        Self { peer: Peer::answering(Instant::now(), &[address]), socket, address, stray: None }
    }

    /// Waits for what happens next.
    async fn next(&mut self) -> Happened {
        let mut buffer = [0; DATAGRAM_BYTES];
        loop {
            self.flush().await;
            if let Some(happened) = self.peer.poll_happened() {
                return happened;
            }
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let (length, from) = received.unwrap();
                    let stray = self.stray.take_if(|_| buffer[0] == HANDSHAKE);
                    stray.iter().for_each(|stray| self.receive(from, stray));
                    self.receive(from, &buffer[..length]);
                }
                () = tokio::time::sleep_until(self.peer.due().into()) => self.peer.tick(Instant::now()),
            }
        }
    }

    fn receive(&mut self, from: SocketAddr, bytes: &[u8]) {
        let received = Received::read(Instant::now(), from, self.address, bytes);
        if let Some(received) = received.filter(|received| self.peer.accepts(received)) {
            self.peer.receive(received);
        }
    }

    async fn flush(&mut self) {
        let datagrams: Vec<_> = self.peer.take_datagrams().collect();
        for datagram in datagrams {
            self.socket.send_to(&datagram.bytes, datagram.to).await.unwrap();
        }
    }
}

async fn bind() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Two peers with an open channel.
async fn met() -> (End, End) {
    let (one, offer) = End::offering().await;
    meet(one, offer, End::answering().await).await
}

async fn meet(mut one: End, offer: Signal, mut other: End) -> (End, End) {
    let answer = other.peer.hear(&offer).unwrap();
    assert!(!answer.as_str().contains("ice-lite"), "browsers would be slow to choose a path: {answer:?}");
    assert!(one.peer.hear(&answer).is_none());
    let opened = async {
        let opened = tokio::join!(one.next(), other.next());
        assert!(matches!(opened, (Happened::Opened, Happened::Opened)), "{opened:?}");
    };
    tokio::time::timeout(PATIENCE, opened).await.unwrap();
    (one, other)
}

#[tokio::test]
async fn pieces_arrive_whole_and_in_order_and_each_is_said_to_be_taken() {
    const PIECES: u32 = 256;
    let (mut one, mut other) = met().await;
    let sending = async {
        let mut taken = Vec::new();
        for transfer in 0..PIECES {
            let bytes = vec![transfer as u8; PIECE_BYTES];
            one.peer.send(Outgoing { bytes, transfer: Some(transfer) });
        }
        // It goes on until the other side has everything.
        loop {
            match one.next().await {
                Happened::Sent(transfer) => taken.push(transfer),
                Happened::Message(done) if done.bytes == b"done" => return taken,
                other => panic!("{other:?}"),
            }
        }
    };
    let receiving = async {
        for transfer in 0..PIECES {
            let happened = other.next().await;
            let Happened::Message(message) = happened else { panic!("{happened:?}") };
            assert!(message.is_binary);
            assert_eq!(message.bytes, vec![transfer as u8; PIECE_BYTES]);
        }
        other.peer.send(Outgoing { bytes: b"done".to_vec(), transfer: None });
        other.flush().await;
        other.next().await
    };
    tokio::select! {
        taken = sending => assert_eq!(taken, (0..PIECES).collect::<Vec<_>>()),
        happened = receiving => panic!("{happened:?}"),
        () = tokio::time::sleep(PATIENCE) => panic!("it takes too long"),
    }
}

#[tokio::test]
async fn one_that_leaves_says_so() {
    let (mut one, mut other) = met().await;
    one.peer.close();
    one.flush().await;
    let happened = tokio::time::timeout(PATIENCE, other.next()).await.unwrap();
    assert!(matches!(happened, Happened::Closed(Reason::ChannelClosed)), "{happened:?}");
}

#[tokio::test]
async fn what_is_no_offer_ends_the_connection() {
    let mut one = End::answering().await;
    let nonsense = r#"{"description":{"type":"offer","sdp":"v=0\r\n"}}"#;
    assert!(one.peer.hear(&nonsense.parse().unwrap()).is_none());
    let happened = tokio::time::timeout(PATIENCE, one.next()).await.unwrap();
    assert!(matches!(happened, Happened::Closed(Reason::ConnectFailed)), "{happened:?}");
}

#[tokio::test]
async fn what_is_not_understood_changes_nothing() {
    let (one, offer) = End::offering().await;
    let mut other = End::answering().await;
    assert!(other.peer.hear(&r#"{"from_the_future":{}}"#.parse().unwrap()).is_none());
    let candidate = r#"{"candidate":{"candidate":"candidate:1 1 udp 1 a.local 9 typ host"}}"#;
    assert!(other.peer.hear(&candidate.parse().unwrap()).is_none());
    meet(one, offer, other).await;
}

#[tokio::test]
async fn a_handshake_goes_on_after_a_stray_datagram() {
    let (one, offer) = End::offering().await;
    let mut other = End::answering().await;
    // An encrypted record of 16 bytes, before there are keys.
    let header = [ENCRYPTED, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 16];
    other.stray = Some([&header[..], &[7; 16]].concat());
    let (_one, other) = meet(one, offer, other).await;
    assert!(other.stray.is_none());
}
