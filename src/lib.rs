//! x
mod challenge;
pub mod clock;
pub mod credential;
pub mod provider;
pub mod providers;
pub mod token;
pub use provider::Provider;
