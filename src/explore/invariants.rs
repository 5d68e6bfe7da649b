//! What must be true after each step, at the end of a schedule, and after it. What is sent is judged where it arrives,
//! by the [`ledger`](super::ledger).

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use http::{Request, header};

use super::{
    executor::Run,
    outcome::{Ending, Outcome},
    provider::{Numbers, number_of},
    scene::{Does, Reply, Scene},
    world::World,
};
use crate::{Session, error::ErrorKind, session::Snapshot, token::Generation};

/// After each step, when nobody is in the middle of one.
pub(super) fn hold(run: &Run) {
    let held = stands(&run.world, &run.session, &mut run.generations.borrow_mut()).and_then(|()| flights(run));
    if let Err(violation) = held {
        run.world.violated(violation);
    }
}

/// Which token set each generation was, in one process.
pub(super) type Generations = Vec<(Generation, Option<u32>)>;

/// One snapshot is of one generation, and holds what it may hold.
pub(super) fn stands(world: &World, session: &Session<Numbers>, generations: &mut Generations) -> Result<(), String> {
    let current = session.current();
    let number = number_in(&current)?;
    let generation = current.generation;
    match generations.iter().find(|(known, _)| *known == generation) {
        Some((_, known)) if *known != number => {
            return Err(format!("generation {generation:?} was token {known:?} and is {number:?}"));
        }
        Some(_) => {}
        None => generations.push((generation, number)),
    }
    let mut state = world.state();
    match number {
        Some(number) if !state.ledger.may_hold(number) => {
            return Err(format!("token {number} is in place, which the session should not have"));
        }
        Some(_) if current.signed_out => return Err("signed out, and with a token".into()),
        // Whatever is held now came after the sign-out.
        Some(_) => state.ledger.signed_out = false,
        None if current.rejected || current.refresh_refused || current.spending => {
            return Err("something is known of a token that is not there".into());
        }
        None if state.ledger.signed_out && !current.signed_out => return Err("the sign-out is forgotten".into()),
        None => {}
    }
    let sent = state.calls.iter().any(|call| {
        call.process == world.process
            && call.is_awaited
            && !call.is_superseded
            && call.refreshes.is_some()
            && call.refreshes == number
    });
    if sent && !current.spending { Err("a refresh token is on its way and not marked".into()) } else { Ok(()) }
}

pub(super) fn number_in(current: &Snapshot) -> Result<Option<u32>, String> {
    let Some(issued) = &current.token else { return Ok(None) };
    let number = number_of(&issued.token).ok_or("a token set is of two generations")?;
    let mut request = Request::new(());
    let applied = issued.credential.apply(&mut request);
    if applied.is_err() || request.headers()[header::AUTHORIZATION] != format!("Bearer access-{number}") {
        return Err(format!("the credential is not that of token {number}"));
    }
    Ok(Some(number))
}

/// One flight at most, and it is the one that is known.
fn flights(run: &Run) -> Result<(), String> {
    let flights = run.flights();
    if !flights.are_called_off {
        return Err("a superseded flight was not called off".into());
    }
    let current = run.session.current();
    if flights.counting == 0 && current.failure.is_some() {
        return Err("a superseded flight has left its failure behind".into());
    }
    let is_known = current.flight.is_some();
    match flights.under_way {
        _ if run.world.state().may_be_lost => Ok(()),
        0 if is_known => Err("there is a flight that nobody flies".into()),
        0 => Ok(()),
        1 if is_known => Ok(()),
        1 => Err("a flight is under way that nobody knows".into()),
        _ => Err("two flights are under way".into()),
    }
}

/// After a poll of a flight: what it was granted is in place, unless it has been superseded.
pub(super) fn landed(run: &Run, flight: usize, is_superseded: bool) {
    let state = run.world.state();
    let mut calls = state.calls.iter().rev();
    let call = calls.find(|call| call.flight == Some(flight) && call.reply == Some(Reply::Grant) && !call.is_awaited);
    let Some(granted) = call.and_then(|call| call.grants) else { return };
    if is_superseded || state.may_be_lost {
        return;
    }
    drop(state);
    if number_in(&run.session.current()) != Ok(Some(granted)) {
        run.world.violated(format!("token {granted} was granted, and is lost"));
    }
}

/// When nothing is left to do.
pub(super) fn ended(scene: &Scene, session: &Session<Numbers>, ending: &Ending) -> Result<(), String> {
    if pin!(session.settled()).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        return Err("the session is not settled".into());
    }
    if !scene.fits(ending) {
        return Err(format!("the scene must not end like this: {ending:?}"));
    }
    Ok(())
}

/// What a later request is answered, when no backoff is in its way any more.
pub(super) fn served(world: &World, session: &Session<Numbers>, outcome: Outcome) -> Result<(), String> {
    let number = number_in(&session.current())?;
    let state = world.state();
    let is_right = match outcome {
        Outcome::Error(ErrorKind::SignedOut) => state.ledger.signed_out,
        _ if state.ledger.signed_out => false,
        Outcome::Status(200) => true,
        Outcome::Status(401) | Outcome::Error(ErrorKind::Refused | ErrorKind::SignInRequired) => {
            state.ledger.is_dead(number)
        }
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("a later request ended with {outcome:?}")) }
}

impl Scene {
    /// What holds at the end of every scene, and what of this one.
    pub(super) fn fits(&self, ending: &Ending) -> bool {
        let is_task = |does: &Does| !matches!(does, Does::Set(_) | Does::SignOut);
        let unanswered =
            self.does.iter().zip(&ending.outcomes).filter(|(does, outcome)| is_task(does) && outcome.is_none());
        unanswered.count() <= self.drops
            && ending.sends.iter().all(|sends| *sends <= 2)
            && ending.logins + ending.refreshes <= self.token_calls
            && (self.ends)(ending)
    }
}
