//! What a server counts.

use std::ops::Sub;

/// What kind of answer a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A first token was granted.
    Login,
    /// A token was renewed.
    Refresh,
    /// A login or a refresh was refused.
    RefusedTokenCall,
    /// A refresh was refused because it brought a refresh token that was spent before.
    DoubleSpent,
    /// A business call was answered with 2xx and an envelope that says success.
    Accepted,
    /// A business call was refused because of its token.
    Rejected,
    /// A business call failed for another reason.
    Failed,
}

/// The calls to one server, or the difference between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Business calls, whatever became of them.
    pub(crate) api_requests: u64,
    /// Business calls answered with 2xx and an envelope that says success.
    pub(crate) accepted: u64,
    /// Business calls refused because of their token.
    pub(crate) rejected: u64,
    /// Logins granted.
    pub(crate) logins: u64,
    /// Refreshes granted.
    pub(crate) refreshes: u64,
    /// Logins and refreshes refused.
    pub(crate) refused_token_calls: u64,
    /// Refreshes refused because the refresh token was spent before; these are among the refused calls, too.
    pub(crate) double_spent: u64,
}

impl Counts {
    pub(crate) fn record(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Login => self.logins += 1,
            Outcome::Refresh => self.refreshes += 1,
            Outcome::RefusedTokenCall => self.refused_token_calls += 1,
            Outcome::DoubleSpent => {
                self.refused_token_calls += 1;
                self.double_spent += 1;
            }
            Outcome::Accepted => {
                self.api_requests += 1;
                self.accepted += 1;
            }
            Outcome::Rejected => {
                self.api_requests += 1;
                self.rejected += 1;
            }
            Outcome::Failed => self.api_requests += 1,
        }
    }
}

impl Sub for Counts {
    type Output = Self;

    /// What was counted since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        Self {
            api_requests: self.api_requests - earlier.api_requests,
            accepted: self.accepted - earlier.accepted,
            rejected: self.rejected - earlier.rejected,
            logins: self.logins - earlier.logins,
            refreshes: self.refreshes - earlier.refreshes,
            refused_token_calls: self.refused_token_calls - earlier.refused_token_calls,
            double_spent: self.double_spent - earlier.double_spent,
        }
    }
}
