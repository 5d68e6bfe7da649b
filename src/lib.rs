//! x
mod challenge;
pub mod clock;
pub mod credential;
pub mod inspect;
pub mod provider;
mod providers;
mod rt;
pub mod token;
pub use provider::Provider;
