//! The opt-in keeper: refreshes without traffic.

use std::{sync::Weak, time::Duration};

use crate::{
    provider::Provider,
    rt,
    session::{Events, Joined, Session, Shared, flight::Ticket},
};

/// The longest sleep: a timer may stand still while the machine is suspended, and the wall clock does not.
const LONGEST: Duration = Duration::from_secs(30);

/// The shortest: a session's clock that stands still must not make the keeper spin.
const SHORTEST: Duration = Duration::from_millis(10);

/// What the keeper waits for.
enum Wait {
    Landing(Ticket),
    Time(Duration),
}

/// Holds no handle to the session while it waits, so that it ends with the last of the others.
pub(super) async fn keep_fresh<P: Provider>(session: Weak<Shared<P>>, mut events: Events) {
    while let Some(wait) = session.upgrade().map(|shared| refresh_if_due(&Session(shared))) {
        match wait {
            Wait::Landing(ticket) => {
                let _ = ticket.await;
                if let Some(session) = session.upgrade().map(Session) {
                    session.give_up_lost();
                }
            }
            // A change may change what is due.
            Wait::Time(time) => match rt::timeout(time, events.recv()).await {
                Ok(_) | Err(rt::NotInTime::Elapsed) => {}
                Err(rt::NotInTime::NoTimer) => {
                    tracing::warn!("the keeper ends: it needs a tokio runtime with its timer enabled");
                    return;
                }
            },
        }
    }
}

fn refresh_if_due<P: Provider>(session: &Session<P>) -> Wait {
    let current = session.current();
    if let Some(flight) = &current.flight {
        return Wait::Landing(flight.ticket());
    }
    let generation = current.generation;
    match current.due_in(session.now_in(&current), session.policy()) {
        Some(Duration::ZERO) => {
            drop(current);
            match session.join(generation) {
                Joined::Flying(ticket) => Wait::Landing(ticket),
                Joined::Changed => Wait::Time(SHORTEST),
                Joined::Refused(_) => Wait::Time(LONGEST),
            }
        }
        Some(due) => Wait::Time(due.clamp(SHORTEST, LONGEST)),
        None => Wait::Time(LONGEST),
    }
}
