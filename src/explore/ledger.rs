//! What may be sent, kept apart from what the session believes: by the servers, and by whoever calls from outside.

use super::scene::Reply;

/// Who knows of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusals {
    /// All: the store is told.
    Stored,
    /// Who was refused: the store may be told in vain, and is told again only after others have had a turn.
    Unsaid,
    /// Nobody, perhaps: the flight that was refused may end in the same moment.
    Forgotten,
}

/// Token sets are known by their numbers.
#[derive(Debug)]
pub(super) struct Ledger {
    has_login: bool,
    revokes: bool,
    /// Several processes share what is granted. None of them learns at once what another was told, so what was usable
    /// once may be used.
    pub(super) is_shared: bool,
    last: u32,
    /// What the API takes.
    valid: Vec<u32>,
    /// What the session may hold: what came first, was set, or was granted to a flight that counts, since the last
    /// change from outside.
    usable: Vec<u32>,
    pub(super) signed_out: bool,
    pub(super) login_refused: bool,
    pub(super) refusals: Refusals,
    /// The processes that were refused a login.
    told: Vec<usize>,
    /// What the API has refused to a request of a process, sent for the first time.
    rejected: Vec<(usize, u32)>,
    /// Refresh tokens whose successor a process has read.
    known: Vec<(usize, u32)>,
    /// A token set was made that nobody has read, or the server refused what it has not spent: the processes may have come
    /// to an end through no fault of their own.
    pub(super) may_end: bool,
    /// Refresh tokens that were sent, once for each time of which it is not proven that nothing was spent.
    doubtful: Vec<u32>,
    /// Refresh tokens that the server has spent.
    spent: Vec<u32>,
    refused: Vec<(usize, u32)>,
}

impl Ledger {
    pub(super) fn new(has_login: bool, revokes: bool) -> Self {
        Self {
            has_login,
            revokes,
            is_shared: false,
            last: 1,
            valid: Vec::new(),
            usable: Vec::new(),
            signed_out: false,
            login_refused: false,
            refusals: Refusals::Stored,
            told: Vec::new(),
            rejected: Vec::new(),
            known: Vec::new(),
            may_end: false,
            doubtful: Vec::new(),
            spent: Vec::new(),
            refused: Vec::new(),
        }
    }

    pub(super) fn starts_with(&mut self, number: u32, is_valid: bool) {
        self.usable.push(number);
        if is_valid {
            self.valid.push(number);
        }
    }

    // ===== from outside =====

    pub(super) fn set(&mut self, number: u32) {
        self.valid.push(number);
        self.usable.retain(|_| self.is_shared);
        self.usable.push(number);
        self.signed_out = false;
    }

    pub(super) fn sign_out(&mut self) {
        self.usable.retain(|_| self.is_shared);
        self.signed_out = !self.is_shared;
    }

    // ===== the token endpoint =====

    /// A process has sent a token call, a refresh of this number or a login.
    pub(super) fn called(&mut self, process: usize, refreshes: Option<u32>) -> Result<(), String> {
        let Some(number) = refreshes else {
            if !self.has_login {
                return Err("a login was sent where there is none".into());
            }
            let is_known = match self.refusals {
                Refusals::Stored => self.login_refused,
                Refusals::Unsaid => self.told.contains(&process),
                Refusals::Forgotten => false,
            };
            if self.is_shared && is_known {
                return Err("a login was sent again after it had been refused".into());
            }
            return Ok(());
        };
        if !self.usable.contains(&number) {
            return Err(format!("refresh token {number} was sent, which the session should not have"));
        }
        let mut refused = self.refused.iter().filter(|(_, refused)| *refused == number);
        let is_known = match self.refusals {
            Refusals::Stored => refused.next().is_some(),
            Refusals::Unsaid => refused.any(|(told, _)| *told == process),
            Refusals::Forgotten => false,
        };
        if is_known {
            return Err(format!("refresh token {number} was sent again after it had been refused"));
        }
        if self.known.contains(&(process, number)) {
            return Err(format!("refresh token {number} was sent by whoever had its successor"));
        }
        match self.doubtful.iter().filter(|doubtful| **doubtful == number).count() {
            0 => {}
            _ if self.can_log_in() => {
                return Err(format!("refresh token {number} was sent again, although a login was possible"));
            }
            1 => {}
            2 if self.refusals != Refusals::Stored => {}
            _ if self.refusals == Refusals::Forgotten => {}
            _ => return Err(format!("refresh token {number} was sent a third time")),
        }
        self.doubtful.push(number);
        Ok(())
    }

