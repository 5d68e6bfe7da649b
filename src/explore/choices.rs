//! The choices of one schedule: replayed as far as they are given, the first option from there on.

use fastrand::Rng;

use super::steps::Step;

/// One drawn choice in so many may be an option that is not ordinary.
const RARE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Choices {
    given: Vec<usize>,
    /// Throws the dice for what is not given.
    dice: Option<Rng>,
    made: Vec<(usize, usize)>,
    steps: Vec<(usize, Step)>,
}

impl Choices {
    pub(super) fn new(given: Vec<usize>) -> Self {
        Self { given, ..Self::default() }
    }

    /// Choices that are drawn at random, the same for the same seed.
    pub(super) fn drawn(seed: u64) -> Self {
        Self { dice: Some(Rng::with_seed(seed)), ..Self::default() }
    }

    /// One of `options`, by number. Where there is but one nothing is chosen.
    pub(super) fn choose(&mut self, options: usize) -> usize {
        self.choose_among(options, options)
    }

    /// The same where only the first options are `ordinary`: of the others the dice take one now and then.
    pub(super) fn choose_among(&mut self, ordinary: usize, options: usize) -> usize {
        if options < 2 {
            return 0;
        }
        let choice = match (self.given.get(self.made.len()), &mut self.dice) {
            (Some(given), _) => *given,
            (None, Some(dice)) => {
                let is_ordinary = ordinary > 0 && dice.usize(..RARE) > 0;
                dice.usize(..if is_ordinary { ordinary } else { options })
            }
            (None, None) => 0,
        };
        assert!(choice < options, "choice {} of {:?} has only {options} options", self.made.len(), self.given);
        self.made.push((choice, options));
        choice
    }

    /// Takes note of what was done.
    pub(super) fn note(&mut self, depth: usize, step: Step) {
        self.steps.push((depth, step));
    }

    pub(super) fn made(&self) -> Vec<usize> {
        self.made.iter().map(|(choice, _)| *choice).collect()
    }

    /// What was done, line by line, and indented where it was done in the middle of a step.
    pub(super) fn story(&self) -> String {
        self.steps.iter().map(|(depth, step)| format!("  {}{step}\n", "    ".repeat(*depth))).collect()
    }

    /// The choices that lead to the next schedule, as an odometer counts: `None` after the last.
    pub(super) fn next(&self) -> Option<Vec<usize>> {
        let last = self.made.iter().rposition(|(choice, options)| choice + 1 < *options)?;
        let mut next: Vec<_> = self.made.iter().take(last + 1).map(|(choice, _)| *choice).collect();
        *next.last_mut()? += 1;
        Some(next)
    }
}

#[test]
fn what_is_drawn_depends_on_the_seed_alone() {
    let draw = |seed| {
        let mut choices = Choices::drawn(seed);
        (0..50).map(|_| choices.choose_among(2, 5)).collect::<Vec<_>>()
    };
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
}

#[test]
fn every_combination_comes_once_and_in_order() {
    let (mut seen, mut given) = (Vec::new(), Some(Vec::new()));
    while let Some(prefix) = given {
        let mut choices = Choices::new(prefix);
        let first = choices.choose(3);
        // The second choice depends on the first.
        let second = choices.choose(first + 1);
        seen.push((first, second));
        given = choices.next();
    }
    assert_eq!(seen, [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]);
}
