//! WebSocket frames (RFC 6455), as a server meets them. Pure: bytes in, frames out.
//!
//! Libraries read every connection into a buffer of its own, of which an idle session keeps kilobytes and a busy one
//! leaves cold. Here frames are read where they lie, in one buffer for all connections. What else WebSockets are (the
//! upgrade, tests' and generators' clients) is left to libraries; docs/performance.md has the figures.

use edgeweave_protocol::limits::MAX_TO_NODE_BYTES;

/// The longest header of a frame that a server sends: two bytes and a length of eight.
pub(super) const HEADER_BYTES: usize = 10;
/// The most bytes of a control frame's payload (section 5.5).
const CONTROL_BYTES: usize = 125;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a frame is (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// A frame from a client, its payload unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) opcode: Opcode,
    /// The last, or only, frame of its message.
    pub(super) is_final: bool,
    pub(super) payload: &'a [u8],
    /// Bytes of the frame with its header.
    pub(super) length: usize,
}

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// Reserved bits are set, and no extension is in use.
    #[error("a frame has reserved bits")]
    Reserved,
    /// No such opcode.
    #[error("a frame has an unknown opcode")]
    Opcode,
    /// Clients mask what they send (section 5.3).
    #[error("a frame is not masked")]
    Unmasked,
    /// A control frame is in parts, or too long.
    #[error("a control frame is in parts or too long")]
    Control,
    /// A length is not written in its shortest way.
    #[error("a frame's length is not written in the shortest way")]
    Length,
    /// A message begins before another ends, or goes on without having begun.
    #[error("the parts of a message are out of order")]
    Parts,
    /// Text that is no text.
    #[error("a text message is not UTF-8")]
    Utf8,
    /// Over the limit.
    #[error("a message is longer than {MAX_TO_NODE_BYTES} bytes")]
    TooLong,
}

impl Broken {
    /// The close code that says so (section 7.4.1).
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Utf8 => 1007,
            Self::TooLong => 1009,
            _ => 1002,
        }
    }
}

/// Reads the first frame of `bytes`, and unmasks it there; `None` when it is not there in full.
pub(super) fn read(bytes: &mut [u8]) -> Result<Option<Frame<'_>>, Broken> {
    let [first, second, ..] = *bytes else { return Ok(None) };
    if first & RESERVED != 0 {
        return Err(Broken::Reserved);
    }
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Err(Broken::Opcode),
    };
    if second & MASKED == 0 {
        return Err(Broken::Unmasked);
    }
    let is_final = first & FINAL != 0;
    let Some((size, mask_at)) = payload_size(bytes, second & !MASKED)? else { return Ok(None) };
    if matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong) && (!is_final || size > CONTROL_BYTES) {
        return Err(Broken::Control);
    }
    if size > MAX_TO_NODE_BYTES {
        return Err(Broken::TooLong);
    }
    let payload_at = mask_at + 4;
    let length = payload_at + size;
    let Some(frame) = bytes.get_mut(..length) else { return Ok(None) };
    let (header, payload) = frame.split_at_mut(payload_at);
    unmask(payload, [header[mask_at], header[mask_at + 1], header[mask_at + 2], header[mask_at + 3]]);
    Ok(Some(Frame { opcode, is_final, payload, length }))
}

