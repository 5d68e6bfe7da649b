//! Larger scenes, whose orders are drawn at random.

use super::super::{Fleet, draw};
use crate::explore::{
    ledger::Refusals,
    scene::{Does::*, Reply::*, Scene, Start},
    world::Deed,
};

#[test]
fn many_faults() {
    draw(&Fleet {
        faults: 3,
        stalls: 1,
        ..Fleet::of(Scene {
            token_calls: 5,
            ..Scene::new("four requests, many faults", Start::Rejected, [Request; 4]).faults(
                1,
                &[Lose, Unavailable],
                &[Lose, NotSent, Unavailable],
            )
        })
    });
}

#[test]
fn many_faults_without_a_login() {
    draw(&Fleet {
        faults: 3,
        stalls: 1,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            token_calls: 4,
            ..Scene::new("four requests without a login, many faults", Start::Rejected, [Request; 4])
                .without_login()
                .faults(1, &[], &[Lose, NotSent, Unavailable])
        })
    });
}

#[test]
fn kills() {
    draw(&Fleet {
        processes: 3,
        cold: 1,
        kills: 2,
        stalls: 1,
        faults: 1,
        ..Fleet::of(Scene {
            drops: 4,
            token_calls: 6,
            ..Scene::new("six requests of three processes, kills", Start::Expired, [Request; 6])
        })
    });
}

#[test]
fn kills_without_a_login() {
    draw(&Fleet {
        processes: 3,
        cold: 1,
        kills: 1,
        stalls: 1,
        faults: 1,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            drops: 2,
            token_calls: 4,
            ..Scene::new("six requests of three processes without a login, kills", Start::Rejected, [Request; 6])
                .without_login()
        })
    });
}

#[test]
fn kills_with_a_lock() {
    draw(&Fleet {
        processes: 3,
        lasts: None,
        kills: 1,
        faults: 2,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            drops: 2,
            token_calls: 8,
            ..Scene::new("six requests of three processes without a login, a lock", Start::Rejected, [Request; 6])
                .without_login()
                .faults(1, &[], &[Vanish, NotSent])
        })
    });
}

#[test]
fn deadlines() {
    draw(&Fleet {
        processes: 3,
        cold: 1,
        deadlines: 1,
        kills: 1,
        faults: 2,
        ..Fleet::of(Scene {
            drops: 2,
            token_calls: 8,
            ..Scene::new("six requests of three processes, deadlines", Start::Hard, [Request; 6]).faults(
                1,
                &[Unavailable],
                &[Vanish, Lose],
            )
        })
    });
}

#[test]
fn deadlines_without_a_login() {
    draw(&Fleet {
        processes: 3,
        cold: 1,
        deadlines: 1,
        faults: 2,
        refusals: Refusals::Forgotten,
        ..Fleet::of(Scene {
            token_calls: 8,
            ..Scene::new("six requests of three processes without a login, deadlines", Start::Rejected, [Request; 6])
                .without_login()
                .faults(1, &[], &[Vanish, Lose])
        })
    });
}

#[test]
fn aborts_and_panics() {
    draw(&Fleet {
        aborts: 2,
        faults: 2,
        kinds: vec![Deed::Panicked, Deed::Unheard],
        ..Fleet::of(Scene {
            token_calls: 6,
            ..Scene::new("four requests, aborts and panics", Start::Rejected, [Request; 4]).faults(
                1,
                &[Poison],
                &[Poison, Vanish],
            )
        })
    });
}

#[test]
fn aborts_and_panics_without_a_login() {
    draw(&Fleet {
        aborts: 2,
        faults: 2,
        kinds: vec![Deed::Panicked, Deed::Unheard],
        refusals: Refusals::Forgotten,
        ..Fleet::of(Scene {
            token_calls: 6,
            ..Scene::new("four requests without a login, aborts and panics", Start::Rejected, [Request; 4])
                .without_login()
                .faults(1, &[], &[Poison, Vanish])
        })
    });
}

#[test]
fn changes_from_outside() {
    draw(&Fleet {
        faults: 2,
        stalls: 1,
        ..Fleet::of(Scene {
            token_calls: 8,
            ..Scene::new(
                "requests, set, sign-out",
                Start::Rejected,
                [Request, Request, Set(50), SignOut, Request, Set(51)],
            )
            .faults(1, &[Lose, Unavailable], &[Lose, Unavailable, Vanish])
        })
    });
}

#[test]
fn sign_ins() {
    draw(&Fleet {
        faults: 2,
        ..Fleet::of(Scene {
            token_calls: 8,
            ..Scene::new("request, sign-ins, sign-out", Start::Rejected, [Request, SignIn, SignIn, SignOut])
        })
    });
}

#[test]
fn refused_logins() {
    draw(&Fleet {
        faults: 2,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            token_calls: 5,
            ..Scene::new("four cold requests, the login refused", Start::Cold, [Request; 4]).faults(
                2,
                &[Refuse, Unavailable],
                &[],
            )
        })
    });
}

#[test]
fn a_store_that_forgets() {
    draw(&Fleet {
        flushes: 1,
        faults: 1,
        stalls: 1,
        ..Fleet::of(Scene {
            token_calls: 5,
            ..Scene::new("four requests, a store that forgets", Start::Rejected, [Request; 4])
        })
    });
}

#[test]
fn a_store_that_forgets_without_a_login() {
    draw(&Fleet {
        flushes: 1,
        faults: 1,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            token_calls: 5,
            ..Scene::new("four requests without a login, a store that forgets", Start::Rejected, [Request; 4])
                .without_login()
        })
    });
}

#[test]
fn beginnings() {
    draw(&Fleet {
        processes: 3,
        cold: 3,
        is_initial: true,
        faults: 2,
        stalls: 1,
        refusals: Refusals::Unsaid,
        ..Fleet::of(Scene {
            token_calls: 4,
            ..Scene::new("six requests of three processes, given a token", Start::Expired, [Request; 6]).without_login()
        })
    });
}
