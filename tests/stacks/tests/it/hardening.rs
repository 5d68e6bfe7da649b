//! What goes wrong between the layer and real clients.

mod elsewhere;
mod grpc;
mod leaks;
mod races;
