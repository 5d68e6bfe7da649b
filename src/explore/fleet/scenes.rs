//! Scenes of two processes.

mod lasting;
