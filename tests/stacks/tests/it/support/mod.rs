//! What the tests of the stacks share.

#[path = "../../../../../examples/loopback/mod.rs"]
pub mod loopback;
pub mod refusing;
pub mod reqwest_scene;
pub mod serve;
pub mod upstream;
