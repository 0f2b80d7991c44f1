//! `GET /mesh`: a peer's WebSocket, handed over to the mesh thread.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use edgeweave_coordinator::io::{Place, Whose};
use headers::{Connection, HeaderMapExt, SecWebsocketAccept, SecWebsocketKey, SecWebsocketVersion, Upgrade};
use http::header::{ORIGIN, USER_AGENT};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::say;
use crate::api::is_operator;
use crate::app::{App, Shared};
use crate::client::Client;
use crate::mesh::Arrival;
use crate::place::browser_kind;
use crate::web_origin::WebOrigin;

/// By this a native peer says that it is the operator's, who may use the API.
const SUPERNODE: &str = "supernode";

/// Answers the upgrade; what comes after it is the mesh thread's.
pub(super) async fn join(State(app): State<Shared>, mut request: Request) -> Response {
    let headers = request.headers();
    let Some(key) = websocket_key(headers) else {
        let about = "/mesh is a WebSocket: ask for an upgrade to it, version 13 (RFC 6455)";
        return (StatusCode::UPGRADE_REQUIRED, [("upgrade", "websocket")], about).into_response();
    };
    let client = app.client(&request);
    let Ok(origin) = page_origin(&app, &client, headers) else {
        let about = "this page's origin belongs to none of the sites of this node; \
                     add it to the site's `origins` (or give --public-origin)";
        return say(StatusCode::FORBIDDEN, about).into_response();
    };
    let user_agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let browser = browser_kind(user_agent.unwrap_or_default());
    let place = Place { browser, whose: whose(&app, &request), ..app.places.of(client.address) };
    let on_upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(hand_over(app, on_upgrade, client, place, origin));

    let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
    let headers = response.headers_mut();
    headers.typed_insert(Connection::upgrade());
    headers.typed_insert(Upgrade::websocket());
    headers.typed_insert(SecWebsocketAccept::from(key));
    response
}

fn websocket_key(headers: &HeaderMap) -> Option<SecWebsocketKey> {
    let upgrades = headers.typed_get::<Connection>().is_some_and(|connection| connection.contains("upgrade"));
    let to_websocket = headers.typed_get::<Upgrade>() == Some(Upgrade::websocket());
    let speaks_13 = headers.typed_get::<SecWebsocketVersion>() == Some(SecWebsocketVersion::V13);
    headers.typed_get().filter(|_| upgrades && to_websocket && speaks_13)
}

/// Whose peer it is that asks. Pages cannot pass for the operator's: browsers always say from what origin they are.
fn whose(app: &App, request: &Request) -> Whose {
    let says = request.uri().query().is_some_and(|query| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == SUPERNODE)
    });
    let is_page = request.headers().contains_key(ORIGIN);
    if says && !is_page && is_operator(app, request) { Whose::Operator } else { Whose::Visitor }
}

/// A page that belongs to no site of this node.
struct Stranger;

/// The page's origin, which browsers always say: pages of other sites have no business here.
fn page_origin(app: &Shared, client: &Client, headers: &HeaderMap) -> Result<Option<WebOrigin>, Stranger> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<WebOrigin>().ok());
    match origin {
        Some(origin) if app.sites.of_origin(&origin).is_some() => Ok(Some(origin)),
        // A page that this node itself delivered, under a name that nobody has told it.
        Some(origin) if app.proxy.is_some() && origin.authority() == &*client.authority => Ok(None),
        _ => Err(Stranger),
    }
}

async fn hand_over(
    app: Shared,
    on_upgrade: OnUpgrade,
    client: Client,
    place: Place,
    origin: Option<WebOrigin>,
) {
    let Ok(upgraded) = on_upgrade.await else { return };
    let stun = app.stun.map(|at| format!("stun:{}:{}", client.host(), at.port()).into());
    match into_socket(upgraded) {
        Ok((tcp, read_ahead)) => {
            app.mesh.adopt(Arrival { tcp, read_ahead, place, stun: stun.into_iter().collect(), origin });
        }
        Err(error) => tracing::warn!(%error, "a peer's connection could not be handed over"),
    }
}

/// The socket itself, so that nothing of HTTP stays with an idle session.
fn into_socket(upgraded: Upgraded) -> std::io::Result<(std::net::TcpStream, bytes::Bytes)> {
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| std::io::Error::other("the connection is no plain TCP"))?;
    Ok((parts.io.into_inner().into_std()?, parts.read_buf))
}
