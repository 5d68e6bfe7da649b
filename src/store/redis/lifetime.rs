//! For how long the server keeps what is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::token::Stored;

/// When what is stored may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// In milliseconds since 1970; `None`: it stays.
    pub(super) ends: Option<u64>,
    /// It stays at least this long from when it is written, whatever `ends` says.
    pub(super) at_least: Duration,
}

/// For how long a set outlives its last use: for a clock that is wrong, for a token that serves in an outage, and for
/// marks that somebody may still ask for.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// For how long a tombstone, and the last fencing token, are kept.
pub(super) const TOMBSTONE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The end of the year 9999, in milliseconds since 1970: what ends later need not end.
const LATEST: u64 = 253_402_300_799_999;

impl Lifetime {
    pub(super) fn of(stored: &Stored) -> Self {
        // Nobody may forget it: the next wrong password freezes the account.
        if stored.login_refused.is_some() {
            return Self::STAYS;
        }
        let Some(token) = &stored.token else {
            return Self { ends: Some(0), at_least: TOMBSTONE };
        };
        let end = if token.refresh_token().is_some() { token.refresh_expires_at() } else { token.expiry().time() };
        let goes = end.and_then(|end| end.checked_add(MARGIN)).map(milliseconds).filter(|at| *at <= LATEST);
        goes.map_or(Self::STAYS, |at| Self { ends: Some(at), at_least: MARGIN })
    }

    const STAYS: Self = Self { ends: None, at_least: MARGIN };
}

fn milliseconds(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::token::{Expiry, Generation, TokenSet};

    const DAY: u64 = 24 * 60 * 60 * 1000;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(milliseconds)
    }

    fn of(token: TokenSet) -> Option<u64> {
        let lifetime = Lifetime::of(&Stored::new(token, Generation::from(1)));
        assert_eq!(lifetime.at_least, Duration::from_millis(DAY));
        lifetime.ends
    }

    #[test]
    fn a_set_goes_a_day_after_its_refresh_token_has_ended() {
        let token = TokenSet::new("access").with_refresh_token("refresh").with_expiry(Expiry::At(at(5)));
        assert_eq!(of(token.clone().with_refresh_expires_at(at(7 * DAY))), Some(8 * DAY));
        assert_eq!(of(token), None);
    }

    #[test]
    fn a_set_without_a_refresh_token_goes_a_day_after_its_access_token_has_ended() {
        let token = TokenSet::new("access").with_refresh_expires_at(at(7 * DAY));
        assert_eq!(of(token.clone().with_expiry(Expiry::At(at(3 * DAY)))), Some(4 * DAY));
        assert_eq!(of(token.clone().with_expiry(Expiry::Never)), None);
        assert_eq!(of(token), None);
    }

    #[test]
    fn an_end_that_no_server_can_keep_is_none() {
        for end in [at(LATEST), at(u64::MAX / 2)] {
            assert_eq!(of(TokenSet::new("access").with_expiry(Expiry::At(end))), None);
        }
        assert_eq!(of(TokenSet::new("access").with_expiry(Expiry::At(at(LATEST - DAY)))), Some(LATEST));
    }

    #[test]
    fn a_tombstone_is_kept_for_thirty_days_from_its_writing() {
        let lifetime = Lifetime::of(&Stored::signed_out(Generation::from(1), at(0)));
        assert_eq!(lifetime, Lifetime { ends: Some(0), at_least: Duration::from_millis(30 * DAY) });
    }

    #[test]
    fn a_refused_login_is_never_forgotten() {
        let json = json!({"version": 1, "generation": 1, "access_token": "access", "expires_at_ms": 5});
        let marked = |mut json: serde_json::Value| {
            json["login_refused"] = format!("{0}:{0}", "0".repeat(64)).into();
            Lifetime::of(&Stored::from_json(json.to_string().as_bytes()).unwrap()).ends
        };
        assert_eq!(marked(json), None);
        assert_eq!(marked(json!({"version": 1, "generation": 1})), None);
    }
}
