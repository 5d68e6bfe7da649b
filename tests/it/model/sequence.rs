//! What can happen, in an order that nobody foresaw. The words are chosen so that a sequence can be read aloud.

use proptest::{collection::vec, prelude::*, sample::select};

use super::observed::Millis;

/// The setting in which a sequence takes place.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    pub can_log_in: bool,
    pub single_use: bool,
    /// In percent: what the jitter rolls each time.
    pub jitter: Millis,
    /// Flights in 30 s.
    pub guard: usize,
    pub replays: u8,
    pub error_after_failed_refresh: bool,
    pub first: Option<Set>,
}

/// What happens at one moment, before anybody has had the time to do anything about it.
pub type Moment = Vec<Action>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A request through the layer.
    Request,
    /// `session.token()`.
    AskForToken,
    SignIn,
    SignOut,
    SetToken(Set),
    /// The API answers one of the requests that it has; the number counts from the oldest, over and over.
    Api(usize, Api),
    /// The token endpoint answers, if it was asked.
    Endpoint(Endpoint),
    /// One of those who have not got what they asked for goes away.
    GoAway(usize),
    /// Time passes, and gives everybody the time to do what there is to do.
    Pass(Amount),
    /// The machine sleeps: only the wall clock goes on.
    Sleep(Amount),
    /// Only the monotonic clock goes on: the wall clock is set back by as much as passes.
    Stall(Amount),
    /// The wall clock is set back.
    SetBack(Millis),
}

/// A token set from the application: its lifetime in seconds, if it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set {
    pub lifetime: Option<u64>,
    pub refresh_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    Welcomes,
    Rejects,
    /// 500.
    Fails,
    HangsUp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A lifetime of 0 is one that has passed already.
    Grants(Set),
    /// The connection was refused: nothing was sent.
    IsNotReached,
    /// It has acted, and nobody knows how.
    AnswersInVain,
    /// 400: the refresh token, or the login, is refused.
    Refuses,
    /// 403, which refuses a login only.
    Forbids,
    /// A status of patience or of failure.
    Says(u16, Option<RetryAfter>),
    /// 200 with nothing that can be read.
    Babbles,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    Seconds(u64),
    /// An HTTP date that many milliseconds ahead, which knows whole seconds only.
    Date(Millis),
}

/// How far the clocks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Millis(Millis),
    /// Up to something that is foreseen, or a millisecond before or after it. Nothing where it is not foreseen.
    Until(Mark, Millis),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    SoftPoint,
    HardPoint,
    Expiry,
    HalfLife,
    BackoffEnd,
    /// The oldest flight that the guard counts is 30 s old.
    GuardEnd,
    Deadline,
}

pub fn scenes() -> impl Strategy<Value = Scene> {
    let first = prop_oneof![1 => Just(None), 4 => sets().prop_map(Some)];
    let guard = prop_oneof![6 => Just(5_usize), 3 => Just(2), 1 => Just(1), 1 => Just(0)];
    let replays = prop_oneof![6 => Just(1_u8), 1 => Just(0), 1 => Just(2)];
    (any::<bool>(), prop::bool::weighted(0.8), select(vec![0, 50, 100]), guard, replays, any::<bool>(), first).prop_map(
        |(can_log_in, single_use, jitter, guard, replays, error_after_failed_refresh, first)| Scene {
            can_log_in,
            single_use,
            jitter,
            guard,
            replays,
            error_after_failed_refresh,
            first,
        },
    )
}

pub fn moments() -> impl Strategy<Value = Vec<Moment>> {
    let moment = prop_oneof![7 => vec(actions(), 1), 2 => vec(actions(), 2), 1 => vec(actions(), 3)];
    vec(moment, 1..48)
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        22 => Just(Action::Request),
        6 => Just(Action::AskForToken),
        4 => Just(Action::SignIn),
        2 => Just(Action::SignOut),
        5 => sets().prop_map(Action::SetToken),
        20 => (0..6_usize, api()).prop_map(|(which, answer)| Action::Api(which, answer)),
        22 => endpoint().prop_map(Action::Endpoint),
        4 => (0..6_usize).prop_map(Action::GoAway),
        18 => amounts().prop_map(Action::Pass),
        4 => amounts().prop_map(Action::Sleep),
        3 => amounts().prop_map(Action::Stall),
        2 => select(vec![1, 1000, 60_000, 100_000_000]).prop_map(Action::SetBack),
    ]
}

fn sets() -> impl Strategy<Value = Set> {
    let lifetimes = prop_oneof![
        1 => Just(None),
        9 => select(vec![0_u64, 1, 2, 10, 60, 1000, 1000, 7200, 100_000]).prop_map(Some),
    ];
    (lifetimes, prop::bool::weighted(0.8)).prop_map(|(lifetime, refresh_token)| Set { lifetime, refresh_token })
}

fn api() -> impl Strategy<Value = Api> {
    prop_oneof![3 => Just(Api::Welcomes), 8 => Just(Api::Rejects), 1 => Just(Api::Fails), 1 => Just(Api::HangsUp)]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let patience = (select(vec![429_u16, 503]), prop::option::weighted(0.7, retry_after()));
    prop_oneof![
        9 => sets().prop_map(Endpoint::Grants),
        2 => Just(Endpoint::IsNotReached),
        2 => Just(Endpoint::AnswersInVain),
        3 => Just(Endpoint::Refuses),
        1 => Just(Endpoint::Forbids),
        3 => patience.prop_map(|(status, after)| Endpoint::Says(status, after)),
        2 => select(vec![500_u16, 502, 504]).prop_map(|status| Endpoint::Says(status, None)),
        1 => Just(Endpoint::Says(404, None)),
        1 => Just(Endpoint::Babbles),
    ]
}

fn retry_after() -> impl Strategy<Value = RetryAfter> {
    prop_oneof![
        select(vec![0_u64, 1, 7, 120, 10_000]).prop_map(RetryAfter::Seconds),
        select(vec![-5000, 0, 1500, 90_000, 10_000_000]).prop_map(RetryAfter::Date),
    ]
}

fn amounts() -> impl Strategy<Value = Amount> {
    let marks = select(vec![
        Mark::SoftPoint,
        Mark::SoftPoint,
        Mark::HardPoint,
        Mark::Expiry,
        Mark::HalfLife,
        Mark::BackoffEnd,
        Mark::BackoffEnd,
        Mark::GuardEnd,
        Mark::Deadline,
    ]);
    prop_oneof![
        2 => select(vec![1, 500, 1000, 15_000, 31_000, 600_000]).prop_map(Amount::Millis),
        5 => (marks, select(vec![0, -1, 1])).prop_map(|(mark, off)| Amount::Until(mark, off)),
    ]
}
