//! Which tokens are good. Each login begins a family of its own, as servers keep them: refresh tokens are single use, and
//! one that comes again ends its family and no other.

use std::time::{Duration, Instant};

/// What has happened at the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub logins: usize,
    pub refreshes: usize,
    /// Logins and refreshes that were granted.
    pub granted: usize,
    /// Refreshes that were refused.
    pub refused: usize,
    /// Refresh tokens that came again after they had been rotated. They are refused as well.
    pub double_spent: usize,
    /// Requests to the API.
    pub requests: usize,
    /// Those among them whose token was not good.
    pub rejected: usize,
    /// The most token requests that were under way at one time.
    pub most_at_once: usize,
}

#[derive(Default)]
pub struct Ledger {
    pub counts: Counts,
    families: Vec<Family>,
    /// For how long access tokens are good; without it until [`expire`](Self::expire).
    pub lifetime: Option<Duration>,
}

#[derive(Default)]
struct Family {
    /// For each of its token sets, until when the access token is good. Only the last one's refresh token is.
    access: Vec<Until>,
    revoked: bool,
}

/// `None`: until it is ended.
type Until = Option<Instant>;

/// A token set, by the numbers of which its tokens are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    family: usize,
    number: usize,
}

impl Ledger {
    pub fn log_in(&mut self, now: Instant) -> Granted {
        self.counts.logins += 1;
        self.families.push(Family::default());
        self.grant(self.families.len() - 1, now)
    }

    /// The next token set, if the refresh token buys one.
    pub fn refresh(&mut self, token: &str, now: Instant) -> Option<Granted> {
        self.counts.refreshes += 1;
        if let Some(Granted { family, number }) = Granted::read("refresh", token)
            && let Some(known) = self.families.get_mut(family)
        {
            if number + 1 < known.access.len() {
                known.revoked = true;
                self.counts.double_spent += 1;
            } else if number + 1 == known.access.len() && !known.revoked {
                return Some(self.grant(family, now));
            }
        }
        self.counts.refused += 1;
        None
    }

    /// Whether the API takes this access token.
    pub fn accepts(&mut self, token: &str, now: Instant) -> bool {
        let accepts = Granted::read("access", token).is_some_and(|Granted { family, number }| {
            let family = self.families.get(family).filter(|family| !family.revoked);
            let until = family.and_then(|family| family.access.get(number));
            until.is_some_and(|until| until.is_none_or(|until| now < until))
        });
        self.counts.requests += 1;
        self.counts.rejected += usize::from(!accepts);
        accepts
    }

    /// Ends every access token. Refresh tokens stay good.
    pub fn expire(&mut self, now: Instant) {
        for until in self.families.iter_mut().flat_map(|family| &mut family.access) {
            *until = Some(until.map_or(now, |until| until.min(now)));
        }
    }

    fn grant(&mut self, family: usize, now: Instant) -> Granted {
        self.counts.granted += 1;
        let access = &mut self.families[family].access;
        access.push(self.lifetime.map(|lifetime| now + lifetime));
        Granted { family, number: access.len() - 1 }
    }
}

impl Granted {
    pub fn access_token(self) -> String {
        self.token("access")
    }

    pub fn refresh_token(self) -> String {
        self.token("refresh")
    }

    fn token(self, kind: &str) -> String {
        format!("{kind}-{}-{}", self.family, self.number)
    }

    fn read(kind: &str, token: &str) -> Option<Self> {
        let (family, number) = token.strip_prefix(kind)?.strip_prefix('-')?.split_once('-')?;
        Some(Self { family: family.parse().ok()?, number: number.parse().ok()? })
    }
}

#[test]
fn a_refresh_token_that_comes_again_ends_its_family_and_no_other() {
    let (mut ledger, now) = (Ledger::default(), Instant::now());
    let (first, other) = (ledger.log_in(now), ledger.log_in(now));
    let second = ledger.refresh(&first.refresh_token(), now).unwrap();
    assert!(ledger.accepts(&second.access_token(), now));
    assert_eq!(ledger.refresh(&first.refresh_token(), now), None);
    assert!(!ledger.accepts(&second.access_token(), now));
    assert_eq!(ledger.refresh(&second.refresh_token(), now), None);
    assert!(ledger.accepts(&other.access_token(), now));
    let Counts { granted, refused, double_spent, .. } = ledger.counts;
    assert_eq!((granted, refused, double_spent), (3, 2, 1));
}

#[test]
fn an_access_token_ends_at_its_time_or_when_all_are_ended() {
    let (mut ledger, now) = (Ledger::default(), Instant::now());
    ledger.lifetime = Some(Duration::from_secs(2));
    let granted = ledger.log_in(now);
    assert!(ledger.accepts(&granted.access_token(), now + Duration::from_millis(1999)));
    assert!(!ledger.accepts(&granted.access_token(), now + Duration::from_secs(2)));
    ledger.expire(now);
    assert!(!ledger.accepts(&granted.access_token(), now));
    assert!(ledger.refresh(&granted.refresh_token(), now).is_some());
}
