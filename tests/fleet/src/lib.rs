//! What a process of the fleet and the tests that run it tell each other: one line each, words with spaces between.
//!
//! The tests are in `tests/it`, the process is `src/bin/member`.

#![allow(clippy::exhaustive_enums, reason = "both sides of the pipe are built together")]

mod lines;

pub use lines::{Command, Event, NotALine, Point, Report};
