//! Letting URLs be admitted before visitors come.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use edgeweave_protocol::Reason;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::assets::spellings;
use super::{Named, Problem};
use crate::app::Shared;
use crate::mesh::Warmed;

/// URLs in one request: an answer comes when the origin has given all of them twice.
const MOST_URLS: usize = 100;

/// What to admit.
#[derive(Deserialize, ToSchema)]
pub(super) struct Wanted {
    /// Absolute URLs, or paths of the site: at most 100.
    urls: Vec<String>,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(super) struct WarmedList {
    /// In the order of the request.
    urls: Vec<WarmedView>,
}

/// What became of a URL.
#[derive(Serialize, ToSchema)]
pub(super) struct WarmedView {
    /// The URL as it was asked for.
    url: String,
    #[serde(flatten)]
    outcome: Outcome,
}

/// Whether it is admitted.
#[derive(Serialize, ToSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Outcome {
    /// It is.
    Admitted,
    /// It is not.
    Refused {
        /// Why not, by its name in metrics.
        reason: &'static str,
        /// Why not, for people.
        meaning: &'static str,
    },
}

impl From<Warmed> for Outcome {
    fn from(warmed: Warmed) -> Self {
        match warmed {
            Ok(()) => Self::Admitted,
            Err(reason) => Self::Refused { reason: reason.as_str(), meaning: reason.meaning().trim() },
        }
    }
}

/// Fetches URLs and admits them, as if visitors had seen them; the answer comes when it is known what became of each.
/// The supernode, if there is one, has the contents then or a moment later. A path of a site with several addresses
/// is admitted under the main one.
#[utoipa::path(post, path = "/api/v1/sites/{site}/warm", security((), ("token" = [])),
    params(("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    request_body = Wanted,
    responses((status = 200, body = WarmedList), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn warm(
    State(app): State<Shared>,
    Named(site): Named,
    body: Bytes,
) -> Result<Json<WarmedList>, Problem> {
    let bad = |error: String| {
        let way_out = format!("send {{\"urls\": [\"/img/hero.avif\", …]}} with at most {MOST_URLS}");
        Problem::new(StatusCode::BAD_REQUEST, error, way_out)
    };
    let Wanted { urls } =
        serde_json::from_slice(&body).map_err(|error| bad(format!("this names no URLs: {error}")))?;
    if urls.len() > MOST_URLS {
        return Err(bad(format!("these are {} URLs", urls.len())));
    }
    // All are asked for before any is waited for: the coordinator says how many are fetched at a time.
    let asked: Vec<_> = urls
        .into_iter()
        .map(|url| {
            let meant = spellings(&site, &url).into_iter().next();
            (url, meant.map(|meant| app.mesh.warm(&site.id, meant.into())))
        })
        .collect();
    let mut warmed = Vec::with_capacity(asked.len());
    for (url, became) in asked {
        let became = match became {
            Some(became) => became.await.map_err(|_| Problem::going_down())?,
            None => Err(Reason::OtherOrigin),
        };
        warmed.push(WarmedView { url, outcome: became.into() });
    }
    Ok(Json(WarmedList { urls: warmed }))
}
