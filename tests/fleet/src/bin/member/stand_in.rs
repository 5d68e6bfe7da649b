//! What stands in for the session's own work with a store, until that is there: around the token endpoint, so that a
//! request for tokens is answered by what another process has stored meanwhile.

mod file;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{BoxError, Service, service_fn};
use tower_auth_refresh::{
    session::NotSent,
    store::{Swap, TokenStore},
    token::{ExposeSecret, Generation, Stored, TokenSet},
};

pub(crate) use file::File;

type Asked = Request<Full<Bytes>>;
type Answered = Response<Full<Bytes>>;

#[derive(Clone)]
pub(crate) struct StandIn {
    store: Arc<dyn TokenStore>,
    can_log_in: bool,
}

impl StandIn {
    pub(crate) fn new(store: Arc<dyn TokenStore>, can_log_in: bool) -> Self {
        Self { store, can_log_in }
    }

    pub(crate) fn around<S>(
        self,
        transport: S,
    ) -> impl Service<Asked, Response = Answered, Error = BoxError, Future: Send> + Clone + Send + 'static
    where
        S: Service<Asked, Response = Answered, Error = BoxError, Future: Send> + Clone + Send + 'static,
    {
        service_fn(move |request: Asked| {
            let (this, transport) = (self.clone(), transport.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                loop {
                    let request = Request::from_parts(head.clone(), body.clone());
                    if let Some(answer) = this.answer(transport.clone(), request).await? {
                        return Ok(answer);
                    }
                }
            }
        })
    }

    /// `None`: once more.
    async fn answer<S>(&self, mut transport: S, request: Request<Bytes>) -> Result<Option<Answered>, BoxError>
    where
        S: Service<Asked, Response = Answered, Error = BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let is_login = head.uri.path().ends_with("/login");
        let presented = String::from_utf8(body.to_vec())?;
        let other = |stored: &Stored| {
            let token = stored.token.as_ref()?;
            let refresh = token.refresh_token()?.expose_secret();
            (stored.spending_since.is_none() && (is_login || refresh != presented))
                .then(|| format!("{} {refresh} -", token.access_token().expose_secret()))
        };
        let (lease, stored) = loop {
            if let Some(other) = self.store.load().await?.as_ref().and_then(other) {
                return Ok(Some(Response::new(Full::from(other))));
            }
            match self.store.try_lease(None).await? {
                None => self.store.changed().await,
                Some(lease) => match self.store.load().await? {
                    Some(stored) if other(&stored).is_some() => lease.release().await?,
                    stored => break (lease, stored),
                },
            }
        };
        let leased = Instant::now();
        if stored.as_ref().is_some_and(|stored| stored.refresh_refused_since.is_some()) {
            lease.release().await?;
            let mut refused = Response::<Full<Bytes>>::default();
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(Some(refused));
        }
        let expected = stored.as_ref().map(Stored::version);
        let generation = stored.as_ref().map_or(0, |stored| stored.generation.get());
        let is_in_doubt = stored.as_ref().is_some_and(|stored| stored.spending_since.is_some());
        let mut expected = expected;
        let body = if is_in_doubt && self.can_log_in {
            head.uri = head.uri.to_string().replace("/refresh", "/login").parse()?;
            Bytes::new()
        } else {
            if let Some(mut mark) = stored {
                mark.spending_since = Some(SystemTime::now());
                mark.fence = Some(lease.fence());
                if lease.save(expected, &mark).await.map_err(NotSent::new)? == Swap::Conflict {
                    return Ok(None);
                }
                expected = Some(mark.version());
                if lease.lasts().is_some_and(|lasts| leased.elapsed() >= lasts) {
                    return Ok(None);
                }
            }
            body
        };
        let answer = transport.call(Request::from_parts(head, Full::new(body))).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        if head.status.is_success() {
            let text = std::str::from_utf8(&body)?;
            let [access, refresh, _] = text.split(' ').collect::<Vec<_>>()[..] else {
                return Err("three words".into());
            };
            let token = TokenSet::new(access).with_refresh_token(refresh);
            let mut next = Stored::new(token, Generation::from(generation + 1));
            next.fence = Some(lease.fence());
            if lease.save(expected, &next).await? == Swap::Conflict {
                return Ok(None);
            }
        } else if let Some(mut refused) = self.store.load().await? {
            refused.refresh_refused_since = Some(SystemTime::now());
            lease.save(expected, &refused).await?;
        }
        lease.release().await?;
        Ok(Some(Response::from_parts(head, Full::new(body))))
    }
}
