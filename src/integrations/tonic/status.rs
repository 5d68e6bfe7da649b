//! What a call ends with when there is no answer.

use std::sync::Arc;

use tonic::{Code, Status};

use crate::{
    Error,
    error::{ErrorKind, FailureClass},
};

/// The status that tonic would have made of the wrapped service's error, or one that says what is wrong with the session.
pub(super) fn of(error: Error) -> Status {
    let error = match error.into_service() {
        Ok(error) => return Status::from_error(error),
        Err(error) => error,
    };
    let mut status = Status::new(code(&error), error.to_string());
    status.set_source(Arc::new(error));
    status
}

fn code(error: &Error) -> Code {
    match error.class() {
        _ if error.needs_sign_in() => Code::Unauthenticated,
        Some(FailureClass::Transient | FailureClass::UnknownFate) => Code::Unavailable,
        // The next call starts another flight.
        _ if error.kind() == ErrorKind::Aborted => Code::Unavailable,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;

    use super::*;
    use crate::error::RefreshFailure;

    #[test]
    fn each_kind_has_the_code_that_tells_the_caller_what_to_do() {
        for (kind, code) in [
            (ErrorKind::Refused, Code::Unauthenticated),
            (ErrorKind::SignInRequired, Code::Unauthenticated),
            (ErrorKind::SignedOut, Code::Unauthenticated),
            (ErrorKind::Transport, Code::Unavailable),
            (ErrorKind::TimedOut, Code::Unavailable),
            (ErrorKind::Unavailable, Code::Unavailable),
            (ErrorKind::Malformed, Code::Unavailable),
            (ErrorKind::TooManyRefreshes, Code::Unavailable),
            (ErrorKind::Aborted, Code::Unavailable),
            (ErrorKind::NoRuntime, Code::Internal),
            (ErrorKind::Fault, Code::Internal),
            (ErrorKind::PlainHttp, Code::Internal),
        ] {
            let status = of(RefreshFailure::of_kind(kind, None).into());
            assert_eq!((status.code(), status.message()), (code, &*kind.to_string()));
            let cause = status.source().unwrap().downcast_ref::<Error>().unwrap();
            assert_eq!(cause.kind(), kind);
        }
    }

    #[test]
    fn a_setting_that_is_wrong_is_our_fault() {
        assert_eq!(of(Error::fault("odd")).code(), Code::Internal);
    }

    #[test]
    fn what_the_wrapped_service_says_stays_what_tonic_makes_of_it() {
        let status = of(Error::service(Status::resource_exhausted("full")));
        assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "full"));
        let status = of(Error::service(tonic::TimeoutExpired(())));
        assert_eq!((status.code(), status.message()), (Code::Cancelled, "Timeout expired"));
        let status = of(Error::service("of no known type"));
        assert_eq!((status.code(), status.message()), (Code::Unknown, "of no known type"));
    }
}
