//! What came of the tasks of one schedule.

use super::{
    provider::{Numbers, number_of},
    scene::Scene,
    world::World,
};
use crate::{
    Session,
    error::{Error, ErrorKind},
};

/// What a task was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The answer of the API, by its status.
    Status(u16),
    /// A token set, or a sign-in that succeeded.
    Done,
    Error(ErrorKind),
}

impl<T> From<Result<T, Error>> for Outcome {
    fn from(result: Result<T, Error>) -> Self {
        result.map_or_else(|error| Self::Error(error.kind()), |_| Self::Done)
    }
}

/// One schedule, when nothing is left to do.
#[derive(Debug)]
pub(super) struct Ending {
    /// What each task of the scene was answered; `None` where it was dropped, and for what is no task.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// How often each task was sent to the API.
    pub(super) sends: Vec<usize>,
    pub(super) logins: usize,
    pub(super) refreshes: usize,
    /// The token set in place, by its number.
    pub(super) token: Option<u32>,
}

impl Ending {
    pub(super) fn of(scene: &Scene, world: &World, session: &Session<Numbers>) -> Self {
        let state = world.state();
        let current = session.current();
        let sends = |task| state.sent.iter().filter(|sent| sent.task == task).count();
        Self {
            outcomes: state.outcomes.clone(),
            sends: (0..scene.does.len()).map(sends).collect(),
            logins: state.calls.iter().filter(|call| call.refreshes.is_none()).count(),
            refreshes: state.calls.iter().filter(|call| call.refreshes.is_some()).count(),
            token: current.token.as_ref().and_then(|issued| number_of(&issued.token)),
        }
    }
}
