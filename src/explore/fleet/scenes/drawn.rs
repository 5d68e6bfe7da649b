//! Larger scenes, whose orders are drawn at random.

use super::super::{Fleet, draw};
use crate::explore::{
    ledger::Refusals,
    scene::{Does::*, Reply::*, Start},
    world::Deed,
};

const ALL: [Deed; 3] = [Deed::Failed, Deed::Unheard, Deed::Hung];

#[test]
fn many_faults_without_a_login() {
    let mut fleet = Fleet::new("four requests without a login, many faults", Start::Rejected, [Request; 4]);
    (fleet.faults, fleet.stalls, fleet.turns) = (3, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Lose, NotSent, Unavailable]);
    fleet.refusals = Refusals::Unsaid;
    fleet.scene.token_calls = 4;
    draw(&fleet);
}

#[test]
fn many_faults_with_a_login() {
    let mut fleet = Fleet::new("four requests, many faults", Start::Rejected, [Request; 4]);
    (fleet.faults, fleet.stalls, fleet.turns) = (3, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.faults(1, &[Unavailable, Lose], &[Lose, NotSent, Unavailable]);
    fleet.scene.token_calls = 5;
    draw(&fleet);
}

#[test]
fn kills_without_a_login() {
    let mut fleet = Fleet::new("six requests of three processes without a login, kills", Start::Rejected, [Request; 6]);
    (fleet.processes, fleet.kills, fleet.faults, fleet.stalls, fleet.turns) = (3, 1, 1, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login();
    fleet.refusals = Refusals::Unsaid;
    (fleet.scene.token_calls, fleet.scene.drops) = (4, 2);
    draw(&fleet);
}

#[test]
fn kills_with_a_login() {
    let mut fleet = Fleet::new("six requests of three processes, kills", Start::Expired, [Request; 6]);
    (fleet.processes, fleet.kills, fleet.faults, fleet.stalls, fleet.turns) = (3, 2, 1, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    (fleet.scene.token_calls, fleet.scene.drops) = (6, 4);
    draw(&fleet);
}

#[test]
fn aborts_and_panics() {
    let mut fleet = Fleet::new("four requests, aborts and panics", Start::Rejected, [Request; 4]);
    (fleet.aborts, fleet.faults, fleet.turns) = (2, 2, usize::MAX);
    fleet.kinds = vec![Deed::Panicked, Deed::Unheard];
    fleet.scene = fleet.scene.faults(1, &[Poison], &[Poison, Vanish]);
    fleet.scene.token_calls = 6;
    draw(&fleet);
}

#[test]
fn aborts_and_panics_without_a_login() {
    let mut fleet = Fleet::new("four requests without a login, aborts and panics", Start::Rejected, [Request; 4]);
    (fleet.aborts, fleet.faults, fleet.turns) = (2, 2, usize::MAX);
    fleet.kinds = vec![Deed::Panicked, Deed::Unheard];
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Vanish, Poison]);
    fleet.refusals = Refusals::Forgotten;
    fleet.scene.token_calls = 6;
    draw(&fleet);
}

#[test]
fn changes_from_outside() {
    let mut fleet =
        Fleet::new("requests, set, sign-out", Start::Rejected, [Request, Request, Set(50), SignOut, Request, Set(51)]);
    (fleet.faults, fleet.stalls, fleet.turns) = (2, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.faults(1, &[Lose, Unavailable], &[Lose, Unavailable, Vanish]);
    fleet.scene.token_calls = 8;
    draw(&fleet);
}

#[test]
fn a_store_that_forgets() {
    let mut fleet = Fleet::new("four requests, a store that forgets", Start::Rejected, [Request; 4]);
    (fleet.faults, fleet.stalls, fleet.turns, fleet.flushes) = (1, 1, usize::MAX, 1);
    fleet.kinds = ALL.to_vec();
    fleet.scene.token_calls = 5;
    draw(&fleet);
}

#[test]
fn a_store_that_forgets_without_a_login() {
    let mut fleet = Fleet::new("four requests without a login, a store that forgets", Start::Rejected, [Request; 4]);
    (fleet.faults, fleet.turns, fleet.flushes) = (1, usize::MAX, 1);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login();
    fleet.refusals = Refusals::Unsaid;
    fleet.scene.token_calls = 5;
    draw(&fleet);
}

#[test]
fn refused_logins() {
    let mut fleet = Fleet::new("four cold requests, the login refused", Start::Cold, [Request; 4]);
    (fleet.faults, fleet.turns) = (2, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.faults(2, &[Refuse, Unavailable], &[]);
    fleet.refusals = Refusals::Unsaid;
    fleet.scene.token_calls = 5;
    draw(&fleet);
}

#[test]
fn sign_ins() {
    let mut fleet =
        Fleet::new("requests, sign-ins, sign-outs", Start::Rejected, [Request, SignIn, SignIn, SignOut, SignOut]);
    (fleet.faults, fleet.turns) = (2, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene.token_calls = 8;
    draw(&fleet);
}

#[test]
fn beginnings() {
    let mut fleet =
        Fleet::new("six requests of three processes, given a token to begin with", Start::Expired, [Request; 6]);
    (fleet.processes, fleet.cold, fleet.is_initial) = (3, 3, true);
    (fleet.faults, fleet.stalls, fleet.turns) = (2, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene.token_calls = 4;
    draw(&fleet);
}

#[test]
fn beginnings_without_a_login() {
    let mut fleet =
        Fleet::new("four requests without a login, given a token to begin with", Start::Expired, [Request; 4]);
    (fleet.cold, fleet.is_initial) = (2, true);
    (fleet.faults, fleet.stalls, fleet.turns) = (2, 1, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login();
    fleet.refusals = Refusals::Unsaid;
    fleet.scene.token_calls = 4;
    draw(&fleet);
}

#[test]
fn deadlines_without_a_login() {
    let mut fleet =
        Fleet::new("six requests of three processes without a login, deadlines", Start::Rejected, [Request; 6]);
    (fleet.processes, fleet.cold, fleet.deadlines) = (3, 1, 1);
    (fleet.faults, fleet.turns) = (2, usize::MAX);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Vanish, Lose]);
    fleet.refusals = Refusals::Forgotten;
    fleet.scene.token_calls = 8;
    draw(&fleet);
}

#[test]
fn deadlines() {
    let mut fleet = Fleet::new("six requests of three processes, deadlines", Start::Hard, [Request; 6]);
    (fleet.processes, fleet.cold, fleet.deadlines, fleet.kills) = (3, 1, 1, 1);
    (fleet.faults, fleet.turns, fleet.scene.drops) = (2, usize::MAX, 2);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.faults(1, &[Unavailable], &[Vanish, Lose]);
    fleet.scene.token_calls = 8;
    draw(&fleet);
}

#[test]
fn locks() {
    let mut fleet = Fleet::new("six requests of three processes, a lock", Start::Rejected, [Request; 6]);
    (fleet.processes, fleet.cold, fleet.lasts, fleet.kills) = (3, 1, None, 1);
    (fleet.faults, fleet.turns, fleet.scene.drops) = (2, usize::MAX, 2);
    fleet.kinds = ALL.to_vec();
    fleet.scene = fleet.scene.without_login().faults(1, &[], &[Vanish, NotSent]);
    fleet.refusals = Refusals::Unsaid;
    fleet.scene.token_calls = 8;
    draw(&fleet);
}
