//! What must be true of a fleet after each step, when it has come to rest, and after it.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Waker},
};

use super::crew::Process;
use crate::{
    error::ErrorKind,
    explore::{
        invariants::{number_in, stands},
        outcome::Outcome,
        world::World,
    },
};

/// After each step.
pub(super) fn holds(world: &World, process: &mut Process) -> Result<(), String> {
    let Some(session) = &process.session else { return Ok(()) };
    if world.state().shelf.is_flushed {
        // Whoever lags behind may give its numbers anew.
        process.generations.clear();
    }
    stands(&world.of(process.number), session, &mut process.generations)?;
    let current = session.current();
    let state = world.state();
    // What was refused is noted in memory before the store is told.
    let is_unsaved = current.sync.comes_first();
    if let Some(number) = number_in(&current)?
        && !process.used.contains(&number)
    {
        process.used.push(number);
        if !is_unsaved && !state.shelf.ever.contains(&number) {
            return Err(format!("process {} uses token {number} before it is stored", process.number));
        }
    }
    if is_unsaved && !process.is_changed && !state.shelf.has_failed {
        return Err(format!("process {} did not store what it uses, although the store works", process.number));
    }
    Ok(())
}

/// When nothing is under way any more, and the store works. Whether `all_agree` by then is asked too.
pub(super) fn rests(world: &World, process: &Process, all_agree: bool) -> Result<(), String> {
    let Some(session) = &process.session else { return Ok(()) };
    let who = process.number;
    if pin!(session.settled()).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        return Err(format!("process {who} is not settled"));
    }
    let current = session.current();
    let state = world.state();
    if current.sync.unsaved.is_some() {
        return Err(format!("process {who} has not stored what it uses"));
    }
    let (held, stored) = (number_in(&current)?, state.shelf.number());
    if all_agree && held != stored {
        return Err(format!("process {who} has token {held:?}, and the store holds {stored:?}"));
    }
    if all_agree && current.signed_out != state.shelf.is_signed_out() {
        return Err(format!("process {who} and the store do not agree on whether it is signed out"));
    }
    let is_leased = state.shelf.is_leased(state.now.monotonic);
    let may_be_left = state.shelf.lasts.is_some() && (state.ledger.may_end || state.shelf.has_failed);
    if is_leased && !may_be_left {
        return Err("a lease was not given back".into());
    }
    Ok(())
}

/// What a later request is answered. Who has not learned of what is stored goes by its `own` token set.
pub(super) fn served(world: &World, own: Option<u32>, outcome: Outcome) -> Result<(), String> {
    let state = world.state();
    let is_dead = state.ledger.is_dead(own.or(state.shelf.number())) && state.ledger.may_end;
    let is_right = match outcome {
        Outcome::Error(ErrorKind::SignedOut) => state.shelf.is_signed_out(),
        _ if state.shelf.is_signed_out() => false,
        Outcome::Status(200) => true,
        Outcome::Status(401) | Outcome::Error(ErrorKind::Refused | ErrorKind::SignInRequired) => is_dead,
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("a later request ended with {outcome:?}")) }
}
