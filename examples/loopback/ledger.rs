//! The tokens that a server granted: who holds what, until when, and what is spent.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// How long tokens live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access: Duration,
    pub(crate) refresh: Duration,
}

/// Writes the text of the token with this serial number and this expiry.
pub(crate) type Mint = fn(serial: u64, expires: SystemTime) -> String;

/// An access token and its refresh token.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) access_expires: SystemTime,
    pub(crate) refresh: String,
    pub(crate) refresh_expires: SystemTime,
    /// The login that this pair descends from.
    pub(crate) session: u64,
    access_ended: bool,
    refresh_ended: bool,
    spent: bool,
}

/// Why a pair is not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRenewed {
    /// The token is unknown, expired, or its session has ended.
    Dead,
    /// The token was renewed before. Somebody has a copy of it, so the whole session ends.
    DoubleSpent,
}

/// The pairs, current and past: an old token must be told from a foreign one. What has been of no use for as long as a
/// refresh token lives is forgotten, so that a server can run for years.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) lifetimes: Lifetimes,
    mint: Mint,
    serial: u64,
    pairs: VecDeque<Pair>,
    /// How many pairs are forgotten: so much are the numbers below ahead of the places in `pairs`.
    forgotten: usize,
    by_token: HashMap<String, usize>,
}

impl Ledger {
    pub(crate) fn new(lifetimes: Lifetimes, mint: Mint) -> Self {
        Self { lifetimes, mint, serial: 0, pairs: VecDeque::new(), forgotten: 0, by_token: HashMap::new() }
    }

    /// Begins a session.
    pub(crate) fn sign_in(&mut self, now: SystemTime) -> Pair {
        let session = self.serial;
        self.grant(session, now)
    }

    /// The pair that holds `access` as its access token, whether it is still good or not.
    pub(crate) fn by_access(&self, access: &str) -> Option<&Pair> {
        self.by_token(access).filter(|pair| pair.access == access)
    }

    /// The pair that holds `refresh` as its refresh token, whether it is still good or not.
    pub(crate) fn by_refresh(&self, refresh: &str) -> Option<&Pair> {
        self.by_token(refresh).filter(|pair| pair.refresh == refresh)
    }

    fn by_token(&self, token: &str) -> Option<&Pair> {
        self.pairs.get(self.by_token.get(token)?.checked_sub(self.forgotten)?)
    }

    /// Whether `access` opens the API now. It does so until its expiry, also after its pair was renewed.
    pub(crate) fn accepts(&self, access: &str, now: SystemTime) -> bool {
        self.by_access(access).is_some_and(|pair| !pair.access_ended && now < pair.access_expires)
    }

    /// Spends the refresh token `refresh` for the next pair of its session.
    pub(crate) fn renew(&mut self, refresh: &str, now: SystemTime) -> Result<Pair, NotRenewed> {
        let Pair { session, refresh_expires, refresh_ended, spent, .. } =
            *self.by_refresh(refresh).ok_or(NotRenewed::Dead)?;
        if spent {
            for pair in self.pairs.iter_mut().filter(|pair| pair.session == session) {
                pair.access_ended = true;
                pair.refresh_ended = true;
            }
            return Err(NotRenewed::DoubleSpent);
        }
        if refresh_ended || now >= refresh_expires {
            return Err(NotRenewed::Dead);
        }
        for pair in self.pairs.iter_mut().filter(|pair| pair.refresh == refresh) {
            pair.spent = true;
        }
        Ok(self.grant(session, now))
    }

    /// Ends all access tokens; refresh tokens stay valid.
    pub(crate) fn revoke(&mut self) {
        for pair in &mut self.pairs {
            pair.access_ended = true;
        }
    }

    fn grant(&mut self, session: u64, now: SystemTime) -> Pair {
        self.forget(now);
        let access_expires = now + self.lifetimes.access;
        let refresh_expires = now + self.lifetimes.refresh;
        let pair = Pair {
            access: (self.mint)(self.serial, access_expires),
            access_expires,
            refresh: (self.mint)(self.serial + 1, refresh_expires),
            refresh_expires,
            session,
            access_ended: false,
            refresh_ended: false,
            spent: false,
        };
        self.serial += 2;
        for token in [&pair.access, &pair.refresh] {
            self.by_token.insert(token.clone(), self.forgotten + self.pairs.len());
        }
        self.pairs.push_back(pair.clone());
        pair
    }

    fn forget(&mut self, now: SystemTime) {
        let longest = self.lifetimes.access.max(self.lifetimes.refresh);
        while let Some(pair) = self.pairs.front() {
            if now < pair.access_expires.max(pair.refresh_expires) + longest {
                return;
            }
            for token in [&pair.access, &pair.refresh] {
                self.by_token.remove(token);
            }
            self.pairs.pop_front();
            self.forgotten += 1;
        }
    }
}

/// An opaque token, in an alphabet of which no query and no cookie can carry everything as it is.
pub(crate) fn opaque(serial: u64, _expires: SystemTime) -> String {
    STANDARD.encode(Sha256::digest(format!("token number {serial}")))
}

/// Whole seconds since the epoch.
pub(crate) fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// `bytes` in lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
