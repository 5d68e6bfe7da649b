//! The gateway's parts. `run` puts them together; tests and benches take some of them alone.

#![allow(dead_code, unused_imports, reason = "shared by the program and the benches: the latter use a part of it")]

mod actions;
pub(crate) mod admission;
mod answer;
pub(crate) mod args;
mod config;
mod hop;
pub(crate) mod log;
mod proxy;
mod routes;
mod run;
mod serve;
mod shutdown;
mod status;
mod store;
mod token_file;
pub(crate) mod upstream;

pub(crate) use self::{
    admission::Admission,
    config::{BadConfig, Config},
    proxy::{Outgoing, Proxy},
    routes::router,
    run::{Failure, run},
    serve::serve,
};
