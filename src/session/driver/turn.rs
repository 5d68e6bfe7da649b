//! A flight's turn at the store: the lease that it holds, and what it has found.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::Held;
use crate::{
    store::TokenStore,
    token::{Stored, Version},
};

/// A flight's turn at the store.
pub(super) struct Turn {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) held: Held,
    /// What is stored, as far as this flight has seen it.
    found: Mutex<Option<Stored>>,
}

impl Turn {
    pub(super) fn new(store: &Arc<dyn TokenStore>, held: Held) -> Self {
        Self { store: Arc::clone(store), held, found: Mutex::default() }
    }

    pub(super) fn found(&self) -> Option<Stored> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_found(&self, found: Option<Stored>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// Since when what is stored is marked by somebody else, or by an earlier turn.
    pub(super) fn mark_of_another(&self) -> Option<SystemTime> {
        self.found().filter(|found| found.fence != self.held.fence()).and_then(|found| found.spending_since)
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.found().as_ref().map(Stored::version)
    }

    pub(super) async fn release(self) {
        self.held.release().await;
    }
}
