//! Every order of polls, drops, aborts, answers, timers and calls from outside, for a few requests at once.
//!
//! The futures are the real ones, from the service down to the driver. What stands in for the world is scripted: a
//! runtime of the explorer's own behind the seam of `rt`, and servers that answer when the explorer says so. [`walk`]
//! goes through a [`scene`] depth first until there is no order left; [`replay`] goes through one order again;
//! [`shuttle`] draws orders of larger scenes at random. A [`fleet`] is several processes over one store. After each step the
//! [`invariants`] must hold.

mod choices;
mod executor;
mod fleet;
mod invariants;
mod ledger;
mod outcome;
mod provider;
mod scene;
mod scenes;
mod shuttle;
mod steps;
mod tests;
mod world;

use choices::Choices;
use executor::Run;
use scene::Scene;

/// How a schedule ended, and by which choices.
type Played = (Result<(), String>, Choices);

/// Walks all schedules of a scene, and says how many they are.
#[track_caller]
fn walk(scene: &Scene) -> usize {
    walk_by(scene.name, |choices| Run::play(scene, choices))
}

/// Walks all schedules that `play` plays.
#[track_caller]
fn walk_by(name: &str, play: impl Fn(Choices) -> Played) -> usize {
    let (mut prefix, mut schedules, mut longest) = (Vec::new(), 0, 0);
    loop {
        let (ended, choices) = play(Choices::new(prefix));
        if let Err(violation) = ended {
            fail(name, &violation, &choices);
        }
        schedules += 1;
        longest = longest.max(choices.made().len());
        match choices.next() {
            Some(next) => prefix = next,
            None => break,
        }
    }
    println!("{schedules:>8} schedules, {longest:>2} choices at most: {name}");
    schedules
}

/// Plays the one schedule that these choices make (the first option where they end), and says each step of it on a
/// violation.
#[track_caller]
fn replay(scene: &Scene, choices: &[usize]) {
    if let (Err(violation), played) = Run::play(scene, Choices::new(choices.to_vec())) {
        fail(scene.name, &violation, &played);
    }
}

#[track_caller]
#[allow(clippy::panic, reason = "this is how a test fails")]
fn fail(name: &str, violation: &str, played: &Choices) -> ! {
    panic!("{violation}\nscene: {name}\n{}replay(&scene, &{:?})", played.story(), played.made());
}
