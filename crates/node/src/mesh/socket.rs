//! One WebSocket of a peer.
//!
//! A socket is read by its own task and written to by whoever has something for its peer, at once and without a hop
//! between tasks. What the kernel does not take stays queued in the socket; then the socket's own task is woken to go
//! on, because every write is polled with that task's waker.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use edgeweave_protocol::Reason;
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::frames::{self, Assembly, Broken, HEADER_BYTES, Heard, Opcode};

/// What is read at a time; a full message and more.
const READ_BYTES: usize = 128 * 1024;
/// The most bytes that may be queued for one peer: a full manifest of the largest site, which is sent in one go.
const OUTBOX_BYTES: usize = 16 << 20;
/// A buffer that grew beyond this for one large message is let go.
const KEPT_BYTES: usize = 64 * 1024;
/// The code with which a session is closed for one of our reasons; codes from 4000 on belong to applications
/// (RFC 6455, section 7.4.2). The reason's name is the close frame's text.
const CLOSED_FOR_A_REASON: u16 = 4000;
/// The code with which a close without a code is answered.
const NORMAL: u16 = 1000;

/// A buffer that all sockets of a thread read into, one after the other, so that none needs one of its own and it
/// stays in the processor's cache.
pub(super) struct ReadBuffer(RefCell<Box<[u8]>>);

/// A buffer that messages are written in before they go out.
#[derive(Default)]
pub(super) struct WriteBuffer(Vec<u8>);

/// A peer's socket.
pub(super) struct Socket(RefCell<Inner>);

struct Inner {
    tcp: TcpStream,
    /// The task that reads.
    reader: Waker,
    /// The beginning of a frame that has not come in full.
    begun: Vec<u8>,
    assembly: Assembly,
    outbox: Outbox,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// A close frame is sent or queued; nothing is sent behind it.
    Closing,
    /// Nothing more is to be read; what is queued goes out, if the peer takes it.
    Ended,
    /// The reader is to give up.
    Dropped,
}

/// What the kernel has not taken.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    /// How many of them went out.
    taken: usize,
    /// Whether any did since somebody last asked.
    moved: bool,
}

/// What was read.
pub(super) enum Received<'a> {
    /// A text message.
    Text(&'a str),
    /// A sign of life without a message.
    Alive,
    /// Something that is no message.
    Unreadable(Reason, Box<str>),
}

/// More is queued for a peer than it may be.
pub(super) struct Overflow;

impl Default for ReadBuffer {
    fn default() -> Self {
        Self(RefCell::new(vec![0; READ_BYTES].into()))
    }
}

impl WriteBuffer {
    /// A message as a frame; nothing for what cannot be written, which no message is.
    pub(super) fn text(&mut self, message: &impl Serialize) -> Option<&[u8]> {
        if self.0.capacity() > KEPT_BYTES {
            self.0 = Vec::new();
        }
        self.0.clear();
        self.0.resize(HEADER_BYTES, 0);
        serde_json::to_writer(&mut self.0, message).ok()?;
        let begin = frames::write_header(Opcode::Text, &mut self.0);
        self.0.get(begin..)
    }
}

impl Socket {
    /// A socket of a connection whose upgrade was answered; `read_ahead` was read behind the request.
    pub(super) fn new(tcp: TcpStream, read_ahead: Bytes) -> Self {
        Self(RefCell::new(Inner {
            tcp,
            reader: Waker::noop().clone(),
            begun: read_ahead.into(),
            assembly: Assembly::default(),
            outbox: Outbox::default(),
            state: State::Open,
        }))
    }

