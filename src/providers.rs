//! The providers that this crate brings, one file each.

mod wire;
