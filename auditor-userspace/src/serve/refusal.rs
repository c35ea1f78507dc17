//! Why there is no answer: a status, and a sentence that says what to do.

use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::orders::Refused;
use crate::policy::AskError;

/// An answer that is none.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    why: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// The question makes no sense.
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    /// There is no such thing.
    pub(super) fn absent(why: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, why)
    }

    /// Only the host may do this.
    pub(super) fn not_the_host() -> Self {
        Self::new(StatusCode::FORBIDDEN, "only root and the daemon's own user may do this: ask with sudo")
    }

    /// Somebody else may ask this.
    pub(super) fn not_yours() -> Self {
        Self::new(StatusCode::FORBIDDEN, "only root, and an audited Odoo for itself, may see records: ask with sudo")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, format!("{}\n", self.why)).into_response()
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad(rejection.body_text())
    }
}

impl From<BytesRejection> for Refusal {
    fn from(rejection: BytesRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Policy(AskError::Unchanged) | Refused::Not(_) => StatusCode::CONFLICT,
            Refused::Policy(AskError::Invalid(_)) => StatusCode::BAD_REQUEST,
            Refused::Policy(AskError::TooMany) | Refused::Busy => StatusCode::TOO_MANY_REQUESTS,
            Refused::Policy(AskError::NotWaiting(_)) => StatusCode::NOT_FOUND,
            Refused::Policy(AskError::NotHost) => StatusCode::FORBIDDEN,
            Refused::NotYet | Refused::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.to_string())
    }
}

/// What should have been possible failed.
impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}
