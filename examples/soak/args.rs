//! What the command line says.

/// How much to do, and by which draws.
pub(crate) struct Args {
    pub(crate) requests: u64,
    /// Repeats what is drawn: faults, cancellations, the ways of the clock. Not how threads take turns.
    pub(crate) seed: u64,
}

const USAGE: &str = "usage: soak [REQUESTS] [--requests N] [--seed N]";

impl Args {
    /// # Errors
    /// With what is wrong, and the usage.
    pub(crate) fn read(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut read = Self { requests: 1_000_000, seed: fastrand::u64(..) };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.as_str() {
                "--requests" | "--seed" => (arg.as_str(), args.next()),
                _ => ("--requests", Some(arg.clone())),
            };
            let number = value.and_then(|value| value.replace('_', "").parse().ok());
            let number = number.ok_or_else(|| format!("{arg}: not understood\n{USAGE}"))?;
            match name {
                "--seed" => read.seed = number,
                _ => read.requests = number,
            }
        }
        Ok(read)
    }
}