/// How long a payload is, and where the mask stands.
fn payload_size(bytes: &[u8], short: u8) -> Result<Option<(usize, usize)>, Broken> {
    let (size, mask_at, least) = match short {
        126 => match bytes.get(2..4) {
            Some(&[a, b]) => (u64::from(u16::from_be_bytes([a, b])), 4, 126),
            _ => return Ok(None),
        },
        127 => match bytes.get(2..10) {
            Some(&[a, b, c, d, e, f, g, h]) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10, 1 << 16),
            _ => return Ok(None),
        },
        short => (u64::from(short), 2, 0),
    };
    if size < least {
        return Err(Broken::Length);
    }
    usize::try_from(size).map(|size| Some((size, mask_at))).map_err(|_| Broken::TooLong)
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Eight bytes at a time in the source are up to 64 at a time in what the compiler makes of it.
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Writes a server's header so that it ends where the payload begins, at `HEADER_BYTES`; returns where the frame begins.
/// `bytes` are room for a header, and the payload.
pub(super) fn write_header(opcode: Opcode, bytes: &mut [u8]) -> usize {
    let size = bytes.len().saturating_sub(HEADER_BYTES);
    let mut header = [0; HEADER_BYTES];
    header[0] = FINAL | opcode as u8;
    let length = match size {
        0..126 => {
            header[1] = size as u8;
            2
        }
        126..0x1_0000 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(size as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(size as u64).to_be_bytes());
            10
        }
    };
    let begin = HEADER_BYTES - length;
    if let Some(place) = bytes.get_mut(begin..HEADER_BYTES) {
        place.copy_from_slice(&header[..length]);
    }
    begin
}

/// The messages of a connection, out of frames.
#[derive(Default)]
pub(super) struct Assembly {
    /// A message in parts; boxed, because almost no client sends any.
    parts: Option<Box<Parts>>,
}

struct Parts {
    opcode: Opcode,
    payload: Vec<u8>,
}

/// What a connection says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary,
    /// A sign of life, to be answered with its payload.
    Ping(&'a [u8]),
    /// A sign of life.
    Pong,
    /// The other side ends the connection, with this code.
    Close(Option<u16>),
}

impl Assembly {
    /// Takes a frame and passes on the message that it ends, if it ends one.
    pub(super) fn take(&mut self, frame: &Frame<'_>, hear: &mut impl FnMut(Heard<'_>)) -> Result<(), Broken> {
        match (frame.opcode, &mut self.parts) {
            (Opcode::Ping, _) => hear(Heard::Ping(frame.payload)),
            (Opcode::Pong, _) => hear(Heard::Pong),
            (Opcode::Close, _) => hear(Heard::Close(close_code(frame.payload))),
            (Opcode::Continuation, Some(parts)) => {
                if parts.payload.len() + frame.payload.len() > MAX_TO_NODE_BYTES {
                    return Err(Broken::TooLong);
                }
                parts.payload.extend_from_slice(frame.payload);
                if frame.is_final
                    && let Some(parts) = self.parts.take()
                {
                    pass_on(parts.opcode, &parts.payload, hear)?;
                }
            }
            (Opcode::Continuation, None) | (_, Some(_)) => return Err(Broken::Parts),
            (opcode, None) if frame.is_final => pass_on(opcode, frame.payload, hear)?,
            (opcode, None) => self.parts = Some(Box::new(Parts { opcode, payload: frame.payload.to_vec() })),
        }
        Ok(())
    }
}

