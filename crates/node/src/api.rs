//! `/api/v1`: what the operator can ask and order.

use axum::Router;

use crate::app::Shared;

/// All paths of the API.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
}
