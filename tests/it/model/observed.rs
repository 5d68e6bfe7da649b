//! What can be seen of a session from outside: the model foretells it, the engine shows it, and the two are compared.

use tower_auth_refresh::{error::ErrorKind, session::Condition};

/// Milliseconds since the test began, by whichever clock.
pub type Millis = i64;

/// Who asked for something: callers are numbered in the order in which they came.
pub type Who = usize;

/// Everything that happened at one moment, and how things stand after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The requests that reached the API, with the numbers of the tokens they carried.
    pub sent: Vec<(Who, u64)>,
    /// The requests that reached the token endpoint.
    pub asked: Vec<Ask>,
    /// Who got what.
    pub ended: Vec<(Who, Ending)>,
    pub heard: Vec<Heard>,
    /// Whose requests the API has not answered yet.
    pub at_the_api: Vec<Who>,
    /// Who waits for the session.
    pub waiting: Vec<Who>,
    /// Whether the token endpoint owes an answer.
    pub owed: bool,
    /// Whether `settled()` returns at once.
    pub settled: bool,
    pub status: Option<Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Login,
    /// With the refresh token of that number.
    Refresh(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Answer(u16),
    /// A rejected answer, with the reason why there is no other.
    AnswerAfter(u16, Failure),
    Error(Failure),
    /// The number of the token that the caller was given.
    Token(u64),
    SignedIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: ErrorKind,
    /// On the wall clock.
    pub retry_at: Option<Millis>,
}

/// An event, and the generation it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    TokenChanged(usize),
    SignedOut(usize),
    RefreshFailed(usize, Failure),
}

/// The session's status. Generations are told apart, and not compared with any number: each has the place at which it
/// was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub condition: Condition,
    pub generation: usize,
    pub expires_at: Option<Millis>,
    pub last_error: Option<ErrorKind>,
    pub failing_since: Option<Millis>,
    pub retry_at: Option<Millis>,
}

impl Observed {
    /// Where two views of one moment differ, side by side.
    pub fn difference(&self, foretold: &Self) -> String {
        let differing = self.lines().into_iter().zip(foretold.lines()).filter(|(seen, foretold)| seen != foretold);
        differing.map(|(seen, foretold)| format!("  the engine: {seen}\n  the model:  {foretold}\n")).collect()
    }

    fn lines(&self) -> Vec<String> {
        let Self { sent, asked, ended, heard, at_the_api, waiting, owed, settled, status } = self;
        vec![
            format!("sent {sent:?}"),
            format!("asked {asked:?}"),
            format!("ended {ended:?}"),
            format!("heard {heard:?}"),
            format!("at the API {at_the_api:?}"),
            format!("waiting {waiting:?}"),
            format!("owed {owed}, settled {settled}"),
            format!("{status:?}"),
        ]
    }
}
