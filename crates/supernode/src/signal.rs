//! What browsers put into signals: session descriptions and candidates, as `RTCPeerConnection` makes them.

use edgeweave_protocol::Signal;
use serde::{Deserialize, Serialize};
use str0m::Candidate;

/// A signal that a browser, or another native peer, understands.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    Description(Description),
    Candidate(OneCandidate),
}

/// `RTCSessionDescriptionInit`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) sdp: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Offer,
    Answer,
}

/// `RTCIceCandidateInit`, of which only the text matters: there is one transport.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OneCandidate {
    pub(crate) candidate: String,
}

impl Said {
    /// Reads a signal; `None` for what this version does not understand, which may be newer.
    pub(crate) fn read(signal: &Signal) -> Option<Self> {
        serde_json::from_str(signal.as_str()).ok()
    }

    pub(crate) fn describe(kind: Kind, sdp: String) -> Option<Signal> {
        let said = Self::Description(Description { kind, sdp });
        serde_json::to_string(&said).ok()?.parse().ok()
    }
}

impl Description {
    /// Takes the candidates out of the description: those that can be used, and the rest of it.
    ///
    /// Browsers hide local addresses behind names that only multicast DNS resolves (`….local`). Such a candidate would
    /// spoil the whole description; it is not needed either, because the browser that has the address comes to us.
    pub(crate) fn split(self) -> (String, Vec<Candidate>) {
        let mut rest = String::with_capacity(self.sdp.len());
        let mut candidates = Vec::new();
        for line in self.sdp.lines() {
            match line.strip_prefix("a=candidate:") {
                Some(_) => candidates.extend(candidate(&line["a=".len()..])),
                None if line.starts_with("a=end-of-candidates") => {}
                // Whoever answers may choose who begins the handshake. str0m would let the other side begin, which is a
                // round trip later: it has to hear first that the path is good, and we know with its check.
                None if line == "a=setup:actpass" => rest.push_str("a=setup:passive\r\n"),
                None => {
                    rest.push_str(line);
                    rest.push_str("\r\n");
                }
            }
        }
        (rest, candidates)
    }
}

/// A candidate, if it can be used: over UDP, with an address rather than a name.
pub(crate) fn candidate(text: &str) -> Option<Candidate> {
    let transport = text.split_ascii_whitespace().nth(2)?;
    if !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Candidate::from_sdp_string(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "candidate:1 1 udp 2113937151 0d5cd55a-0b63-4a6b.local 54321 typ host generation 0";
    const ADDRESS: &str = "candidate:2 1 udp 1677729535 192.0.2.7 4000 typ host generation 0";
    const TCP: &str = "candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active";

    #[test]
    fn a_description_is_read_without_the_candidates_that_cannot_be_used() {
        let sdp = format!(
            "v=0\r\na={NAME}\r\na={ADDRESS}\r\na={TCP}\r\na=end-of-candidates\r\na=setup:actpass\r\na=mid:0\r\n"
        );
        let (rest, candidates) = Description { kind: Kind::Offer, sdp }.split();
        assert_eq!(rest, "v=0\r\na=setup:passive\r\na=mid:0\r\n");
        assert_eq!(candidates.len(), 1);
        assert_eq!(candidates[0].addr(), "192.0.2.7:4000".parse().unwrap());
    }

    #[test]
    fn signals_are_what_browsers_make() {
        let signal: Signal =
            r#"{"candidate":{"candidate":"","sdpMid":"0","sdpMLineIndex":0}}"#.parse().unwrap();
        assert!(
            matches!(Said::read(&signal), Some(Said::Candidate(said)) if candidate(&said.candidate).is_none())
        );
        let signal = Said::describe(Kind::Answer, "v=0".into()).unwrap();
        assert_eq!(signal.as_str(), r#"{"description":{"type":"answer","sdp":"v=0"}}"#);
        assert!(Said::read(&r#"{"from_the_future":{}}"#.parse().unwrap()).is_none());
    }
}
