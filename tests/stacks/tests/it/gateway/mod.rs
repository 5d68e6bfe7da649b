//! The gateway: the program itself, between real clients, real upstreams and real token endpoints.

mod admission;
mod configuration;
mod failures;
mod life;
mod load;
mod program;
mod providers;
mod proxying;
mod secrets;
mod status;
mod store;
mod streaming;
mod token_endpoint;
mod upstream;
mod wire;
