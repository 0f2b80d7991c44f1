//! `/api/v1`: what the operator can ask and order, described by OpenAPI at `/api/v1/openapi.json`.

mod access;
mod activity;
mod assets;
mod policy;
mod sites;
mod warm;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, middleware};
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use utoipa::openapi::OpenApiBuilder;
use utoipa::openapi::info::InfoBuilder;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::access::is_operator;
use crate::app::Shared;
use crate::site::Site;

/// Security and what the paths do not say.
#[derive(OpenApi)]
struct Description;

/// All paths of the API.
pub(crate) fn routes(app: &Shared) -> Router<Shared> {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(sites::list))
        .routes(routes!(sites::one))
        .routes(routes!(sites::reports))
        .routes(routes!(activity::get))
        .routes(routes!(assets::list, assets::purge))
        .routes(routes!(warm::warm))
        .routes(routes!(policy::get, policy::put))
        .split_for_parts();
    let components = description.components.get_or_insert_default();
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    components.add_security_scheme("token", bearer);
    let info = InfoBuilder::new().title("Edgeweave node").version(env!("CARGO_PKG_VERSION")).build();
    let description = Arc::new(OpenApiBuilder::from(description).info(info).build());
    router
        .route(
            "/api/v1/openapi.json",
            axum::routing::get(move || async move { Json((*description).clone()) }),
        )
        .layer(middleware::from_fn_with_state(app.clone(), access::check))
}

/// Why the API did not do what was asked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    /// What is wrong.
    error: String,
    /// What to do about it.
    way_out: String,
}

impl Problem {
    fn new(status: StatusCode, error: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { status, error: error.into(), way_out: way_out.into() }
    }

    /// The mesh thread is gone.
    fn going_down() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the node is going down", "ask again when it is back")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

/// The site that a path names: by its name, or by `host[:port]` of one of its origins.
struct Named(Arc<Site>);

impl FromRequestParts<Shared> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let name = axum::extract::Path::<String>::from_request_parts(parts, app).await;
        let name = name.map(|axum::extract::Path(name)| name).unwrap_or_default();
        let site = app.sites.find(&name).cloned();
        site.map(Self).ok_or_else(|| {
            let known: Vec<&str> = app.sites.iter().map(|site| site.id.as_str()).collect();
            let way_out = format!("this node has {}", known.join(", "));
            Problem::new(StatusCode::NOT_FOUND, format!("there is no site `{name}` here"), way_out)
        })
    }
}
