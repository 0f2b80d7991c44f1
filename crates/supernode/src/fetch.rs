//! Gets a content that is admitted: from the node, which names it by its hash, or else from the origin. Neither is
//! believed: what is kept has the hash that the manifest says.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use edgeweave_protocol::Digest;
use edgeweave_protocol::naming::PieceHasher;
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::error::CannotStart;
use crate::folder::Folder;
use crate::metrics::From;

/// Who asks.
const USER_AGENT: &str =
    concat!("edgeweave/", env!("CARGO_PKG_VERSION"), " (", env!("CARGO_PKG_REPOSITORY"), ")");
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long may pass without a byte.
const SILENCE: Duration = Duration::from_secs(15);

/// A content that is admitted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) hash: Digest,
    pub(crate) size: u64,
    /// Where the origin has it.
    pub(crate) url: Arc<str>,
}

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotFetch {
    #[error("{0} does not answer: {1}")]
    Unreachable(Box<str>, reqwest::Error),
    #[error("{0} answers {1}")]
    Status(Box<str>, StatusCode),
    #[error("{0} has other bytes than those that were admitted")]
    Differs(Box<str>),
    #[error("the node does not hold it")]
    NotHeld,
    #[error("a content cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl CannotFetch {
    /// The reason's name in metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(..) => "unreachable",
            Self::Status(..) => "status",
            Self::Differs(_) => "differs",
            Self::NotHeld => "not_held",
            Self::Disk(error)
                if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) =>
            {
                "disk_full"
            }
            Self::Disk(_) => "disk_error",
        }
    }
}

/// The anonymous client.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    node: Url,
}

impl Fetcher {
    pub(crate) fn new(node: Url) -> Result<Self, CannotStart> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(redirect::Policy::none())
            // Proxies of the environment would see what visitors are given.
            .no_proxy()
            .build()
            .map_err(|error| CannotStart::System { doing: "make HTTP requests", about: error.to_string() })?;
        Ok(Self { client, node })
    }

    /// Gets a content into the folder; says from where.
    pub(crate) async fn fetch(&self, folder: &Folder, wanted: &Wanted) -> Result<From, CannotFetch> {
        let at_node = self.node.join(&format!("/asset/{}", wanted.hash));
        let at_node = at_node.map_or_else(|_| self.node.to_string(), String::from);
        match self.fetch_from(&at_node, folder, wanted).await {
            Ok(()) => Ok(From::Node),
            // The disk is no better for what the origin sends.
            Err(error @ CannotFetch::Disk(_)) => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the origin is asked instead");
                self.fetch_from(&wanted.url, folder, wanted).await?;
                Ok(From::Origin)
            }
        }
    }

    async fn fetch_from(&self, url: &str, folder: &Folder, wanted: &Wanted) -> Result<(), CannotFetch> {
        let unreachable = |error: reqwest::Error| CannotFetch::Unreachable(url.into(), error.without_url());
        let response = self.client.get(url).send().await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            return Err(CannotFetch::Status(url.into(), response.status()));
        }
        let part = folder.begin()?;
        let mut file = tokio::fs::File::from_std(part.reopen()?);
        let named = copy(response, &mut file, wanted.size).await;
        match named.map_err(|error| match error {
            CannotCopy::Read(error) => unreachable(error),
            CannotCopy::Write(error) => CannotFetch::Disk(error),
        })? {
            Some(hash) if hash == wanted.hash => Ok(folder.put(part, hash)?),
            _ => Err(CannotFetch::Differs(url.into())),
        }
    }
}

enum CannotCopy {
    Read(reqwest::Error),
    Write(io::Error),
}

/// Writes a response as it comes; returns its content's name, or nothing when it has not the right length.
async fn copy(
    mut response: Response,
    file: &mut tokio::fs::File,
    size: u64,
) -> Result<Option<Digest>, CannotCopy> {
    let mut hasher = PieceHasher::default();
    while let Some(chunk) = response.chunk().await.map_err(CannotCopy::Read)? {
        hasher.update(&chunk);
        if hasher.size() > size {
            return Ok(None);
        }
        file.write_all(&chunk).await.map_err(CannotCopy::Write)?;
    }
    // What the system could not write it may say only now.
    file.sync_data().await.map_err(CannotCopy::Write)?;
    Ok((hasher.size() == size).then(|| hasher.finish().hash))
}
