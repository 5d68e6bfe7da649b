//! The faults, by name.

use tower_auth_refresh::error::ErrorKind;

/// What goes wrong with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The connection drops before the token endpoint has seen the call.
    LostCall,
    /// The token endpoint grants, and the connection drops before its answer leaves.
    LostAnswer,
    /// 429 with `Retry-After`.
    TooMany,
    /// 503 with `Retry-After`.
    Unavailable,
    /// A proxy's 502 in HTML; the token endpoint has not seen the call.
    BadGateway,
    /// 500 in HTML, and the token endpoint has granted.
    ServerError,
    /// The answer breaks off in the middle.
    Truncated,
    /// The answer comes in drops. It comes.
    Dripping,
    /// The API answers 500.
    ApiError,
    /// The API's connection drops before the request is handled.
    ApiLostRequest,
    /// The API's connection drops after the request is handled.
    ApiLostAnswer,
    /// The API takes its time.
    ApiLate,
}

impl Fault {
    /// All that can go wrong at a token endpoint.
    pub(crate) const TOKEN: [Self; 8] = [
        Self::LostCall,
        Self::LostAnswer,
        Self::TooMany,
        Self::Unavailable,
        Self::BadGateway,
        Self::ServerError,
        Self::Truncated,
        Self::Dripping,
    ];
    /// All that can go wrong at an API.
    pub(crate) const API: [Self; 4] = [Self::ApiError, Self::ApiLostRequest, Self::ApiLostAnswer, Self::ApiLate];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LostCall => "dropped before the rotation",
            Self::LostAnswer => "dropped after the rotation",
            Self::TooMany => "429, Retry-After",
            Self::Unavailable => "503, Retry-After",
            Self::BadGateway => "502 in HTML, not rotated",
            Self::ServerError => "500 in HTML, rotated",
            Self::Truncated => "truncated, rotated",
            Self::Dripping => "slow drip",
            Self::ApiError => "500",
            Self::ApiLostRequest => "dropped before it was handled",
            Self::ApiLostAnswer => "dropped after it was handled",
            Self::ApiLate => "late",
        }
    }

    /// Whether the token endpoint grants and the grant is lost.
    pub(crate) fn loses_grant(self) -> bool {
        matches!(self, Self::LostAnswer | Self::ServerError | Self::Truncated)
    }

    /// What a session makes of it, if the flight fails by it.
    pub(crate) fn error_kind(self) -> Option<ErrorKind> {
        match self {
            Self::LostCall | Self::LostAnswer | Self::Truncated => Some(ErrorKind::Transport),
            Self::TooMany | Self::Unavailable | Self::BadGateway | Self::ServerError => Some(ErrorKind::Unavailable),
            _ => None,
        }
    }
}
