//! One WebSocket of a peer: this is the only file that knows the WebSocket library.
//!
//! A socket is read by its own task and written to by whoever has something for its peer, at once and without a hop
//! between tasks. What the kernel does not take stays queued in the socket; then the socket's own task is woken to go
//! on, because every write is polled with that task's waker.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use edgeweave_protocol::Reason;
use edgeweave_protocol::limits::MAX_TO_NODE_BYTES;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_websockets::{CloseCode, Config, Error, Limits, Message, Payload, ServerBuilder, WebSocketStream};

/// The most bytes that may be queued for one peer: a full manifest of the largest site, which is sent in one go.
const OUTBOX_BYTES: u64 = 16 << 20;

/// The code with which a session is closed for one of our reasons; codes from 4000 on belong to applications
/// (RFC 6455, section 7.4.2). The reason's name is the close frame's text.
const CLOSED_FOR_A_REASON: u16 = 4000;

/// A peer's socket.
pub(super) struct Socket(RefCell<Inner>);

struct Inner {
    stream: WebSocketStream<Wire>,
    /// The task that reads.
    reader: Waker,
    /// Bytes that were ever given to the stream; compared with what the wire took.
    sent: u64,
    /// What the wire had taken when somebody last asked whether it moves.
    taken_before: u64,
    /// The reader is to give up.
    dropped: bool,
}

/// What was read.
pub(super) enum Received {
    /// A text message.
    Text(Payload),
    /// A sign of life without a message.
    Alive,
    /// Something that is no message; the library has queued a close frame where the WebSocket protocol asks for it.
    Unreadable(Reason, Box<str>),
    /// The connection has ended.
    Ended,
}

/// More is queued for a peer than it may be.
pub(super) struct Overflow;

impl Socket {
    /// A socket of a connection whose upgrade was answered; `read_ahead` was read behind the request.
    pub(super) fn new(tcp: TcpStream, read_ahead: Bytes) -> Self {
        let read_ahead = (!read_ahead.is_empty()).then(|| Box::new(read_ahead));
        let stream = ServerBuilder::new()
            .config(Config::default().flush_threshold(usize::MAX))
            .limits(Limits::default().max_payload_len(Some(MAX_TO_NODE_BYTES)))
            .serve(Wire { tcp, read_ahead, taken: 0 });
        let reader = Waker::noop().clone();
        Self(RefCell::new(Inner { stream, reader, sent: 0, taken_before: 0, dropped: false }))
    }

    /// Waits for what the peer sends. Only one task may do so.
    pub(super) async fn receive(&self) -> Received {
        std::future::poll_fn(|context| self.poll_receive(context)).await
    }

    fn poll_receive(&self, context: &mut Context<'_>) -> Poll<Received> {
        let mut inner = self.0.borrow_mut();
        if inner.dropped {
            return Poll::Ready(Received::Ended);
        }
        if !inner.reader.will_wake(context.waker()) {
            inner.reader = context.waker().clone();
        }
        let received = match std::task::ready!(Pin::new(&mut inner.stream).poll_next(context)) {
            Some(Ok(message)) if message.is_text() => Received::Text(message.into_payload()),
            Some(Ok(message)) if message.is_binary() => {
                Received::Unreadable(Reason::Malformed, "messages are text".into())
            }
            Some(Ok(_)) => Received::Alive,
            Some(Err(Error::PayloadTooLong { len, max_len })) => Received::Unreadable(
                Reason::TooLarge,
                format!("a message of {len} bytes; at most {max_len} are allowed").into(),
            ),
            Some(Err(Error::Protocol(error))) => {
                Received::Unreadable(Reason::Malformed, error.to_string().into())
            }
            Some(Err(_)) | None => Received::Ended,
        };
        Poll::Ready(received)
    }

    /// Sends a text as far as the kernel takes it and queues the rest. A peer that is gone is noticed by its reader.
    pub(super) fn send(&self, text: String) -> Result<(), Overflow> {
        self.0.borrow_mut().send(Message::text(text))
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&self) -> Result<(), Overflow> {
        self.0.borrow_mut().send(Message::ping(""))
    }

    /// Sends a close frame behind all that is queued. The reader goes on until the peer has answered it.
    pub(super) fn close(&self, reason: Reason) {
        let code = CloseCode::try_from(CLOSED_FOR_A_REASON).ok();
        // What cannot even take a close frame is dropped by its owner soon after.
        let _ = self.0.borrow_mut().send(Message::close(code, reason.as_str()));
    }

    /// Makes the reader end at once.
    pub(super) fn give_up(&self) {
        let mut inner = self.0.borrow_mut();
        inner.dropped = true;
        inner.reader.wake_by_ref();
    }

    /// Whether something is queued of which the peer has taken nothing since this was last asked.
    pub(super) fn is_stuck(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        let taken = inner.stream.get_ref().taken;
        let moved = std::mem::replace(&mut inner.taken_before, taken) != taken;
        inner.queued() > 0 && !moved
    }
}

impl Inner {
    fn send(&mut self, message: Message) -> Result<(), Overflow> {
        let length = message.as_payload().len() as u64 + frame_header_bytes(message.as_payload().len());
        if self.queued() + length > OUTBOX_BYTES {
            return Err(Overflow);
        }
        if Pin::new(&mut self.stream).start_send(message).is_err() {
            return Ok(());
        }
        self.sent += length;
        let mut context = Context::from_waker(&self.reader);
        if Pin::new(&mut self.stream).poll_flush(&mut context).is_ready() {
            // Also counts what the library sends by itself (pongs) on both sides again.
            self.sent = self.stream.get_ref().taken;
        }
        Ok(())
    }

    fn queued(&self) -> u64 {
        self.sent.saturating_sub(self.stream.get_ref().taken)
    }
}

/// Bytes of a server's frame header (RFC 6455, section 5.2).
const fn frame_header_bytes(payload: usize) -> u64 {
    match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    }
}

/// The connection, with what was read of it too early and a count of what it took.
struct Wire {
    tcp: TcpStream,
    /// Boxed, because almost no connection has any.
    read_ahead: Option<Box<Bytes>>,
    /// Bytes written.
    taken: u64,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(ahead) = &mut self.read_ahead {
            let count = ahead.len().min(into.remaining());
            into.put_slice(&ahead[..count]);
            ahead.advance(count);
            if ahead.is_empty() {
                self.read_ahead = None;
            }
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.tcp).poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = std::task::ready!(Pin::new(&mut self.tcp).poll_write(context, from))?;
        self.taken += count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = std::task::ready!(Pin::new(&mut self.tcp).poll_write_vectored(context, from))?;
        self.taken += count as u64;
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
