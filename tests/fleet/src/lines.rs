//! Each line's type, written by `Display` and read by `FromStr`.

use std::{error::Error, fmt, str::FromStr, time::Duration};

/// A place in a flight at which a process can be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The lease is taken; nothing is written yet.
    Leased,
    /// The token set is marked as being spent.
    Marked,
    /// The next thing is the request for tokens.
    Sending,
    /// The server's answer is here: it has rotated the refresh token.
    Rotated,
    /// The next thing is the write of the new token set.
    Writing,
    /// The new token set is written; the lease is not released yet.
    Written,
}

/// What a process is told, on its standard input. When that ends, so does the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say [`Event::Served`] once every lane of requests has had an answer to one that began after this.
    Serve,
    /// Say [`Event::Obeyed`]; stop at this point when it is reached next, and say [`Event::At`].
    Arm(Point),
    /// Say [`Event::Obeyed`]; stop at no point, and go on from the one at which it stands.
    Disarm,
    /// Say [`Event::Report`], and begin a new one.
    Report,
}

/// What a process says, on its standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer to [`Command::Serve`].
    Served,
    /// The answer to [`Command::Arm`] and [`Command::Disarm`]: from here on it does.
    Obeyed,
    /// It stands at this point until it is [disarmed](Command::Disarm).
    At(Point),
    /// It passes this point.
    Passed(Point),
    /// It has a lease of this number.
    Lease(u64),
    /// A token set of this number is in place.
    Generation(u64),
    /// A request failed, for these reasons, the outermost first.
    Failed(String),
    /// It has a token again, after so long without one, to the millisecond.
    Lacked(Duration),
    /// The answer to [`Command::Report`].
    Report(Report),
}

/// What has become of a process's requests since its last report, but for what it says at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests that were answered well.
    pub ok: u64,
    /// For how long it has had no token by now, to the millisecond.
    pub lacks: Duration,
}

/// A line that neither side writes.
#[derive(Clone, Debug)]
pub struct NotALine(String);

// ===== impl Point =====

impl Point {
    /// All of them, in the order of a flight.
    pub const ALL: [Self; 6] = [Self::Leased, Self::Marked, Self::Sending, Self::Rotated, Self::Writing, Self::Written];

    fn word(self) -> &'static str {
        match self {
            Self::Leased => "leased",
            Self::Marked => "marked",
            Self::Sending => "sending",
            Self::Rotated => "rotated",
            Self::Writing => "writing",
            Self::Written => "written",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Point {
    type Err = NotALine;

    fn from_str(word: &str) -> Result<Self, NotALine> {
        Self::ALL.into_iter().find(|point| point.word() == word).ok_or_else(|| NotALine(word.to_owned()))
    }
}

// ===== impl Command =====

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serve => f.write_str("serve"),
            Self::Arm(point) => write!(f, "arm {point}"),
            Self::Disarm => f.write_str("disarm"),
            Self::Report => f.write_str("report"),
        }
    }
}

impl FromStr for Command {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        Ok(match line.split_once(' ').unwrap_or((line, "")) {
            ("serve", "") => Self::Serve,
            ("arm", point) => Self::Arm(point.parse()?),
            ("disarm", "") => Self::Disarm,
            ("report", "") => Self::Report,
            _ => return Err(NotALine(line.to_owned())),
        })
    }
}

// ===== impl Event =====

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => f.write_str("served"),
            Self::Obeyed => f.write_str("obeyed"),
            Self::At(point) => write!(f, "at {point}"),
            Self::Passed(point) => write!(f, "passed {point}"),
            Self::Generation(number) => write!(f, "generation {number}"),
            Self::Failed(why) => write!(f, "failed {}", why.replace('\n', " ")),
            Self::Lease(number) => write!(f, "lease {number}"),
            Self::Lacked(time) => write!(f, "lacked {}", time.as_millis()),
            Self::Report(Report { ok, lacks }) => write!(f, "report {ok} {}", lacks.as_millis()),
        }
    }
}

impl FromStr for Event {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let bad = || NotALine(line.to_owned());
        let number = |word: &str| word.parse::<u64>().map_err(|_| bad());
        Ok(match line.split_once(' ').unwrap_or((line, "")) {
            ("served", "") => Self::Served,
            ("obeyed", "") => Self::Obeyed,
            ("at", point) => Self::At(point.parse()?),
            ("passed", point) => Self::Passed(point.parse()?),
            ("generation", of) => Self::Generation(number(of)?),
            ("lease", of) => Self::Lease(number(of)?),
            ("lacked", time) => Self::Lacked(Duration::from_millis(number(time)?)),
            ("failed", why) => Self::Failed(why.to_owned()),
            ("report", numbers) => {
                let (ok, lacks) = numbers.split_once(' ').ok_or_else(bad)?;
                Self::Report(Report { ok: number(ok)?, lacks: Duration::from_millis(number(lacks)?) })
            }
            _ => return Err(bad()),
        })
    }
}

// ===== impl NotALine =====

impl Error for NotALine {}

impl fmt::Display for NotALine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "neither side writes: {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_as_it_was_written() {
        let points = Point::ALL.into_iter();
        let commands = [Command::Serve, Command::Disarm, Command::Report];
        for command in points.clone().map(Command::Arm).chain(commands) {
            assert_eq!(command.to_string().parse::<Command>().unwrap(), command);
        }
        let report = Report { ok: 1, lacks: Duration::from_millis(2) };
        let events = [
            Event::Served,
            Event::Obeyed,
            Event::Generation(7),
            Event::Lease(8),
            Event::Lacked(Duration::from_millis(9)),
            Event::Failed("a b".to_owned()),
            Event::Report(report),
        ];
        for event in points.flat_map(|point| [Event::At(point), Event::Passed(point)]).chain(events) {
            assert_eq!(event.to_string().parse::<Event>().unwrap(), event);
        }
    }

    #[test]
    fn a_line_of_neither_side_is_an_error() {
        for line in ["", "serve now", "arm", "arm nowhere"] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
        for line in ["", "at", "generation x", "lacked", "report 1", "report 1 2 3"] {
            assert!(line.parse::<Event>().is_err(), "{line}");
        }
    }
}
