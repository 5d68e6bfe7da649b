//! Plays a sequence to the engine and to the model alike, and holds one against the other after each moment.

use std::{
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    observed::{Millis, Observed, Who},
    reference::Reference,
    sequence::{Action, Amount, Moment, Scene},
    system::System,
};

struct Play<'a> {
    /// Of everything that was seen, what happened.
    seen: Observed,
    system: System,
    reference: Reference,
    /// Of the last token that anybody was given.
    number: u64,
    story: &'a mut String,
}

/// How the engine and the model differ, after what had happened, told for people.
pub type Difference = String;

/// All that was sent, asked for and ended, if nothing went differently.
///
/// # Errors
/// When the engine does anything else than the model foretells.
pub fn play(scene: Scene, moments: &[Moment]) -> Result<Observed, Difference> {
    let mut story = format!("{scene:?}\n");
    let outcome = catch_unwind(AssertUnwindSafe(|| -> Result<Observed, Difference> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (system, reference) = (System::new(scene), Reference::new(scene));
            let mut play = Play { seen: Observed::default(), system, reference, number: 0, story: &mut story };
            for moment in moments {
                for action in moment {
                    play.act(*action).await?;
                }
                play.settle().await?;
            }
            Ok(play.seen)
        })
    }));
    let difference = outcome.unwrap_or_else(|_| Err("a panic\n".into()));
    difference.map_err(|difference| format!("{story}and then:\n{difference}"))
}

/// The shortest part of a sequence in which the engine and the model still differ.
pub fn shorten(scene: Scene, mut moments: Vec<Moment>) -> Vec<Moment> {
    let differ = |moments: &[Moment]| play(scene, moments).is_err();
    let mut at = moments.len();
    while let Some(before) = at.checked_sub(1) {
        at = before;
        for action in (0..moments[at].len()).rev() {
            let mut shorter = moments.clone();
            shorter[at].remove(action);
            if differ(&shorter) {
                moments = shorter;
            }
        }
        if moments[at].is_empty() {
            moments.remove(at);
        }
    }
    moments
}

impl Play<'_> {
    async fn act(&mut self, action: Action) -> Result<(), Difference> {
        match action {
            Action::Request => {
                self.tell(format_args!("a request comes"));
                self.system.request();
                self.reference.request();
            }
            Action::AskForToken => {
                self.tell(format_args!("somebody asks for the token"));
                self.system.ask_for_token();
                self.reference.ask_for_token();
            }
            Action::SignIn => {
                self.tell(format_args!("somebody signs in"));
                self.system.sign_in();
                self.reference.sign_in();
            }
            Action::SignOut => {
                self.tell(format_args!("the application signs out"));
                self.system.sign_out();
                self.reference.sign_out();
            }
            Action::SetToken(set) => {
                self.number += 1;
                let number = self.number;
                self.tell(format_args!("the application brings token {number}: {set:?}"));
                self.system.set(self.number, set);
                self.reference.set(self.number, set);
            }
            Action::Api(which, answer) => {
                if let Some(caller) = pick(&self.reference.at_the_api(), which) {
                    self.tell(format_args!("to request {caller} the API answers: {answer:?}"));
                    self.system.api_answers(caller, answer);
                    self.reference.api_answers(caller, answer);
                }
            }
            Action::Endpoint(answer) if self.reference.is_owed_an_answer() => {
                self.number += 1;
                let number = self.number;
                self.tell(format_args!("the token endpoint answers: {answer:?} (token {number})"));
                self.system.endpoint_answers(answer, self.number);
                self.reference.endpoint_answers(answer, self.number);
            }
            Action::Endpoint(_) => {}
            Action::GoAway(which) => {
                if let Some(caller) = pick(&self.reference.present(), which) {
                    self.tell(format_args!("caller {caller} goes away"));
                    self.system.go_away(caller);
                    self.reference.go_away(caller);
                }
            }
            Action::Pass(amount) => {
                self.settle().await?;
                let passed = self.how_far(amount, false);
                self.pass(1, passed).await?;
            }
            Action::Stall(amount) => {
                self.settle().await?;
                let passed = self.how_far(amount, false);
                self.pass(0, passed).await?;
            }
            Action::Sleep(amount) => {
                let passed = self.how_far(amount, true);
                self.tell(format_args!("the machine sleeps for {passed} ms"));
                self.system.pass(passed, 0).await;
                self.reference.pass(passed, 0);
            }
            Action::SetBack(by) => {
                self.tell(format_args!("the wall clock is set back by {by} ms"));
                self.system.pass(-by, 0).await;
                self.reference.pass(-by, 0);
            }
        }
        Ok(())
    }

    fn how_far(&self, amount: Amount, wall: bool) -> Millis {
        match amount {
            Amount::Millis(millis) => millis,
            Amount::Until(mark, off) => self.reference.until(mark, wall).map_or(0, |far| (far + off).max(0)),
        }
    }

    /// Time passes for a program that runs: what is due in between happens in between.
    async fn pass(&mut self, wall: Millis, mut passed: Millis) -> Result<(), Difference> {
        while passed > 0 {
            let next = self.reference.until_deadline().map_or(passed, |deadline| deadline.clamp(1, passed));
            let clocks = if wall == 1 { "time passes" } else { "the wall clock stands still" };
            self.tell(format_args!("{clocks}: {next} ms"));
            self.system.pass(wall * next, next).await;
            self.reference.pass(wall * next, next);
            self.settle().await?;
            passed -= next;
        }
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), Difference> {
        let (seen, foretold) = (self.system.settle().await, self.reference.settle());
        if seen == foretold {
            self.tell_all(&seen);
            self.seen.sent.extend(seen.sent);
            self.seen.asked.extend(seen.asked);
            self.seen.ended.extend(seen.ended);
            return Ok(());
        }
        Err(seen.difference(&foretold))
    }

    fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.story, "- {what}");
    }

    fn tell_all(&mut self, seen: &Observed) {
        for (caller, token) in &seen.sent {
            let _ = writeln!(self.story, "    request {caller} reaches the API with token {token}");
        }
        for ask in &seen.asked {
            let _ = writeln!(self.story, "    the token endpoint is asked: {ask:?}");
        }
        for (caller, ending) in &seen.ended {
            let _ = writeln!(self.story, "    caller {caller} gets {ending:?}");
        }
    }
}

fn pick(from: &[Who], which: usize) -> Option<Who> {
    from.get(which.checked_rem(from.len())?).copied()
}
