//! What a process of the fleet and the tests that run it tell each other: one line each, words with spaces between. And when a
//! process has no token.
//!
//! The tests are in `tests/it`, the process is `src/bin/member`.

#![allow(clippy::disallowed_methods, reason = "the rules are the library's; real processes live in real time")]
#![allow(clippy::indexing_slicing, reason = "a process of a test ends with its message")]
#![allow(clippy::exhaustive_enums, clippy::exhaustive_structs, reason = "both sides of the pipe are built together")]

mod gaps;
mod lines;

pub use gaps::Gaps;
pub use lines::{Command, Event, NotALine, Point, Report};
