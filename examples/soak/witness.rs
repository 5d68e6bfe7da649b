//! What truly happened, as the server's side saw it: what became of each request, and what was made to go wrong.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use tower_auth_refresh::error::ErrorKind;

use crate::{
    fault::Fault,
    loopback::Outcome,
    plan::{Batch, api_fault},
};

/// One server's record.
pub(crate) struct Witness {
    seed: u64,
    record: Mutex<Record>,
    /// A token was granted in this batch, and its answer has not left yet.
    granted: watch::Sender<bool>,
}

#[derive(Default)]
struct Record {
    requests: HashMap<u64, Sends>,
    /// Nothing goes wrong any more in this batch.
    healed: bool,
    /// What is still to go wrong in this batch at the token endpoint.
    outage: VecDeque<Fault>,
    latency: Duration,
    /// What went wrong in this batch at the token endpoint.
    struck: Vec<Fault>,
    faults: HashMap<Fault, u64>,
    lost_grants: u64,
}

/// What became of the sends of one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sends {
    pub(crate) count: u8,
    pub(crate) rejected: u8,
    pub(crate) last: Option<Fate>,
}

/// What became of one send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The API said so.
    Answered(Outcome),
    /// An injected fault.
    Struck(Fault),
}

impl Witness {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, record: Mutex::default(), granted: watch::Sender::new(false) }
    }

    // ===== for whoever drives =====

    /// A batch begins. Nothing is under way but what was cancelled.
    pub(crate) fn begin(&self, batch: &Batch) {
        self.granted.send_replace(false);
        let mut record = self.record();
        record.requests.clear();
        record.struck.clear();
        record.healed = false;
        record.outage = batch.outage.iter().copied().collect();
        record.latency = batch.latency;
    }

    /// From here on nothing goes wrong in this batch, neither at the token endpoint nor at the API.
    pub(crate) fn heal(&self) {
        let mut record = self.record();
        record.outage.clear();
        record.healed = true;
    }

    /// Turns true when a token has been granted in this batch.
    pub(crate) fn granted(&self) -> watch::Receiver<bool> {
        self.granted.subscribe()
    }

    pub(crate) fn sends(&self, number: u64) -> Sends {
        self.record().requests.get(&number).copied().unwrap_or_default()
    }

    /// Whether a session that logs in by itself (or not) fails in this batch with `kind` for a known cause. A refusal
    /// is one only where a rotation was lost and no login could take its place.
    pub(crate) fn explains(&self, kind: ErrorKind, logs_in: bool) -> bool {
        let record = self.record();
        record.struck.iter().any(|fault| match kind {
            ErrorKind::Refused => !logs_in && fault.loses_grant(),
            kind => fault.error_kind() == Some(kind),
        })
    }

    /// How many grants never arrived.
    pub(crate) fn lost_grants(&self) -> u64 {
        self.record().lost_grants
    }

    pub(crate) fn faults(&self, fault: Fault) -> u64 {
        self.record().faults.get(&fault).copied().unwrap_or_default()
    }

    // ===== for the line =====

    /// What is to go wrong with this send of a request.
    pub(crate) fn next_send(&self, number: u64) -> Option<Fault> {
        let mut record = self.record();
        let send = record.requests.get(&number).map_or(0, |sends| sends.count);
        let fault = api_fault(self.seed, number, send).filter(|_| !record.healed);
        if let Some(fault) = fault {
            *record.faults.entry(fault).or_default() += 1;
        }
        fault
    }

    /// What became of it.
    pub(crate) fn sent(&self, number: u64, fate: Fate) {
        let mut record = self.record();
        let sends = record.requests.entry(number).or_default();
        sends.count += 1;
        sends.rejected += u8::from(fate == Fate::Answered(Outcome::Rejected));
        sends.last = Some(fate);
    }

    /// What is to go wrong with this token call, and how long it takes.
    pub(crate) fn next_token_call(&self) -> (Option<Fault>, Duration) {
        let mut record = self.record();
        (record.outage.pop_front(), record.latency)
    }

    /// A fault takes effect now.
    pub(crate) fn strike(&self, fault: Fault) {
        let mut record = self.record();
        record.struck.push(fault);
        record.lost_grants += u64::from(fault.loses_grant());
        *record.faults.entry(fault).or_default() += 1;
    }

    /// A token is granted now.
    pub(crate) fn grant(&self) {
        self.granted.send_replace(true);
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
