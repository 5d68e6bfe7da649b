//! What outlives the process, and what other gateways share: looked at before anything is served, and waited for at the end.

use std::{error::Error as _, path::Path, sync::Arc, time::Duration};

use tokio::{select, time::sleep};
use tower_auth_refresh::{
    Provider, Session,
    session::Event,
    store::{FileStore, RedisStore, StoreError, StoreErrorKind, TokenStore},
    token::Stored,
};
use tracing::warn;

use super::{config::BadConfig, token_file};

/// How long a store that fails is given at the end before its next failure is the last.
const PATIENCE: Duration = Duration::from_secs(3);

/// A store, and how the configuration names what it holds.
pub(crate) struct Store {
    key: &'static str,
    /// A server may come later than the gateway; a folder is there, or a mistake.
    is_server: bool,
    tokens: Arc<dyn TokenStore>,
}

impl Store {
    pub(crate) fn file(path: impl AsRef<Path>) -> Self {
        Self { key: "store.path", is_server: false, tokens: Arc::new(FileStore::new(path)) }
    }

    pub(crate) fn redis(store: RedisStore) -> Self {
        Self { key: "store.key", is_server: true, tokens: Arc::new(store) }
    }

    /// For the session.
    pub(crate) fn into_tokens(self) -> Arc<dyn TokenStore> {
        self.tokens
    }

    /// Whether there is a token set in it.
    ///
    /// # Errors
    /// When it holds what is no token set that `provider` can use, which stays as it is; when others could read or replace
    /// it; when a file could not be written.
    pub(crate) async fn check(&self, provider: &dyn Provider) -> Result<bool, BadConfig> {
        let token = match self.look().await {
            Ok(stored) => stored.and_then(|stored| stored.token),
            Err(error) if self.is_server && may_pass(error.kind()) => {
                warn!(error = in_one_line(&error), "the store cannot be used yet");
                None
            }
            Err(error) => return Err(BadConfig::new(self.key, in_one_line(&error))),
        };
        if let Some(token) = &token {
            token_file::check(self.key, token, provider)?;
        }
        Ok(token.is_some())
    }

    /// What is stored. A rotated token that cannot be stored is lost with the process: better to know it now, so the right
    /// to write is taken and given back.
    async fn look(&self) -> Result<Option<Stored>, StoreError> {
        let stored = self.tokens.load().await?;
        // Whoever else holds it can write.
        if let Some(lease) = self.tokens.try_lease(None).await? {
            lease.release().await?;
        }
        Ok(stored)
    }
}

/// Waits until no flight is under way and everything is stored, and says whether it is. A store that goes on failing is
/// given up.
pub(crate) async fn settled<P: Provider>(session: &Session<P>) -> bool {
    select! {
        biased;
        () = session.settled() => {}
        () = given_up(session) => {}
    }
    !session.status().unsaved
}

/// What fails may be mended in a moment, and what is not stored now is lost. So it is tried for a while, and once more in
/// any case: the session may have been resting for long.
#[allow(clippy::disallowed_methods, reason = "the rule is the library's")]
async fn given_up<P: Provider>(session: &Session<P>) {
    sleep(PATIENCE).await;
    let mut events = session.subscribe();
    while !matches!(events.recv().await, Some(Event::StoreFailed { .. }) | None) {}
}

fn may_pass(kind: StoreErrorKind) -> bool {
    !matches!(kind, StoreErrorKind::Damaged | StoreErrorKind::Insecure | StoreErrorKind::Invalid)
}

/// The error with its cause. It holds no secret; a path may hold anything else.
fn in_one_line(error: &StoreError) -> String {
    let text = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
    text.replace(char::is_control, "?")
}
