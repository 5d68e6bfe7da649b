//! The account of one scene: every request is booked, and what nothing explains is an error.

use std::{collections::HashMap, sync::atomic::Ordering};

use crate::{
    fault::Fault,
    loopback::{Counts, Outcome},
    request::Seen,
    trip::{Stage, Trip, Watch},
    witness::{Fate, Witness},
};

/// What callers saw.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) requests: u64,
    pub(crate) accepted: u64,
    /// 500.
    pub(crate) failed: u64,
    pub(crate) broken: u64,
    /// Rejections handed back.
    pub(crate) rejected: u64,
    pub(crate) no_token: u64,
    pub(crate) cancelled: HashMap<Stage, u64>,
    /// Cancelled with others, right after the server had granted a token.
    pub(crate) together: u64,
    pub(crate) replays: u64,
    /// Sessions that only a sign-in could bring back.
    pub(crate) ended: u64,
    pub(crate) wrong: Vec<String>,
}

/// Where the end of a scene stands, for the sums that must come out even.
pub(crate) struct Closing<'a> {
    pub(crate) counts: Counts,
    pub(crate) witness: &'a Witness,
    pub(crate) watch: &'a Watch,
    /// How many token sets the session has had.
    pub(crate) generation: u64,
    pub(crate) logs_in: bool,
}

impl Account {
    /// Books one request: what its caller saw must be what the server's side did to its last send.
    pub(crate) fn book(&mut self, trip: &Trip, seen: &Seen, witness: &Witness, logs_in: bool) {
        let sends = witness.sends(trip.number);
        let explained = |kind| witness.explains(kind, logs_in);
        let struck = |fates: &[Fault]| fates.iter().any(|fault| sends.last == Some(Fate::Struck(*fault)));
        let rejected = sends.last == Some(Fate::Answered(Outcome::Rejected));
        let (booked, right) = match seen {
            Seen::Accepted => (&mut self.accepted, sends.last == Some(Fate::Answered(Outcome::Accepted))),
            Seen::Failed => (&mut self.failed, struck(&[Fault::ApiError])),
            Seen::Broken => (&mut self.broken, struck(&[Fault::ApiLostRequest, Fault::ApiLostAnswer])),
            Seen::Rejected(Some(kind)) => (&mut self.rejected, rejected && explained(*kind)),
            // The replay was rejected as well: the token was revoked twice.
            Seen::Rejected(None) => (&mut self.rejected, rejected && sends.rejected == 2),
            Seen::NoToken(kind) => (&mut self.no_token, (rejected || sends.last.is_none()) && explained(*kind)),
            Seen::Cancelled { stage, together } => {
                self.together += u64::from(*together);
                (self.cancelled.entry(*stage).or_default(), true)
            }
            Seen::Odd(_) => (&mut self.failed, false),
        };
        *booked += 1;
        self.requests += 1;
        self.replays += u64::from(trip.sends().saturating_sub(1));
        let all_arrived = trip.sends() == sends.count || matches!(seen, Seen::Cancelled { .. });
        if !right || !all_arrived {
            let seen = match seen {
                Seen::Odd(what) => what.clone(),
                seen => format!("{seen:?}"),
            };
            self.wrong.push(format!("request {}: {seen} after {} sends, {sends:?}", trip.number, trip.sends()));
        }
    }

    pub(crate) fn cancelled(&self) -> u64 {
        self.cancelled.values().sum()
    }

    /// The sums that must come out even.
    pub(crate) fn close(&mut self, closing: &Closing<'_>) {
        let Closing { counts, witness, watch, generation, logs_in } = *closing;
        let lost = witness.lost_grants();
        let (ended, granted) = (if logs_in { 0 } else { lost }, counts.logins + counts.refreshes);
        let booked = self.accepted + self.failed + self.broken + self.rejected + self.no_token + self.cancelled();
        let sums = [
            ("requests accounted for", booked, self.requests),
            ("sent with a token known to be bad", watch.sent_bad.load(Ordering::Relaxed), 0),
            // Each grant that arrived was put in place, whoever had asked for it and gone away.
            ("token sets that the session got", generation, granted - lost),
            // Without a login a lost answer costs the session: its token is tried once more, and refused.
            ("sessions ended", self.ended, ended),
            ("refresh tokens presented twice", counts.double_spent, ended),
        ];
        for (what, seen, expected) in sums {
            if seen != expected {
                self.wrong.push(format!("{what}: {seen} instead of {expected}"));
            }
        }
    }
}

impl Stage {
    pub(crate) const ALL: [Self; 5] = [Self::Unpolled, Self::Queueing, Self::Waiting, Self::Sending, Self::Reading];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unpolled => "before the first poll",
            Self::Queueing => "waiting for their turn",
            Self::Waiting => "waiting for a token",
            Self::Sending => "while sending",
            Self::Reading => "while reading",
        }
    }
}
