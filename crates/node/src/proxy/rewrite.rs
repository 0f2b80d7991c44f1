//! The body of a document that is given the snippet: decoded, rewritten, encoded, frame by frame as it comes.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, MultiGzDecoder};
use http_body::{Body, Frame};

use super::injector::{Found, Injector};
use super::plan::{Coding, Codings, Untouched};
use crate::metrics::{ByReason, ProxyMetrics};

/// Documents are compressed while they stream, so quickly rather than as well as possible.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_BITS: u32 = 19;
const BROTLI_BUFFER_BYTES: usize = 4096;

/// A document's body, as the visitor gets it.
pub(super) struct Rewritten<B> {
    origin: B,
    stages: Option<Stages>,
}

struct Stages {
    decoder: Decoder,
    injector: Injector,
    encoder: Encoder,
    metrics: ProxyMetrics,
}

enum Decoder {
    Identity(Vec<u8>),
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
}

enum Encoder {
    Identity(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
}

impl<B> Rewritten<B> {
    /// The document whose body the origin sends as `origin`.
    pub(super) fn new(origin: B, codings: Codings, metrics: ProxyMetrics) -> Self {
        let stages = Stages {
            decoder: Decoder::new(codings.decode),
            injector: Injector::new(),
            encoder: Encoder::new(codings.encode),
            metrics,
        };
        Self { origin, stages: Some(stages) }
    }
}

impl<B> Body for Rewritten<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if self.stages.is_none() {
                return Poll::Ready(None);
            }
            let frame = std::task::ready!(Pin::new(&mut self.origin).poll_frame(context));
            let out = match (frame, &mut self.stages) {
                (Some(Ok(frame)), Some(stages)) => match frame.into_data() {
                    Ok(data) => stages.push(&data),
                    // Trailers say something of the origin's bytes.
                    Err(_) => continue,
                },
                (Some(Err(error)), _) => return Poll::Ready(Some(Err(error.into()))),
                (None, stages) => match stages.take() {
                    Some(stages) => stages.finish(),
                    None => return Poll::Ready(None),
                },
                (_, None) => return Poll::Ready(None),
            };
            match out {
                Ok(out) if out.is_empty() => {}
                Ok(out) => return Poll::Ready(Some(Ok(Frame::data(out.into())))),
                Err(error) => {
                    self.stages = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }
}

impl Stages {
    fn push(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let decoded = self.decoder.push(chunk)?;
        let (rewritten, found) = self.injector.push(&decoded);
        self.count(found);
        self.encoder.push(&rewritten)
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        let decoded = self.decoder.finish()?;
        let (mut rewritten, found) = self.injector.push(&decoded);
        self.count(found);
        let (rest, found) = self.injector.finish();
        self.count(found);
        rewritten.extend(rest);
        self.encoder.finish(&rewritten)
    }

    fn count(&self, found: Found) {
        match found {
            Found::NotYet => {}
            Found::Place => {
                self.metrics.injected.inc();
            }
            Found::Nothing => {
                let why = ByReason::named(Untouched::NoPlace.as_str());
                self.metrics.left_alone.get_or_create(&why).inc();
            }
        }
    }
}

impl Decoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity(Vec::new()),
            Coding::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Coding::Brotli => {
                Self::Brotli(Box::new(brotli::DecompressorWriter::new(Vec::new(), BROTLI_BUFFER_BYTES)))
            }
        }
    }

    fn push(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        let out = match self {
            Self::Identity(out) => {
                out.extend_from_slice(chunk);
                out
            }
            Self::Gzip(gzip) => {
                gzip.write_all(chunk)?;
                gzip.flush()?;
                gzip.get_mut()
            }
            Self::Brotli(brotli) => {
                brotli.write_all(chunk)?;
                brotli.get_mut()
            }
        };
        Ok(std::mem::take(out))
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        let out = match self {
            Self::Identity(out) => out,
            Self::Gzip(gzip) => {
                gzip.try_finish()?;
                gzip.get_mut()
            }
            Self::Brotli(brotli) => {
                brotli.close()?;
                brotli.get_mut()
            }
        };
        Ok(std::mem::take(out))
    }
}

impl Encoder {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity(Vec::new()),
            Coding::Gzip => Self::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::fast()))),
            Coding::Brotli => Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER_BYTES,
                BROTLI_QUALITY,
                BROTLI_WINDOW_BITS,
            ))),
        }
    }

    /// Everything that has come so far goes out: a page that the origin sends bit by bit is shown bit by bit.
    fn push(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        if chunk.is_empty() {
            return Ok(Vec::new());
        }
        let out = match self {
            Self::Identity(out) => {
                out.extend_from_slice(chunk);
                out
            }
            Self::Gzip(gzip) => {
                gzip.write_all(chunk)?;
                gzip.flush()?;
                gzip.get_mut()
            }
            Self::Brotli(brotli) => {
                brotli.write_all(chunk)?;
                brotli.flush()?;
                brotli.get_mut()
            }
        };
        Ok(std::mem::take(out))
    }

    fn finish(self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity(mut out) => {
                out.extend_from_slice(chunk);
                Ok(out)
            }
            Self::Gzip(mut gzip) => {
                gzip.write_all(chunk)?;
                gzip.finish()
            }
            Self::Brotli(mut brotli) => {
                brotli.write_all(chunk)?;
                Ok(brotli.into_inner())
            }
        }
    }
}