fn pass_on(opcode: Opcode, payload: &[u8], hear: &mut impl FnMut(Heard<'_>)) -> Result<(), Broken> {
    if opcode == Opcode::Binary {
        hear(Heard::Binary);
        return Ok(());
    }
    hear(Heard::Text(std::str::from_utf8(payload).map_err(|_| Broken::Utf8)?));
    Ok(())
}

fn close_code(payload: &[u8]) -> Option<u16> {
    match payload {
        [high, low, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a client sends it.
    fn client_frame(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            size @ 0..126 => frame.push(MASKED | size as u8),
            size @ 126..0x1_0000 => {
                frame.push(MASKED | 126);
                frame.extend((size as u16).to_be_bytes());
            }
            size => {
                frame.push(MASKED | 127);
                frame.extend((size as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        frame
    }

    /// Everything that a connection says, or what is wrong with it.
    fn heard(mut bytes: Vec<u8>) -> Result<Vec<String>, Broken> {
        let mut assembly = Assembly::default();
        let mut said = Vec::new();
        let mut at = 0;
        while let Some(frame) = read(&mut bytes[at..])? {
            let length = frame.length;
            assembly.take(&frame, &mut |heard| said.push(format!("{heard:?}")))?;
            at += length;
        }
        Ok(said)
    }

    #[test]
    fn messages_are_heard_whole_or_in_parts() {
        let mask = [1, 2, 3, 4];
        let bytes = [
            client_frame(0x81, "h\u{e9}llo".as_bytes(), mask),
            client_frame(0x01, b"one ", mask),
            client_frame(0x89, b"still there?", mask),
            client_frame(0x00, b"two ", mask),
            client_frame(0x80, b"three", mask),
            client_frame(0x82, &[0xff], mask),
            client_frame(0x88, &[0x03, 0xe8], mask),
        ];
        let expected = [
            "Text(\"h\u{e9}llo\")",
            &format!("Ping({:?})", b"still there?"),
            "Text(\"one two three\")",
            "Binary",
            "Close(Some(1000))",
        ];
        assert_eq!(heard(bytes.concat()).unwrap(), expected);
    }

    #[test]
    fn what_breaks_the_protocol_is_named() {
        let mask = [9; 4];
        let long = vec![b'x'; MAX_TO_NODE_BYTES + 1];
        for (bytes, broken) in [
            (client_frame(0xc1, b"", mask), Broken::Reserved),
            (client_frame(0x83, b"", mask), Broken::Opcode),
            (vec![0x81, 0x01, b'x'], Broken::Unmasked),
            (client_frame(0x09, b"", mask), Broken::Control),
            (client_frame(0x89, &[0; 126], mask), Broken::Control),
            (vec![0x81, MASKED | 126, 0, 1], Broken::Length),
            (vec![0x81, MASKED | 127, 0, 0, 0, 0, 0, 0, 0, 1], Broken::Length),
            (vec![0x81, MASKED | 127, 0xff, 0, 0, 0, 0, 0, 0, 1], Broken::TooLong),
            (client_frame(0x81, &long, mask), Broken::TooLong),
            (
                [client_frame(0x01, &long[2..], mask), client_frame(0x80, b"xyz", mask)].concat(),
                Broken::TooLong,
            ),
            (client_frame(0x80, b"", mask), Broken::Parts),
            ([client_frame(0x01, b"", mask), client_frame(0x81, b"", mask)].concat(), Broken::Parts),
            (client_frame(0x81, &[0xff], mask), Broken::Utf8),
        ] {
            assert_eq!(heard(bytes), Err(broken));
        }
    }

    #[test]
    fn a_long_frame_is_refused_before_it_has_come() {
        let mut begin = client_frame(0x81, &vec![b'x'; MAX_TO_NODE_BYTES + 1], [0; 4]);
        assert_eq!(read(&mut begin[..14]).unwrap_err(), Broken::TooLong);
    }

    #[test]
    fn a_server_writes_the_shortest_header() {
        for (size, header) in [
            (0, vec![0x81, 0]),
            (125, vec![0x81, 125]),
            (126, vec![0x81, 126, 0, 126]),
            (0xffff, vec![0x81, 126, 0xff, 0xff]),
            (0x1_0000, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut bytes = vec![0; HEADER_BYTES + size];
            let begin = write_header(Opcode::Text, &mut bytes);
            assert_eq!(bytes[begin..HEADER_BYTES], header);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = heard(bytes);
        }

        #[test]
        fn a_text_is_heard_however_it_is_masked_and_cut(text in "\\PC{0,200}", mask: [u8; 4], cut: prop::sample::Index) {
            let frame = client_frame(0x81, text.as_bytes(), mask);
            prop_assert_eq!(heard(frame.clone()).unwrap(), [format!("{:?}", Heard::Text(&text))]);
            // In parts, cut anywhere, also within a character.
            let cut = cut.index(text.len() + 1);
            let parts = [client_frame(0x01, &text.as_bytes()[..cut], mask), client_frame(0x80, &text.as_bytes()[cut..], mask)];
            prop_assert_eq!(heard(parts.concat()).unwrap(), [format!("{:?}", Heard::Text(&text))]);
            // A frame that is not there in full is waited for.
            let mut begin = frame[..frame.len() - 1].to_vec();
            prop_assert_eq!(read(&mut begin), Ok(None));
        }
    }
}
