//! What a process tells on its standard output, a line each.

use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug)]
pub(crate) enum News {
    /// It has asked the API for this token set.
    Fetched { generation: u64 },
    /// Another has, and it has found it in the store.
    TookOver { generation: u64 },
    /// It is done, after so many requests.
    Done { answered: u64, failed: u64 },
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched { generation } => write!(f, "fetched token set {generation}"),
            Self::TookOver { generation } => write!(f, "took over token set {generation}"),
            Self::Done { answered, failed } => write!(f, "is done: {answered} requests answered, {failed} failed"),
        }
    }
}

impl FromStr for News {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        let mut number = || numbers.next().ok_or_else(|| format!("not understood: {line}"));
        Ok(match line.split(' ').next() {
            Some("fetched") => Self::Fetched { generation: number()? },
            Some("took") => Self::TookOver { generation: number()? },
            _ => Self::Done { answered: number()?, failed: number()? },
        })
    }
}
