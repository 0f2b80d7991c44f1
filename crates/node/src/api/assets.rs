//! What is admitted, and how it is purged.

use axum::Json;
use axum::extract::{Query, State};
use edgeweave_coordinator::Coordinator;
use edgeweave_protocol::manifest::Asset;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::{Named, Problem};
use crate::app::{App, Shared};
use crate::site::Site;
use crate::web_origin::WebOrigin;

/// Assets that are shown when nobody says how many.
const SHOWN: usize = 1000;
/// What stands for every URL in a purge.
const EVERYTHING: &str = "*";

/// A part of a long list.
#[derive(Deserialize, IntoParams)]
pub(super) struct Part {
    /// The most that are shown.
    limit: Option<usize>,
    /// How many are left out before.
    offset: Option<usize>,
}

/// What to purge.
#[derive(Deserialize, IntoParams)]
pub(super) struct What {
    /// An absolute URL, or a path of the site; `*` for everything.
    url: String,
}

/// Admitted assets.
#[derive(Serialize, ToSchema)]
pub(super) struct AssetList {
    /// How many there are in all.
    total: usize,
    /// A part of them, by index.
    assets: Vec<AssetView>,
}

/// An admitted asset.
#[derive(Serialize, ToSchema)]
pub(super) struct AssetView {
    /// The index in the manifest.
    id: u32,
    /// The absolute URL.
    url: String,
    /// The content's name.
    hash: String,
    /// Bytes.
    size: u64,
    /// How long it stays fresh, in milliseconds.
    fresh_ms: u64,
    /// 200, or 404 or 410 of what is missing.
    status: u16,
}

/// What was purged.
#[derive(Serialize, ToSchema)]
pub(super) struct Purged {
    /// The URLs.
    purged: Vec<String>,
}

/// What is admitted.
#[utoipa::path(get, path = "/api/v1/sites/{site}/assets", security((), ("token" = [])),
    params(Part, ("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = AssetList), (status = 400), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn list(
    State(app): State<Shared>,
    Named(site): Named,
    Query(part): Query<Part>,
) -> Result<Json<AssetList>, Problem> {
    let assets = admitted(&app, &site).await?;
    let total = assets.len();
    let assets = assets.into_iter().skip(part.offset.unwrap_or(0)).take(part.limit.unwrap_or(SHOWN));
    Ok(Json(AssetList { total, assets: assets.map(|asset| view(&asset)).collect() }))
}

/// Purges an asset: connected peers hear of it at once, and nobody uses it again.
#[utoipa::path(delete, path = "/api/v1/sites/{site}/assets", security((), ("token" = [])),
    params(What, ("site" = String, Path, description = "The site's name, or `host[:port]` of one of its origins")),
    responses((status = 200, body = Purged), (status = 400), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn purge(
    State(app): State<Shared>,
    Named(site): Named,
    Query(What { url }): Query<What>,
) -> Result<Json<Purged>, Problem> {
    let before = admitted(&app, &site).await?;
    if url == EVERYTHING {
        app.mesh.purge(&site.id, None);
        // The answer comes when the mesh thread has done it.
        admitted(&app, &site).await?;
        return Ok(Json(done(&app, before).await));
    }
    let urls = spellings(&site, &url);
    if urls.is_empty() {
        let way_out = "give an absolute URL of one of its origins, or a path that begins with /";
        let error = format!("`{url}` is no URL of the site `{}`", site.id);
        return Err(Problem::new(StatusCode::NOT_FOUND, error, way_out));
    }
    // Also what is only about to be admitted is fetched again.
    for url in &urls {
        app.mesh.purge(&site.id, Some(url.as_str().into()));
    }
    admitted(&app, &site).await?;
    let is_meant = |asset: &Asset| urls.iter().any(|url| **url == *asset.url);
    let purged: Vec<Asset> = before.into_iter().filter(is_meant).collect();
    if purged.is_empty() {
        let way_out = format!("GET /api/v1/sites/{}/assets lists what is", site.id);
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("{} is not admitted", urls.join(", ")),
            way_out,
        ));
    }
    Ok(Json(done(&app, purged).await))
}

/// The supernode does not give them any more; here they leave its disk.
async fn done(app: &App, purged: Vec<Asset>) -> Purged {
    if let Some(supernode) = &app.supernode {
        supernode.purged(&app.mesh, &purged).await;
    }
    Purged { purged: purged.iter().map(|asset| asset.url.to_string()).collect() }
}

async fn admitted(app: &Shared, site: &Site) -> Result<Vec<Asset>, Problem> {
    let assets = app.mesh.look(&site.id, Coordinator::assets).await;
    assets.ok_or_else(Problem::going_down)
}

fn view(asset: &Asset) -> AssetView {
    AssetView {
        id: asset.id.0,
        url: asset.url.as_ref().into(),
        hash: asset.hash.to_string(),
        size: asset.size,
        fresh_ms: asset.fresh_ms,
        status: asset.status,
    }
}

/// All absolute URLs that a URL or path of a site can mean: a proxied site is the same under all its addresses.
pub(super) fn spellings(site: &Site, url: &str) -> Vec<String> {
    let is_path = url.starts_with('/') && !url.starts_with("//");
    let origins = site.origins.iter();
    let under =
        |rest: &str| origins.clone().filter_map(|origin| normal(&format!("{origin}{rest}"))).collect();
    if is_path {
        return under(url);
    }
    let Some(url) = normal(url) else { return Vec::new() };
    let own = |origin: &WebOrigin| origin.strip(&url);
    match &site.upstream {
        Some(upstream) => match site.origins.iter().chain([upstream]).find_map(own) {
            Some(rest) => under(rest),
            None => Vec::new(),
        },
        None => site
            .origins
            .iter()
            .any(|origin| own(origin).is_some())
            .then_some(url.clone())
            .into_iter()
            .collect(),
    }
}

/// A URL as browsers write it, without a fragment.
fn normal(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    url.set_fragment(None);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(origins: &[&str], upstream: Option<&str>) -> Site {
        let parsed = |text: &&str| text.parse().unwrap();
        let upstream = upstream.as_ref().map(parsed);
        let origins = origins.iter().map(parsed).collect();
        Site::new("s".parse().unwrap(), origins, upstream, Default::default(), Default::default())
    }

    #[test]
    fn a_proxied_site_is_the_same_under_all_its_addresses() {
        let site = site(&["http://127.0.0.1:80", "http://localhost"], Some("http://10.0.0.1:3000"));
        let both = ["http://127.0.0.1/a?b", "http://localhost/a?b"];
        for url in
            ["/a?b", "http://localhost/a?b#c", "http://10.0.0.1:3000/a?b", "HTTP://LOCALHOST:80/x/../a?b"]
        {
            assert_eq!(spellings(&site, url), both, "{url}");
        }
        for url in ["http://example.com/a", "a", "//localhost/a", ""] {
            assert!(spellings(&site, url).is_empty(), "{url}");
        }
    }

    #[test]
    fn origins_of_other_sites_are_each_their_own() {
        let site = site(&["https://a.example", "https://img.example"], None);
        assert_eq!(spellings(&site, "https://img.example/x"), ["https://img.example/x"]);
        assert_eq!(spellings(&site, "/x"), ["https://a.example/x", "https://img.example/x"]);
    }
}
