//! What the tests of the stacks share.

pub mod upstream;
