//! The API of the samples: its two servers answer what the samples answer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::{
    credentials,
    observed::{Presented, SignedBy},
    subject::Subject,
    template::Template,
};
use crate::{
    provider::{GrantKind, Provider},
    test_util::wire::{self, Asked, Tokens, Wire},
};

pub(super) struct Replica {
    login: Option<Template>,
    refresh: Option<Template>,
    refused: Response<Bytes>,
    rejected: Response<Bytes>,
}

impl Replica {
    pub(super) fn new<P: Provider>(subject: &Subject<'_, P>, rejected: Option<Response<Bytes>>) -> Self {
        let template = |kind, token: &Option<_>| Some(Template::new(subject.sample(kind)?, token.as_ref()?));
        let plain = |status| wire::answer(status, "");
        Self {
            login: template(GrantKind::Login, &subject.login),
            refresh: template(GrantKind::Refresh, &subject.refresh),
            refused: subject.samples.refused.clone().unwrap_or_else(|| plain(StatusCode::BAD_REQUEST)),
            rejected: rejected.unwrap_or_else(|| plain(StatusCode::UNAUTHORIZED)),
        }
    }
}

impl Wire for Replica {
    fn read(&self, request: &Request<Bytes>) -> Asked {
        let presented = request.extensions().get::<Presented>().cloned();
        let Presented(kind, presented) = presented.unwrap_or(Presented(GrantKind::Login, String::new()));
        Asked { kind, presented }
    }

    fn grant(&self, asked: &Asked, number: u64, _: Option<Duration>) -> (Response<Bytes>, Tokens) {
        let (one, other) = match asked.kind {
            GrantKind::Login => (&self.login, &self.refresh),
            GrantKind::Refresh => (&self.refresh, &self.login),
        };
        let Some(template) = one.as_ref().or(other.as_ref()) else {
            let nothing = Tokens { access: String::new(), refresh: String::new() };
            return (wire::answer(StatusCode::INTERNAL_SERVER_ERROR, ""), nothing);
        };
        let (answer, tokens) = template.number(number);
        let kept = template.keeps_refresh.then(|| asked.presented.clone());
        let refresh = tokens.refresh.or(kept).unwrap_or_else(|| tokens.access.clone());
        (answer, Tokens { access: tokens.access, refresh })
    }

    fn refuse(&self) -> Response<Bytes> {
        self.refused.clone()
    }

    fn carries(&self, request: &Request<Bytes>, access: &str) -> bool {
        if let Some(SignedBy(signed_by)) = request.extensions().get() {
            return signed_by == access;
        }
        credentials::shows(request, access)
    }

    fn reject(&self) -> Response<Bytes> {
        self.rejected.clone()
    }
}
