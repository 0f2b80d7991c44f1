//! The node's API, as far as it is needed here.

use reqwest::{Client, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::failure::Failure;

/// A site's part of a node's API.
pub(super) struct Api {
    client: Client,
    site: Url,
    token: Option<String>,
}

/// What became of a URL.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Warmed {
    /// The URL.
    pub(super) url: String,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

/// Whether it is admitted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(super) enum Outcome {
    /// It is.
    Admitted,
    /// It is not.
    Refused {
        /// By its name in metrics.
        reason: String,
        /// For people.
        meaning: String,
    },
}

#[derive(Deserialize)]
struct Site {
    origins: Vec<Url>,
}

#[derive(Deserialize)]
struct WarmedList {
    urls: Vec<Warmed>,
}

/// What the API says when it does not do what was asked.
#[derive(Deserialize)]
struct Problem {
    error: String,
    way_out: String,
}

impl Api {
    pub(super) fn new(node: &Url, site: &str, token: Option<&str>) -> Result<Self, Failure> {
        let mut url = node.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => _ = segments.clear().extend(["api", "v1", "sites", site]),
            Err(()) => return Err(Failure::usage(format!("--node {node} is no address of a node"))),
        }
        // The node is where it is said to be, whatever proxy the environment names. It answers when the origin has.
        let client = Client::builder().no_proxy().build();
        let client = client.map_err(|error| Failure::other(format!("cannot ask anybody: {error}")))?;
        Ok(Self { client, site: url, token: token.map(str::to_owned) })
    }

    /// Where visitors find the site; the first is the main one.
    pub(super) async fn origins(&self) -> Result<Vec<Url>, Failure> {
        let Site { origins } = self.ask(self.client.get(self.site.clone())).await?;
        Ok(origins)
    }

    /// Has URLs admitted, and waits for what becomes of them.
    pub(super) async fn warm(&self, urls: &[String]) -> Result<Vec<Warmed>, Failure> {
        let url = format!("{}/warm", self.site);
        let WarmedList { urls } =
            self.ask(self.client.post(url).json(&serde_json::json!({ "urls": urls }))).await?;
        Ok(urls)
    }

    async fn ask<T: DeserializeOwned>(&self, mut request: RequestBuilder) -> Result<T, Failure> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| {
            Failure::other(format!("no node answers at {}: {error}", self.site))
                .with_way_out("say where its operator is answered with --node")
        })?;
        let status = response.status();
        let unread = |error: reqwest::Error| {
            Failure::other(format!(
                "{} answered {status}, and what it said is not a node's: {error}",
                self.site
            ))
            .with_way_out("say where a node's operator is answered with --node")
        };
        if status.is_success() {
            return response.json().await.map_err(unread);
        }
        let Problem { error, way_out } = response.json().await.map_err(unread)?;
        Err(Failure::other(error).with_way_out(way_out))
    }
}
