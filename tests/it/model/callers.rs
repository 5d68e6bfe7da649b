//! Those who want something of the session: requests through the layer, and callers of `token()` and `sign_in()`.

use tower_auth_refresh::error::ErrorKind;

use super::{
    flight::Landing,
    observed::{Ending, Failure, Who},
    reference::{Reference, Route},
    sequence::Api,
};

#[derive(Clone, Copy)]
pub(super) struct Caller {
    wants: Wants,
    state: State,
}

#[derive(Clone, Copy)]
enum Wants {
    Answer {
        replays_left: u8,
        /// How often it was sent, and the generation of the last time.
        sends: u32,
        generation: usize,
    },
    Token,
    SignIn {
        /// It waits for a refresh to end before it begins.
        later: bool,
    },
}

#[derive(Clone, Copy)]
enum State {
    AtTheApi(Option<Api>),
    /// For the flight of that number.
    Waits {
        flight: usize,
        rejected: bool,
    },
}

const REJECTED: u16 = 401;

impl Reference {
    pub fn request(&mut self) {
        let wants = Wants::Answer { replays_left: self.scene.replays, sends: 0, generation: 0 };
        self.came += 1;
        self.set_out(self.came, wants, false, true);
    }

    pub fn ask_for_token(&mut self) {
        self.came += 1;
        self.want_token(self.came);
    }

    pub fn sign_in(&mut self) {
        self.came += 1;
        self.want_sign_in(self.came);
    }

    pub fn go_away(&mut self, caller: Who) {
        self.callers.remove(&caller);
    }

    pub fn api_answers(&mut self, caller: Who, answer: Api) {
        if let Some(caller) = self.callers.get_mut(&caller) {
            caller.state = State::AtTheApi(Some(answer));
        }
    }

    /// Everybody who has not got what they asked for.
    pub fn present(&self) -> Vec<Who> {
        self.callers.keys().copied().collect()
    }

    /// Whose requests have no answer yet.
    pub fn at_the_api(&self) -> Vec<Who> {
        self.those(|state| matches!(state, State::AtTheApi(None)))
    }

    pub(super) fn waiting(&self) -> Vec<Who> {
        self.those(|state| matches!(state, State::Waits { .. }))
    }

    fn those(&self, are: impl Fn(State) -> bool) -> Vec<Who> {
        self.callers.iter().filter(|(_, caller)| are(caller.state)).map(|(number, _)| *number).collect()
    }

    pub(super) fn poll_callers(&mut self) -> bool {
        let mut moved = false;
        for number in self.present() {
            let Some(Caller { wants, state }) = self.callers.get(&number).copied() else { continue };
            match state {
                State::AtTheApi(Some(answer)) => self.answered(number, wants, answer),
                State::AtTheApi(None) => continue,
                State::Waits { flight, rejected } => match self.landings[flight] {
                    Some(landing) => self.landed(number, wants, rejected, landing),
                    None => continue,
                },
            }
            moved = true;
        }
        moved
    }

    fn end(&mut self, caller: Who, ending: Ending) {
        self.callers.remove(&caller);
        self.log.ended.push((caller, ending));
    }

    fn wait(&mut self, caller: Who, wants: Wants, rejected: bool, flight: usize) {
        self.callers.insert(caller, Caller { wants, state: State::Waits { flight, rejected } });
    }

    // ===== requests =====

    /// A request, or a rejected one that is to be sent again, does what there is to do now.
    fn set_out(&mut self, caller: Who, wants: Wants, rejected: bool, new: bool) {
        match self.route() {
            Route::Send => self.send(caller, wants),
            Route::SendAndFetch => {
                self.send(caller, wants);
                // C8 speaks of requests that come in the soft window. Who has waited, or is sent again, fetches nothing:
                // the next request will.
                if new {
                    self.start(false);
                }
            }
            Route::Wait => {
                let flight = self.join();
                self.wait(caller, wants, rejected, flight);
            }
            Route::Refuse(failure) => self.give_up(caller, rejected, failure),
        }
    }

    fn send(&mut self, caller: Who, wants: Wants) {
        let (Wants::Answer { replays_left, sends, .. }, Some(token)) = (wants, self.token) else { return };
        let replays_left = if sends > 0 { replays_left - 1 } else { replays_left };
        let wants = Wants::Answer { replays_left, sends: sends + 1, generation: self.generation };
        self.callers.insert(caller, Caller { wants, state: State::AtTheApi(None) });
        self.log.sent.push((caller, token.number));
    }

    fn answered(&mut self, caller: Who, wants: Wants, answer: Api) {
        match answer {
            Api::Welcomes => self.end(caller, Ending::Answer(200)),
            Api::Fails => self.end(caller, Ending::Answer(500)),
            Api::HangsUp => {
                self.end(caller, Ending::Error(Failure { kind: ErrorKind::Service, retry_at: None }));
            }
            Api::Rejects => self.rejected(caller, wants),
        }
    }

