//! What callers of a session wait for: a token, a sign-in, the end of what is under way.

use crate::{
    error::{Error, ErrorKind, RefreshFailure},
    provider::{Provider, Reason},
    rt,
    session::{
        Joined, Session,
        driver::Driver,
        flight::{self, Flight},
        plan::Plan,
        state,
    },
    token::TokenSet,
};

impl<P: Provider> Session<P> {
    /// The current token set. Like a request, it has the next one fetched in the soft window without waiting for it, waits
    /// from the hard point on, and where no flight brings another goes on with the old one until its end (or longer:
    /// [`serve_expired`](crate::session::RefreshPolicy::serve_expired)).
    ///
    /// # Errors
    /// When there is no usable token: the flight failed, or none may start now.
    pub async fn token(&self) -> Result<TokenSet, Error> {
        loop {
            let current = self.0.current.load_full();
            let now = self.now_in(&current);
            let outcome = match current.plan(now, self.policy()) {
                Plan::Send(issued) => return Ok(issued.token.clone()),
                Plan::SendAndRefresh(issued) => {
                    self.join(current.generation);
                    return Ok(issued.token.clone());
                }
                Plan::Refuse(failure) => return Err(failure.into()),
                Plan::Wait => match self.join(current.generation) {
                    Joined::Flying(ticket) => {
                        let is_sign_in = ticket.is_sign_in();
                        match ticket.await {
                            // Somebody's wrong password says nothing about this token set.
                            Err(_) if is_sign_in => continue,
                            landed => landed,
                        }
                    }
                    Joined::Changed => Ok(None),
                    Joined::Refused(failure) => Err(failure),
                },
            };
            let current = self.current();
            match (outcome, &current.token) {
                // What a flight has just brought is used, however short its life.
                (Ok(brought), Some(issued)) if brought == Some(current.generation) && !current.is_held() => {
                    return Ok(issued.token.clone());
                }
                (Ok(_), _) => {}
                (Err(failure), _) => match current.servable(self.now(), self.policy()) {
                    // Rejected, and its successor is fetched by now.
                    Some(_) if current.is_held() => {}
                    Some(issued) => return Ok(issued.token.clone()),
                    None => return Err(failure.into()),
                },
            }
        }
    }

    /// Logs in with the provider's configured login, whatever is known of earlier failures, and also after a refused
    /// login. A token set that is there stays in use until the login has succeeded. The refresh guard does not count
    /// it, and all who ask at the same time share one login.
    ///
    /// # Errors
    /// When the login fails, the provider has none configured, or the application signs out meanwhile.
    pub async fn sign_in(&self) -> Result<(), Error> {
        loop {
            let now = self.now();
            let token = self.current().token.clone();
            if self
                .0
                .provider
                .next_grant(token.as_ref().map(|issued| &issued.token), Reason::SignIn, now.wall)
                .is_none()
            {
                return Err(RefreshFailure::of_kind(ErrorKind::SignInRequired, None).into());
            }
            let (joined, departing) = self.depart(now, |state| state.join_sign_in(rt::is_there, self.policy()));
            if let Some(flight) = departing {
                Driver::launch(self, flight, true, now);
            }
            let (ticket, signs_in) = joined?;
            match ticket.await {
                // There was a flight, so the application wanted to be signed in: a sign-out came later, and has its way.
                // (What a refresh has found in a store may be an older one.)
                Ok(brought) if self.current().signed_out && (signs_in || brought.is_none()) => {
                    return Err(state::signed_out().into());
                }
                // A sign-in in progress serves all who ask.
                landed if signs_in => return Ok(landed.map(drop)?),
                // A refresh in progress may be spending its token: it ends first.
                _ => {}
            }
        }
    }

    /// Waits until no flight is under way, everything is stored and no lease is held, so that a program can end without losing a rotated
    /// token. Stop what asks for tokens first, a [keeper](Self::keep_fresh) too: it may start the next one. A store that
    /// stays away is waited for as long as that takes: put a time limit around it, and ask
    /// [`status`](Self::status) what is not stored.
    pub async fn settled(&self) {
        let mut has_tried = false;
        loop {
            if let Some(flight) = self.current().flight.as_ref().map(Flight::ticket) {
                let _ = flight.await;
                self.give_up_lost();
                continue;
            }
            if !std::mem::replace(&mut has_tried, true) {
                self.save_soon();
            }
            if let Some(saving) = self.current().sync.saving.as_ref().map(Flight::ticket) {
                if saving.await.is_err() {
                    self.give_up_lost_saver();
                    has_tried = false;
                }
                continue;
            }
            // Others wait for a lease that is on its way back. One for which nobody works, and that is not back after the
            // time of a call, is lost with its runtime.
            let mut leases = self.0.leases.subscribe();
            if *leases.borrow_and_update() == 0 {
                return;
            }
            let limit = self.policy().store_call().saturating_add(flight::SLACK);
            if rt::timeout(limit, leases.changed()).await.is_err() {
                let current = self.current();
                if current.flight.is_none() && current.sync.saving.is_none() {
                    return;
                }
            }
        }
    }
}
