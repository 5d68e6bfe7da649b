//! Whether a provider keeps the promises that the layer builds on, shown by sample answers alone.

mod answers;
mod credentials;
mod engine;
mod grants;
mod json;
mod observed;
mod replica;
mod samples;
mod scene;
mod secrets;
mod subject;
mod template;
mod times;
mod vary;
mod verdicts;

pub use samples::Samples;

use super::report::{self, NonConformance, Report, none};
use crate::provider::Provider;
use subject::Subject;

/// Checks a provider from all sides: alone, with odd answers and odd tokens; and in a [`Session`](crate::Session) behind
/// the [layer](crate::AuthRefreshLayer), between two servers that answer what the samples answer.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use http::Response;
/// use tower_auth_refresh::test_util::{Samples, TestProvider, conformance};
///
/// // In a test: #[tokio::test(start_paused = true)], with tokio's own feature `test-util`
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let samples = Samples::at(UNIX_EPOCH + Duration::from_secs(1_750_000_000))
///     .login(Response::new("access-one refresh-one 3600".into()))
///     .refresh(Response::new("access-two refresh-two 3600".into()))
///     .refused(Response::builder().status(400).body("refused".into()).unwrap());
/// conformance(TestProvider::new, samples).await.unwrap();
/// # }
/// ```
///
/// `make` makes one instance after the other, all alike. It runs on a tokio runtime of either flavor, in no time by its
/// clock, and with the same result each time. Nothing waits for real time; a session that hangs does, until its flight
/// is given up, unless the clock of the runtime is paused.
///
/// The servers grant any number of token sets from one sample: in its text, in JSON also where they are escaped, the
/// tokens are replaced by others, as long and of the same alphabet, whose end differs, so that a JWT still says what it
/// said. Where the [samples say](Samples::derives_tokens) that the tokens are not there, the parsed token set gets the
/// others instead. All answers are read at the samples' time, and what they grant is moved to the present.
///
/// A provider that reads JSON as `serde_json::Value` does not pass: of two members of one name `Value` keeps the last, and
/// another reader of the same answer could see the first. A derived struct refuses both.
///
/// # Checks
/// Each stands for a law of `docs/contract.md`.
///
/// | law | check | how |
/// |---|---|---|
/// | C6 | the samples' tokens are long enough to be told apart | 8 characters at least, and none a part of another: else nothing else is checked |
/// | C1 | the samples show a grant | a login, a refresh, or both |
/// | C17 | without a token set it asks for a login, if it has one | `NoToken` and `SignIn` |
/// | C17 | after a refused refresh it never refreshes again | `RefreshRefused`: a login, if there is one, else nothing |
/// | C8 | a token set that is due is refreshed, if that is possible | `Due` |
/// | C23 | a rejected token set is renewed in the one way or the other | `Rejected`: an API that deletes what it rejects is right to log in |
/// | C51 | a refresh token that may be spent gives way to a login | `MaybeSpent` |
/// | C17 | what it asks for next, it has a request for | for every reason, also for a set without a refresh token |
/// | C51 | a refresh presents what it renews by | two sets that differ in their refresh token make two requests |
/// | C45 | a token request goes to an absolute https URI | http passes with `Samples::allow_http` |
/// | C14 | a token request depends on nothing but grant and context | asked twice, and of two instances |
/// | C20 | the sample of a login grants a token set that has not ended | at the samples' time |
/// | C20 | the sample of a refresh grants a token set that has not ended | at the samples' time |
/// | C6 | another token in the answer is another token in the set | nothing is remembered from answer to answer |
/// | C51 | a refresh grants a refresh token of its own | unless the samples or `single_use` say that it is kept |
/// | C7 | a token set ends when the samples say | where `Samples::lifetime` says it |
/// | C14 | the times of a token set depend on nothing but answer and context | read again 7 s later, each stays or moves by 7 s |
/// | C17 | the sample of a refusal is a refusal | it is told by `ProviderError::refused`, and not repeated |
/// | C21 | an answer that is cut off grants nothing | each strict prefix, with the whole one's `Content-Length` |
/// | C21 | an answer that is empty, a page or too large grants nothing | also 204, and 1 MiB |
/// | C21 | a token that is missing, of another type or there twice is not granted | where the samples are JSON |
/// | C21 | a time that is negative, overflows or is no number is not granted | each number of the samples is made odd, those that decide a time must count |
/// | C21 | an answer that is no success grants nothing | 302, 429, 500, 502 and 503, with a granting body too |
/// | C51 | only a refusal is taken for a refusal | none of all those odd answers is one: the refresh token may still be good |
/// | C21 | a request can carry what was granted | `credential` takes the samples' tokens |
/// | C1 | a request carries the access token, and no other secret of its set | in a header or the query; unless it is signed, or `Samples::hides_access_token` |
/// | C21 | a token that fits no request does no harm | line breaks, NUL, no ASCII, nothing |
/// | C23 | a rejection is told from other answers | 401 with a `Bearer` challenge, or the sample |
/// | C29 | an answer that says nothing about the token is no rejection | empty answers, pages and granted bodies of many statuses, and a rejection inside of another body |
/// | C33 | no part of a body makes it panic | `judge_body` of each prefix of all samples |
/// | C1 | a hundred requests without a token share one login | and all 100 are answered |
/// | C8 | no request waits for a token that is only due | while the token endpoint holds its answer |
/// | C16 | an expired token is renewed once, and nothing is spent twice | ten requests at once |
/// | C23 | a rejection makes one renewal and one replay | and the caller sees the second answer |
/// | C38 | a caller who leaves takes no token with him | dropped after the rotation |
/// | C51 | a refresh token whose answer was lost gives way to a login | where refresh tokens are single use |
/// | C19 | a Retry-After is waited for | 429, 60 s |
/// | C17 | what was refused is not asked for again | three requests, one refusal |
/// | C42 | a sign-out during a flight stays | the late result is discarded |
/// | C21 | a malformed answer never replaces a good token | HTML, cut off, broken off, 500 |
/// | C40 | nothing that a server says makes it panic | in any of the checks above |
/// | C22 | no error prints a secret or what a server wrote | `Display`, `Debug` and the causes of every error above, for tokens, `Samples::secret` and free text |
/// | C22 | the provider itself prints no secret | where `Samples::printed` says what it prints |
///
/// # Errors
/// When a check fails. The error says which, what was expected and what came. A provider that cannot do something, or a
/// sample that is missing, fails nothing: the [`Report`] lists what did not apply, and why.
pub async fn conformance<P: Provider>(
    make: impl Fn() -> P + Send + Sync,
    samples: Samples,
) -> Result<Report, NonConformance> {
    let subject = Subject::new(&make, &samples);
    let mut report = Report::default();
    answers::check_tokens(&subject, &mut report);
    if report.failed().next().is_some() {
        return report.conclude();
    }
    grants::check(&subject, &mut report);
    answers::check(&subject, &mut report);
    credentials::check(&subject, &mut report);
    verdicts::check(&subject, &mut report);
    engine::check(&subject, &mut report).await;
    report.record("nothing that a server says makes it panic", "C40", none("no panic", subject.panicked()));
    secrets::check(&subject, &mut report);
    report.conclude()
}
