//! The gateway: the program itself, between real clients, real upstreams and real token endpoints.

mod admission;
mod configuration;
//Tmod failures;
//Tmod life;
//Tmod load;
mod program;
//Tmod providers;
mod proxying;
//Tmod secrets;
mod status;
//Tmod store;
//Tmod streaming;
mod token_endpoint;
mod upstream;
mod wire;
