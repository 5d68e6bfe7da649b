//! What the checks of a provider or a store have found.

use std::{collections::HashSet, fmt};

/// Every check, in the order in which it was made. `Display` lists them.
#[derive(Clone, Debug, Default)]
pub struct Report(Vec<Check>);

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    name: &'static str,
    law: &'static str,
    outcome: Outcome,
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It could not be made, or says nothing about this provider or store; with the reason.
    NotApplicable(&'static str),
    /// It does not hold. Neither text has anything in it that a server or a provider wrote; of a store it has what its
    /// errors print.
    Failed {
        /// What must be.
        expected: String,
        /// What was.
        came: String,
    },
}

/// A provider or a store has failed at least one check. `Display` and `Debug` list what was expected and what came, without any
/// secret; [`report`](Self::report) has all checks.
#[derive(Clone)]
pub struct NonConformance(Report);

/// What a check says; all but `Passed` is an error, so that it can be raised from the middle of a check.
pub(super) type Finding = Result<(), Outcome>;

// ===== impl Report =====

impl Report {
    /// All checks.
    pub fn checks(&self) -> impl Iterator<Item = &Check> {
        self.0.iter()
    }

    /// The names of the checks that were made and hold.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> {
        self.checks().filter(|check| check.outcome == Outcome::Passed).map(Check::name)
    }

    /// The names of the checks that do not apply.
    pub fn not_applicable(&self) -> impl Iterator<Item = &'static str> {
        self.checks().filter(|check| matches!(check.outcome, Outcome::NotApplicable(_))).map(Check::name)
    }

    /// The names of the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.checks().filter(|check| check.is_failure()).map(Check::name)
    }

    pub(super) fn record(&mut self, name: &'static str, law: &'static str, finding: Finding) {
        let outcome = finding.err().unwrap_or(Outcome::Passed);
        self.0.push(Check { name, law, outcome });
    }

    pub(super) fn conclude(self) -> Result<Self, NonConformance> {
        if self.failed().next().is_none() { Ok(self) } else { Err(NonConformance(self)) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks().try_for_each(|check| writeln!(f, "{check}"))
    }
}

// ===== impl Check =====

impl Check {
    /// Its name: a sentence that says what must be.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The number of the law in `docs/contract.md` that it stands for, such as `C17`.
    #[must_use]
    pub fn law(&self) -> &'static str {
        self.law
    }

    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    fn is_failure(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, law, outcome } = self;
        match outcome {
            Outcome::Passed => write!(f, "{law} {name}: holds"),
            Outcome::NotApplicable(reason) => write!(f, "{law} {name}: does not apply, {reason}"),
            Outcome::Failed { expected, came } => write!(f, "{law} {name}: expected {expected}, came {came}"),
        }
    }
}

// ===== impl Outcome =====

impl Outcome {
    pub(super) fn failed(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self::Failed { expected: expected.into(), came: came.into() }
    }
}

/// Passes where both are the same.
pub(super) fn same<T: PartialEq + fmt::Debug>(what: &str, expected: T, came: T) -> Finding {
    if expected == came {
        return Ok(());
    }
    Err(Outcome::failed(format!("{what} {expected:?}"), format!("{came:?}")))
}

/// Passes where nothing is listed. What is listed more than once is told once.
pub(super) fn none(expected: &str, mut found: Vec<String>) -> Finding {
    let mut known = HashSet::new();
    found.retain(|one| known.insert(one.clone()));
    if found.is_empty() { Ok(()) } else { Err(Outcome::failed(expected, found.join("; "))) }
}

// ===== impl NonConformance =====

impl NonConformance {
    /// All checks, the failed ones among them.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.0
    }
}

impl std::error::Error for NonConformance {}

impl fmt::Display for NonConformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks failed", self.0.failed().count())?;
        let mut failed = self.0.checks().filter(|check| check.is_failure());
        failed.try_for_each(|check| write!(f, "\n- {check}"))
    }
}

/// A test's `unwrap` prints this.
impl fmt::Debug for NonConformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
