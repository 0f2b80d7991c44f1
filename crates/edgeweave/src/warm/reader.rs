//! Reads the site's pages and sitemaps as anybody could: without cookies.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response};
use url::Url;

use super::found;
use crate::failure::Failure;

/// How long a page may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest page or sitemap that is read, in bytes: what the protocol of sitemaps allows.
const MOST_BYTES: usize = 50 << 20;

/// What a URL is.
pub(super) enum Thing {
    /// A page, which names these.
    Page(Vec<Url>),
    /// A sitemap, which names these.
    Sitemap(Vec<Url>),
    /// Something else, or nothing that can be read.
    Asset,
}

/// Reads what belongs to a site's origins.
pub(super) struct Reader {
    client: Client,
    origins: Vec<Url>,
}

impl Reader {
    pub(super) fn new(origins: Vec<Url>) -> Result<Self, Failure> {
        let client = Client::builder().timeout(TIMEOUT).build();
        let client = client.map_err(|error| Failure::other(format!("cannot ask anybody: {error}")))?;
        Ok(Self { client, origins })
    }

    /// The absolute URL of what somebody wrote.
    pub(super) fn resolve(&self, url: &str) -> Result<Url, Failure> {
        let absolute = match self.origins.first() {
            Some(main) => main.join(url),
            None => Url::parse(url),
        };
        let mut absolute = absolute.map_err(|error| Failure::usage(format!("`{url}` is no URL: {error}")))?;
        absolute.set_fragment(None);
        Ok(absolute)
    }

    /// Whether a URL is one of the site's.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        self.origins.iter().any(|origin| origin.origin() == url.origin())
    }

    /// What is there. What cannot be read now is an asset: the node finds out why not.
    pub(super) async fn read(&self, url: &Url) -> Thing {
        if !self.is_own(url) {
            return Thing::Asset;
        }
        let Ok(response) = self.client.get(url.clone()).send().await else { return Thing::Asset };
        // After a redirect names are relative to where it led.
        let at = response.url().clone();
        let kind =
            response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !response.status().is_success() {
            return Thing::Asset;
        }
        match kind.as_str() {
            "text/html" | "application/xhtml+xml" => match text(response).await {
                Some(html) => Thing::Page(found::in_page(&html, &at)),
                None => Thing::Asset,
            },
            "application/xml" | "text/xml" => {
                let named = text(response).await.map(|xml| found::in_sitemap(&xml, &at)).unwrap_or_default();
                if named.is_empty() { Thing::Asset } else { Thing::Sitemap(named) }
            }
            _ => Thing::Asset,
        }
    }
}

/// A body, unless it breaks off or is too large. URLs are ASCII in every encoding that pages have.
async fn text(mut response: Response) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_BYTES {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