    fn rejected(&mut self, caller: Who, wants: Wants) {
        let Wants::Answer { replays_left, sends, generation } = wants else { return };
        let is_current = generation == self.generation;
        match (replays_left, sends) {
            (0, 1) => {
                // Never replayed, yet the next request shall fare better.
                self.rejected |= is_current;
                if is_current && self.flight.is_none() && self.hindrance().is_none() {
                    self.start(false);
                }
                self.end(caller, Ending::Answer(REJECTED));
            }
            // A rejected replay causes nothing (C24).
            (0, _) => self.end(caller, Ending::Answer(REJECTED)),
            // There is a newer token (C26).
            _ if !is_current => self.set_out(caller, wants, true, false),
            _ => {
                self.rejected = true;
                match self.hindrance() {
                    Some(failure) if self.flight.is_none() => self.give_up(caller, true, failure),
                    _ => {
                        let flight = self.join();
                        self.wait(caller, wants, true, flight);
                    }
                }
            }
        }
    }

    /// There is no token to go on with. A rejected answer is handed back, unless the error is asked for (C27).
    fn give_up(&mut self, caller: Who, rejected: bool, failure: Failure) {
        let hand_back = rejected && !self.scene.error_after_failed_refresh;
        let ending = if hand_back { Ending::AnswerAfter(REJECTED, failure) } else { Ending::Error(failure) };
        self.end(caller, ending);
    }

    fn landed(&mut self, caller: Who, wants: Wants, rejected: bool, landing: Landing) {
        match wants {
            Wants::Answer { generation, .. } => match landing {
                // What the flight brought is used, however short its life (C11).
                Landing::Brought(brought) if brought == self.generation => self.send(caller, wants),
                Landing::Brought(_) | Landing::Superseded => self.set_out(caller, wants, rejected, false),
                // Somebody's wrong password says nothing about this request's token.
                Landing::Failed { sign_in: true, .. } if rejected => self.rejected(caller, wants),
                Landing::Failed { sign_in: true, .. } => self.set_out(caller, wants, false, false),
                // The application has brought another token meanwhile.
                Landing::Failed { .. } if rejected && generation != self.generation && self.token.is_some() => {
                    self.set_out(caller, wants, true, false);
                }
                Landing::Failed { failure, .. } if rejected => self.give_up(caller, true, failure),
                Landing::Failed { failure, .. } if !self.has_unexpired_token() => self.give_up(caller, false, failure),
                // The next flight has been started in the meantime.
                Landing::Failed { .. } if self.is_held() => self.set_out(caller, wants, false, false),
                // The old token serves until its true end (C16).
                Landing::Failed { .. } => self.send(caller, wants),
            },
            Wants::Token => match (landing, self.token) {
                (Landing::Brought(brought), Some(token)) if brought == self.generation => {
                    self.end(caller, Ending::Token(token.number));
                }
                (Landing::Failed { sign_in: false, .. }, Some(token)) if self.has_unexpired_token() => {
                    // The next flight may have been started in the meantime.
                    match self.is_held() {
                        true => self.want_token(caller),
                        false => self.end(caller, Ending::Token(token.number)),
                    }
                }
                (Landing::Failed { sign_in: false, failure }, _) => self.end(caller, Ending::Error(failure)),
                _ => self.want_token(caller),
            },
            Wants::SignIn { later } => match landing {
                Landing::Brought(_) | Landing::Superseded if self.signed_out => {
                    self.end(caller, Ending::Error(Failure { kind: ErrorKind::SignedOut, retry_at: None }));
                }
                Landing::Failed { failure, sign_in: true } => self.end(caller, Ending::Error(failure)),
                _ if later => self.want_sign_in(caller),
                _ => self.end(caller, Ending::SignedIn),
            },
        }
    }

    // ===== callers of the session =====

    fn want_token(&mut self, caller: Who) {
        match (self.route(), self.token) {
            (Route::Send, Some(token)) => self.end(caller, Ending::Token(token.number)),
            (Route::SendAndFetch, Some(token)) => {
                self.start(false);
                self.end(caller, Ending::Token(token.number));
            }
            (Route::Refuse(failure), _) => self.end(caller, Ending::Error(failure)),
            _ => {
                let flight = self.join();
                self.wait(caller, Wants::Token, false, flight);
            }
        }
    }

    /// A sign-in in progress serves all who ask; a refresh in progress may be spending its token, and ends first.
    fn want_sign_in(&mut self, caller: Who) {
        if !self.scene.can_log_in {
            return self.end(caller, Ending::Error(Failure { kind: ErrorKind::SignInRequired, retry_at: None }));
        }
        let (flight, later) = match &self.flight {
            Some(flight) => (flight.number, !flight.sign_in),
            None => (self.start(true), false),
        };
        self.wait(caller, Wants::SignIn { later }, false, flight);
    }
}