    /// Hears the peer out until the connection ends. Only one task may do so.
    pub(super) async fn hear_out(&self, buffer: &ReadBuffer, mut hear: impl FnMut(Received<'_>)) {
        self.read_on(&mut [], &mut hear);
        while let Some(count) = std::future::poll_fn(|context| self.poll_read(buffer, context)).await {
            let mut buffer = buffer.0.borrow_mut();
            if let Some(bytes) = buffer.get_mut(..count) {
                self.read_on(bytes, &mut hear);
            }
        }
    }

    /// Sends a frame as far as the kernel takes it and queues the rest. A peer that is gone is noticed by its reader.
    pub(super) fn send(&self, frame: &[u8]) -> Result<(), Overflow> {
        self.0.borrow_mut().send(frame)
    }

    /// Asks for a sign of life.
    pub(super) fn ping(&self) -> Result<(), Overflow> {
        self.0.borrow_mut().send_control(Opcode::Ping, &[])
    }

    /// Sends a close frame behind all that is queued. The reader goes on until the peer has answered it.
    pub(super) fn close(&self, reason: Reason) {
        self.0.borrow_mut().close(CLOSED_FOR_A_REASON, reason.as_str());
    }

    /// Makes the reader end at once.
    pub(super) fn give_up(&self) {
        let mut inner = self.0.borrow_mut();
        inner.state = State::Dropped;
        inner.reader.wake_by_ref();
    }

    /// Whether something is queued of which the peer has taken nothing since this was last asked.
    pub(super) fn is_stuck(&self) -> bool {
        let mut inner = self.0.borrow_mut();
        let moved = std::mem::take(&mut inner.outbox.moved);
        !inner.outbox.is_empty() && !moved
    }

    /// Reads some bytes into the buffer; `None` when the connection has ended.
    fn poll_read(&self, buffer: &ReadBuffer, context: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut inner = self.0.borrow_mut();
        if !inner.reader.will_wake(context.waker()) {
            inner.reader = context.waker().clone();
        }
        if inner.state == State::Dropped || inner.flush(context).is_err() {
            return Poll::Ready(None);
        }
        if inner.state == State::Ended {
            return if inner.outbox.is_empty() { Poll::Ready(None) } else { Poll::Pending };
        }
        let mut buffer = buffer.0.borrow_mut();
        let mut into = ReadBuf::new(&mut buffer);
        match std::task::ready!(Pin::new(&mut inner.tcp).poll_read(context, &mut into)) {
            Ok(()) if !into.filled().is_empty() => Poll::Ready(Some(into.filled().len())),
            _ => Poll::Ready(None),
        }
    }

    /// Hears what is in some bytes. The socket is not borrowed meanwhile: what is heard is answered at once.
    fn read_on(&self, bytes: &mut [u8], hear: &mut impl FnMut(Received<'_>)) {
        let mut begun = std::mem::take(&mut self.0.borrow_mut().begun);
        if begun.is_empty() {
            let read = self.read_frames(bytes, hear);
            // Almost always nothing is left over, and nothing is allocated.
            begun.extend_from_slice(bytes.get(read..).unwrap_or_default());
        } else {
            begun.extend_from_slice(bytes);
            let read = self.read_frames(&mut begun, hear);
            begun.drain(..read.min(begun.len()));
            if begun.is_empty() {
                begun = Vec::new();
            }
        }
        self.0.borrow_mut().begun = begun;
    }

    /// Hears all whole frames; returns how many bytes those were.
    fn read_frames(&self, bytes: &mut [u8], hear: &mut impl FnMut(Received<'_>)) -> usize {
        let mut assembly = std::mem::take(&mut self.0.borrow_mut().assembly);
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..)
            && !rest.is_empty()
            && self.reads()
        {
            let read = frames::read(rest).and_then(|frame| {
                let Some(frame) = frame else { return Ok(None) };
                assembly.take(&frame, &mut |heard| self.pass_on(heard, hear))?;
                Ok(Some(frame.length))
            });
            match read {
                Ok(Some(length)) => at += length,
                Ok(None) => break,
                Err(broken) => {
                    self.break_off(broken, hear);
                    at = bytes.len();
                }
            }
        }
        self.0.borrow_mut().assembly = assembly;
        at
    }

    fn reads(&self) -> bool {
        matches!(self.0.borrow().state, State::Open | State::Closing)
    }

    fn pass_on(&self, heard: Heard<'_>, hear: &mut impl FnMut(Received<'_>)) {
        match heard {
            Heard::Text(text) => hear(Received::Text(text)),
            Heard::Binary => hear(Received::Unreadable(Reason::Malformed, "messages are text".into())),
            Heard::Pong => hear(Received::Alive),
            Heard::Ping(payload) => {
                // A peer that pings and does not read is found by its outbox, as any other.
                let _ = self.0.borrow_mut().send_control(Opcode::Pong, payload);
                hear(Received::Alive);
            }
            Heard::Close(code) => {
                let mut inner = self.0.borrow_mut();
                inner.close(code.unwrap_or(NORMAL), "");
                inner.state = State::Ended;
            }
        }
    }

    /// Whoever is told about it may still say something; then nothing more is said or heard.
    fn break_off(&self, broken: Broken, hear: &mut impl FnMut(Received<'_>)) {
        let reason = if broken == Broken::TooLong { Reason::TooLarge } else { Reason::Malformed };
        hear(Received::Unreadable(reason, broken.to_string().into()));
        let mut inner = self.0.borrow_mut();
        inner.close(broken.code(), &broken.to_string());
        inner.state = State::Ended;
    }
}

impl Inner {
    fn send(&mut self, frame: &[u8]) -> Result<(), Overflow> {
        if self.state != State::Open {
            return Ok(());
        }
        let mut rest = frame;
        if self.outbox.is_empty() {
            let mut context = Context::from_waker(&self.reader);
            while !rest.is_empty() {
                match Pin::new(&mut self.tcp).poll_write(&mut context, rest) {
                    Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                    // The reader meets the same error.
                    Poll::Ready(Err(_)) => return Ok(()),
                    Poll::Pending => break,
                }
            }
        }
        if rest.len() + self.outbox.len() > OUTBOX_BYTES {
            return Err(Overflow);
        }
        self.outbox.bytes.extend_from_slice(rest);
        Ok(())
    }

    fn send_control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Overflow> {
        let mut frame = vec![0; HEADER_BYTES];
        frame.extend_from_slice(payload);
        let begin = frames::write_header(opcode, &mut frame);
        self.send(frame.get(begin..).unwrap_or_default())
    }

    fn close(&mut self, code: u16, text: &str) {
        if self.state == State::Open {
            let payload = [&code.to_be_bytes()[..], text.as_bytes()].concat();
            // What cannot even take a close frame is dropped by its owner soon after.
            let _ = self.send_control(Opcode::Close, &payload);
            self.state = State::Closing;
        }
    }

    /// Sends what is queued, as far as the kernel takes it.
    fn flush(&mut self, context: &mut Context<'_>) -> Result<(), std::io::Error> {
        while !self.outbox.is_empty() {
            let rest = self.outbox.bytes.get(self.outbox.taken..).unwrap_or_default();
            match Pin::new(&mut self.tcp).poll_write(context, rest) {
                Poll::Ready(count) => self.outbox.take(count?),
                Poll::Pending => break,
            }
        }
        Ok(())
    }
}

impl Outbox {
    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        self.moved = true;
        if self.taken >= self.bytes.len() {
            self.bytes = Vec::new();
            self.taken = 0;
        }
    }
}