    pub(super) fn can_log_in(&self) -> bool {
        self.has_login && !self.login_refused
    }

    /// Whether the server has spent it, and refuses it from now on.
    pub(super) fn is_spent(&self, refreshes: Option<u32>) -> bool {
        refreshes.is_some_and(|number| self.spent.contains(&number))
    }

    /// Whether this token set can be renewed no more.
    pub(super) fn is_dead(&self, number: Option<u32>) -> bool {
        !self.can_log_in() && number.is_none_or(|number| self.refused.iter().any(|(_, refused)| *refused == number))
    }

    /// The server answers a process, and the number of the token set that it has made, if any, is returned. `counts` says whether
    /// the flight that asked has not been superseded.
    pub(super) fn answered(
        &mut self,
        process: usize,
        refreshes: Option<u32>,
        reply: Reply,
        counts: bool,
    ) -> Option<u32> {
        match (reply, refreshes) {
            (Reply::Grant | Reply::Lose | Reply::Poison, _) => {
                self.last += 1;
                self.valid.push(self.last);
                if let Some(old) = refreshes {
                    self.spent.push(old);
                    self.valid.retain(|number| !self.revokes || *number != old);
                }
                if counts && reply == Reply::Grant {
                    self.usable.push(self.last);
                }
                self.may_end |= reply != Reply::Grant;
                return Some(self.last);
            }
            (Reply::Refuse, Some(number)) => {
                self.may_end |= !self.spent.contains(&number);
                self.refused.push((process, number));
            }
            (Reply::Refuse, None) => {
                (self.login_refused, self.may_end) = (true, true);
                self.told.push(process);
            }
            (Reply::NotSent | Reply::Unavailable, Some(number)) => {
                let last = self.doubtful.iter().rposition(|doubtful| *doubtful == number);
                last.map(|last| self.doubtful.swap_remove(last));
            }
            (Reply::NotSent | Reply::Unavailable, None) | (Reply::Vanish, _) => {}
        }
        None
    }

    /// Nobody listens to the answer any more. The worst is assumed: the server spent the token.
    pub(super) fn abandoned(&mut self, refreshes: Option<u32>) {
        if let Some(number) = refreshes {
            self.spent.push(number);
        }
    }

    /// A process has read what it was granted, by a refresh of this number or a login.
    pub(super) fn read(&mut self, process: usize, refreshes: Option<u32>) {
        self.known.extend(refreshes.map(|number| (process, number)));
    }

    /// The store has lost its memory, and what is old may come back.
    pub(super) fn forgotten(&mut self) {
        self.known.clear();
        self.may_end = true;
    }

    // ===== the API =====

    /// A request of a process has been sent with the token of this number, while `current` was in place and a flight may have been
    /// under way.
    pub(super) fn sent(
        &self,
        process: usize,
        number: Option<u32>,
        current: Option<u32>,
        flying: bool,
    ) -> Result<(), String> {
        let Some(number) = number else { return Err("a request was sent without a token".into()) };
        if !self.usable.contains(&number) {
            return Err(format!("a request was sent with token {number}, which the session should not have"));
        }
        if current != Some(number) {
            return Err(format!("a request was sent with token {number} while {current:?} was in place"));
        }
        if flying && self.rejected.contains(&(process, number)) {
            return Err(format!("a request was sent with token {number}, known to be rejected, during the flight"));
        }
        Ok(())
    }

    pub(super) fn is_valid(&self, number: Option<u32>) -> bool {
        number.is_some_and(|number| self.valid.contains(&number))
    }

    pub(super) fn rejected(&mut self, process: usize, number: Option<u32>) {
        self.rejected.extend(number.map(|number| (process, number)).filter(|known| !self.rejected.contains(known)));
    }

    pub(super) fn may_hold(&self, number: u32) -> bool {
        self.usable.contains(&number)
    }
}
