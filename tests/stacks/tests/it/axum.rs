//! The layer inside axum: in a handler that calls an API for the user of its request, and in a router that hands
//! requests on. Over HTTP/1.1 and HTTP/2.

mod handlers;
mod in_process;
mod proxy;
