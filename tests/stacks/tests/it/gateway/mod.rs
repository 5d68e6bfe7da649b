//! The gateway: the program itself, between real clients, real upstreams and real token endpoints.

mod admission;
mod configuration;
mod failures;
//Tmod life;
//Tmod load;
mod program;
mod providers;
mod proxying;
//Tmod secrets;
mod status;
//Tmod store;
mod streaming;
mod token_endpoint;
mod upstream;
mod wire;
