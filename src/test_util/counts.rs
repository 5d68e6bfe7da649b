//! What the two servers count.

/// What reached the authorization server, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenCounts {
    /// Requests for a login.
    pub logins: usize,
    /// Requests for a refresh.
    pub refreshes: usize,
    /// Token sets granted, also those whose answer was lost.
    pub granted: usize,
    /// Grants that were refused.
    pub refused: usize,
    /// Refresh tokens presented after they had been spent. They are refused as well.
    pub double_spent: usize,
    /// Connections that a [`Fault`](super::Fault) has dropped or broken off.
    pub dropped: usize,
    /// The most requests that were under way at one time.
    pub most_in_flight: usize,
}

/// What reached the API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiCounts {
    /// All requests.
    pub requests: usize,
    /// Those that were answered 401, or in the provider's own way of rejecting.
    pub rejected: usize,
    /// Those that repeated the method and the path of one rejected before. Counts are true where each request of a test
    /// has a path of its own.
    pub replays: usize,
}

impl TokenCounts {
    /// Requests of both kinds.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.logins + self.refreshes
    }
}
