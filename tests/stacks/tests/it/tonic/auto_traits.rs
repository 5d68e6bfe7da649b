//! What the types of the adapter promise by themselves.

use std::{error::Error, fmt, marker::PhantomData};

use http::{Request, Response};
use tonic::{
    Status, body::Body, client::GrpcService, codegen::InterceptedService, service::Interceptor, transport::Channel,
};
use tower::Service;
use tower_auth_refresh::{
    Provider, Session,
    inspect::InspectBody,
    integrations::tonic::{GrpcAuth, GrpcAuthLayer, ResponseFuture},
    test_util::TestProvider,
};

type Guarded = GrpcAuth<Channel, TestProvider>;

#[test]
fn layers_and_services_can_be_cloned_and_shared_between_threads() {
    fn check<T: Send + Sync + Unpin + Clone + fmt::Debug + 'static>() {}
    check::<GrpcAuthLayer<TestProvider>>();
    check::<GrpcAuthLayer<Box<dyn Provider>>>();
    check::<Guarded>();
    check::<GrpcAuth<Channel, Box<dyn Provider>>>();
}

#[test]
fn futures_can_be_spawned() {
    fn check<T: Send + fmt::Debug + 'static>() {}
    check::<ResponseFuture<Channel, TestProvider>>();
}

#[test]
fn a_service_is_what_generated_clients_ask_for() {
    fn check<T>()
    where
        T: GrpcService<Body>,
        T::Error: Into<Box<dyn Error + Send + Sync>>,
        T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn Error + Send + Sync>> + Send,
    {
    }
    check::<Guarded>();
    check::<GrpcAuth<GrpcAuth<Channel, TestProvider>, TestProvider>>();
    check::<GrpcAuth<InterceptedService<Channel, Nothing>, TestProvider>>();
    check::<InterceptedService<Guarded, Nothing>>();
}

#[test]
fn answers_and_errors_are_of_known_types() {
    fn check<T: Service<Request<Body>, Response = Response<InspectBody<Body>>, Error = Status>>() {}
    check::<Guarded>();
}

#[test]
fn a_body_has_a_default_as_interceptors_ask_for() {
    fn check<T: Default>() {}
    check::<InspectBody<Body>>();
}

#[derive(Clone)]
struct Nothing(PhantomData<Session<TestProvider>>);

impl Interceptor for Nothing {
    fn call(&mut self, request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        Ok(request)
    }
}
