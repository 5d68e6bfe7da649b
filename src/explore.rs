//! Every order of polls, drops, aborts, answers, timers and calls from outside, for a few requests at once.
//!
//! The futures are the real ones, from the service down to the driver. What stands in for the world is scripted: a
//! runtime of the explorer's own behind the seam of `rt`, and servers that answer when the explorer says so. [`walk`]
//! goes through a [`scene`] depth first until there is no order left; [`replay`] goes through one order again;
//! [`shuttle`] draws orders of larger scenes at random. After each step the [`invariants`] must hold.

mod choices;
mod executor;
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

use executor::Run;
use scene::Scene;

/// Walks all schedules of a scene, and says how many they are.
#[track_caller]
fn walk(scene: &Scene) -> usize {
    let (mut prefix, mut schedules, mut longest) = (Vec::new(), 0, 0);
    loop {
        let (ended, choices) = Run::play(scene, prefix);
        if ended.is_err() {
            replay(scene, &choices.made());
            unreachable!("a schedule is decided by its choices");
        }
        schedules += 1;
        longest = longest.max(choices.made().len());
        match choices.next() {
            Some(next) => prefix = next,
            None => break,
        }
    }
    println!("{schedules:>8} schedules, {longest:>2} choices at most: {}", scene.name);
    schedules
}

/// Plays the one schedule that these choices make (the first option where they end), and says each step of it on a
/// violation.
#[track_caller]
#[allow(clippy::panic, reason = "this is how a test fails")]
fn replay(scene: &Scene, choices: &[usize]) {
    if let (Err(violation), played) = Run::play(scene, choices.to_vec()) {
        panic!("{violation}\nscene: {}\n{}replay(&scene, &{:?})", scene.name, played.story(), played.made());
    }
}
