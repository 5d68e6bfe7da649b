//! Providers with one flaw each. The checks name it, and nothing else.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri, response};
use tower_auth_refresh::{
    Provider,
    credential::Credential,
    provider::{Context, Grant, GrantKind, ProviderError, Reason, Verdict},
    providers::Kanfang,
    test_util::{NonConformance, Report, Samples, conformance},
    token::{Expiry, ExposeSecret, TokenSet},
};

use super::{at, json, left_out};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    PanicsOnCutOffAnswers,
    PanicsOnCutOffBodies,
    PanicsOnLineBreaks,
    PanicsOnEachVerdict,
    PrintsAPieceOfTheToken,
    PrintsTheAnswer,
    PrintsTheServersText,
    TakesEach500ForARefusal,
    TakesRefusalsForRubbish,
    GrantsOnHtml,
    GrantsOnCutOffAnswers,
    GrantsWhateverTheStatus,
    ReadsTheLastOfTwoMembers,
    GrantsWhatHasEnded,
    GrantsOneTokenForEver,
    CountsItsRequests,
    AsksOverPlainHttp,
    AsksARelativeUri,
    RejectsEverything,
    RejectsEach403,
    NeverRejects,
    RefreshesAfterARefusal,
    RefreshesWhatMayBeSpent,
    LogsInWhereItCouldRefresh,
    ForgetsToRenewTheRejected,
    KeepsTheOldRefreshToken,
    DropsTheRefreshToken,
    PresentsNoRefreshToken,
    PresentsTheAccessToken,
    RefreshesWithoutARefreshToken,
    CarriesTheRefreshToken,
    CarriesAnotherToken,
    CarriesBothTokens,
    DropsTheLastCharacter,
    ReadsItsOwnClock,
    TakesMinutesForSeconds,
    IgnoresTheLifetime,
    OverflowsWithTheLifetime,
    TakesAnyLifetime,
    ShortensLongLifetimes,
    SearchesTheWholeBody,
}

use Flaw::*;

/// A [`Kanfang`] with a flaw.
struct Broken {
    kanfang: Kanfang,
    flaw: Flaw,
    requests: AtomicU64,
}

const NAME: &str = "broken";

/// The names of the checks that a provider with this flaw fails.
async fn failed(flaw: Flaw) -> Vec<&'static str> {
    match check(flaw, |samples| samples).await {
        Ok(_) => Vec::new(),
        Err(failure) => failure.report().failed().collect(),
    }
}

async fn check(flaw: Flaw, say: fn(Samples) -> Samples) -> Result<Report, NonConformance> {
    let granted = |access: &str, refresh: &str| {
        let payload = format!(r#"{{"token":"{access}","tokenExpireIn":172800,"refreshToken":"{refresh}"}}"#);
        json(200, format!(r#"{{"state":200,"payload":{payload}}}"#))
    };
    let make = || Broken { kanfang: Kanfang::new().login("key", "value"), flaw, requests: AtomicU64::new(0) };
    let samples = Samples::at(at())
        .login(granted("kf-access-Aa01Bb", "kf-refresh-Cc02Dd"))
        .refresh(granted("kf-access-Ee03Ff", "kf-refresh-Gg04Hh"))
        .refused(json(200, r#"{"state":4011,"payload":"error detail"}"#))
        .rejected(json(200, r#"{"state":401,"payload":"error detail"}"#))
        .lifetime(Duration::from_secs(172_800));
    conformance(make, say(samples)).await
}

macro_rules! fails {
    ($($test:ident: $flaw:expr => [$($name:literal),* $(,)?];)+) => {$(
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let expected: &[&str] = &[$($name),*];
            assert_eq!(failed($flaw).await, expected);
        }
    )+};
}

fails! {
    without_a_flaw_nothing_fails: None => [];
    a_panic_on_a_cut_off_answer_is_found: PanicsOnCutOffAnswers => ["nothing that a server says makes it panic"];
    a_panic_on_a_cut_off_body_is_found: PanicsOnCutOffBodies => [
        "no part of a body makes it panic",
        "nothing that a server says makes it panic",
    ];
    a_panic_on_a_line_break_is_found: PanicsOnLineBreaks => [
        "a token that fits no request does no harm",
        "nothing that a server says makes it panic",
    ];
    an_answer_in_an_error_is_found: PrintsTheAnswer => ["no error prints a secret or what a server wrote"];
    a_piece_of_a_token_in_an_error_is_found: PrintsAPieceOfTheToken => [
        "no error prints a secret or what a server wrote",
    ];
    a_servers_text_in_an_error_is_found: PrintsTheServersText => ["no error prints a secret or what a server wrote"];
    a_refusal_by_500_is_found: TakesEach500ForARefusal => [
        "only a refusal is taken for a refusal",
        "a malformed answer never replaces a good token",
    ];
    a_refusal_that_is_taken_for_rubbish_is_found: TakesRefusalsForRubbish => ["the sample of a refusal is a refusal"];
    a_grant_by_html_is_found: GrantsOnHtml => [
        "an answer that is empty, a page or too large grants nothing",
        "an answer that is no success grants nothing",
        "a malformed answer never replaces a good token",
    ];
    a_grant_by_a_part_is_found: GrantsOnCutOffAnswers => [
        "an answer that is cut off grants nothing",
    ];
    a_grant_by_500_is_found: GrantsWhateverTheStatus => ["an answer that is no success grants nothing"];
    the_last_of_two_members_is_found: ReadsTheLastOfTwoMembers => [
        "a token that is missing, of another type or there twice is not granted",
    ];
    one_token_for_ever_is_found: GrantsOneTokenForEver => ["another token in the answer is another token in the set"];
    a_request_that_changes_is_found: CountsItsRequests => [
        "a token request depends on nothing but grant and context",
    ];
    a_rejection_by_403_is_found: RejectsEach403 => ["an answer that says nothing about the token is no rejection"];
    a_rejection_that_is_missed_is_found: NeverRejects => [
        "a rejection is told from other answers",
        "a rejection makes one renewal and one replay",
    ];
    a_refresh_after_a_refusal_is_found: RefreshesAfterARefusal => [
        "after a refused refresh it never refreshes again",
        "what was refused is not asked for again",
    ];
    a_refresh_of_what_may_be_spent_is_found: RefreshesWhatMayBeSpent => [
        "a refresh token that may be spent gives way to a login",
        "a refresh token whose answer was lost gives way to a login",
    ];
    a_login_in_the_place_of_a_refresh_is_found: LogsInWhereItCouldRefresh => [
        "a token set that is due is refreshed, if that is possible",
    ];
    an_old_refresh_token_that_is_kept_is_found: KeepsTheOldRefreshToken => [
        "a refresh grants a refresh token of its own",
    ];
    a_new_refresh_token_that_is_dropped_is_found: DropsTheRefreshToken => [
        "a token set that is due is refreshed, if that is possible",
    ];
    a_refresh_without_its_token_is_found: PresentsNoRefreshToken => ["a refresh presents what it renews by"];
    a_refresh_with_the_access_token_is_found: PresentsTheAccessToken => ["a refresh presents what it renews by"];
    a_refresh_that_has_no_request_is_found: RefreshesWithoutARefreshToken => [
        "what it asks for next, it has a request for",
    ];
    a_refresh_token_on_a_request_is_found: CarriesTheRefreshToken => [
        "a request carries the access token, and no other secret of its set",
    ];
    another_token_on_a_request_is_found: CarriesAnotherToken => [
        "a request carries the access token, and no other secret of its set",
    ];
    both_tokens_on_a_request_are_found: CarriesBothTokens => [
        "a request carries the access token, and no other secret of its set",
    ];
    a_token_without_its_end_is_found: DropsTheLastCharacter => [
        "another token in the answer is another token in the set",
    ];
    minutes_that_are_taken_for_seconds_are_found: TakesMinutesForSeconds => ["a token set ends when the samples say"];
    a_lifetime_that_is_ignored_is_found: IgnoresTheLifetime => ["a token set ends when the samples say"];
    a_panic_on_a_lifetime_is_found: OverflowsWithTheLifetime => [
        "a time that is negative, overflows or is no number is not granted",
        "nothing that a server says makes it panic",
    ];
    a_lifetime_that_is_none_is_found: TakesAnyLifetime => [
        "a time that is negative, overflows or is no number is not granted",
    ];
    a_long_lifetime_that_is_shortened_is_found: ShortensLongLifetimes => [
        "a time that is negative, overflows or is no number is not granted",
    ];
    a_rejection_inside_of_an_answer_is_found: SearchesTheWholeBody => [
        "an answer that says nothing about the token is no rejection",
    ];
    a_rejected_token_that_stays_is_found: ForgetsToRenewTheRejected => [
        "a rejected token set is renewed in the one way or the other",
    ];
}

/// No session gets far with these, so that other checks fail as well, behind the one that names the flaw.
#[tokio::test(start_paused = true)]
async fn a_flaw_that_stops_the_whole_session_is_named_first() {
    for (flaw, name) in [
        (AsksOverPlainHttp, "a token request goes to an absolute https URI"),
        (AsksARelativeUri, "a token request goes to an absolute https URI"),
        (GrantsWhatHasEnded, "the sample of a login grants a token set that has not ended"),
        (PanicsOnEachVerdict, "a rejection is told from other answers"),
        (RejectsEverything, "an answer that says nothing about the token is no rejection"),
    ] {
        assert_eq!(failed(flaw).await.first(), Some(&name), "{flaw:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_of_its_own_is_found() {
    let expected =
        ["a token set ends when the samples say", "the times of a token set depend on nothing but answer and context"];
    assert_eq!(failed(ReadsItsOwnClock).await[..2], expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_samples_say_of_an_api_is_no_flaw() {
    let kept = check(KeepsTheOldRefreshToken, Samples::keeps_refresh_token).await.unwrap();
    let derived = check(DropsTheLastCharacter, Samples::derives_tokens).await.unwrap();
    let hidden = check(CarriesAnotherToken, Samples::hides_access_token).await.unwrap();
    let printed = ("the provider itself prints no secret", "because the samples do not say what the provider prints");
    let rotates = "a refresh grants a refresh token of its own";
    assert_eq!(left_out(&kept), [(rotates, "because the samples say that the refresh token is kept"), printed]);
    let (varies, ill_formed) = (
        "another token in the answer is another token in the set",
        "a token that is missing, of another type or there twice is not granted",
    );
    assert_eq!(
        left_out(&derived),
        [
            (varies, "because the samples say that tokens are derived from the answers"),
            (ill_formed, "because no sample is JSON with the token as a member"),
            printed
        ]
    );
    // All ten checks in a session, and no other.
    let hidden = left_out(&hidden);
    assert_eq!(hidden.len(), 11);
    assert!(hidden[..10].iter().all(|(_, reason)| *reason == "because the credential does not show the access token"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_says_what_came_and_tells_no_secret() {
    for flaw in [PrintsTheAnswer, PrintsTheServersText, GrantsOnHtml] {
        let failure = check(flaw, |samples| samples).await.unwrap_err();
        let told = format!("{failure} {failure:?} {}", failure.report());
        assert!(told.contains(": expected ") && told.contains(", came "), "{told}");
        assert!(
            !told.contains("kf-access") && !told.contains("kf-refresh") && !told.contains("error detail"),
            "{told}"
        );
    }
}

fn text(answer: &Response<Bytes>) -> String {
    String::from_utf8_lossy(answer.body()).into_owned()
}

impl Provider for Broken {
    fn name(&self) -> &'static str {
        NAME
    }

    fn next_grant(&self, token: Option<&TokenSet>, why: Reason, now: SystemTime) -> Option<GrantKind> {
        let refresh = token.and_then(TokenSet::refresh_token).map(|_| GrantKind::Refresh);
        match (self.flaw, why) {
            (RefreshesAfterARefusal, Reason::RefreshRefused) | (RefreshesWhatMayBeSpent, Reason::MaybeSpent) => {
                refresh.or(Some(GrantKind::Login))
            }
            (LogsInWhereItCouldRefresh, _) => Some(GrantKind::Login),
            (RefreshesWithoutARefreshToken, Reason::Due) if token.is_some() => Some(GrantKind::Refresh),
            (ForgetsToRenewTheRejected, Reason::Rejected) => Option::None,
            _ => self.kanfang.next_grant(token, why, now),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a broken provider does what it likes")]
    fn request(&self, grant: Grant<'_>, cx: &Context) -> Result<Request<Bytes>, ProviderError> {
        let presented = match (self.flaw, grant) {
            (PresentsNoRefreshToken, Grant::Refresh(set)) => Some(set.clone().with_refresh_token("refresh-token")),
            (PresentsTheAccessToken, Grant::Refresh(set)) => {
                Some(set.clone().with_refresh_token(set.access_token().expose_secret()))
            }
            _ => Option::None,
        };
        let mut request = self.kanfang.request(presented.as_ref().map_or(grant, Grant::Refresh), cx)?;
        match self.flaw {
            CountsItsRequests => {
                let number = self.requests.fetch_add(1, Ordering::SeqCst);
                request.headers_mut().insert("x-request-id", number.into());
            }
            AsksOverPlainHttp => *request.uri_mut() = Uri::from_static("http://webapi.123kanfang.com/token"),
            AsksARelativeUri => *request.uri_mut() = Uri::from_static("/token"),
            _ => {}
        }
        Ok(request)
    }

    #[allow(clippy::disallowed_methods, reason = "a broken provider does what it likes")]
    fn parse(&self, grant: Grant<'_>, mut answer: Response<Bytes>, cx: &Context) -> Result<TokenSet, ProviderError> {
        let (status, body) = (answer.status(), text(&answer));
        let one = || TokenSet::new("kf-access-Zz99Yy").with_refresh_token("kf-refresh-Xx98Ww").with_issued_at(cx.now);
        match self.flaw {
            GrantsOnHtml if body.starts_with('<') => return Ok(one()),
            GrantsOnCutOffAnswers if body.ends_with("172800") => return Ok(one()),
            GrantsWhateverTheStatus => *answer.status_mut() = StatusCode::OK,
            ReadsTheLastOfTwoMembers => {
                if let Ok(value) = serde_json::from_str::<serde_json::Value>(&body) {
                    *answer.body_mut() = value.to_string().into();
                }
            }
            TakesEach500ForARefusal if status == StatusCode::INTERNAL_SERVER_ERROR => {
                return Err(ProviderError::refused(NAME, "is refused"));
            }
            OverflowsWithTheLifetime | TakesAnyLifetime | ShortensLongLifetimes => {
                let mut value = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
                if let Some(lifetime) = value.pointer_mut("/payload/tokenExpireIn") {
                    let is_long = lifetime.as_u64().is_some_and(|lifetime| lifetime > 1 << 30);
                    let other = match self.flaw {
                        OverflowsWithTheLifetime if is_long => panic!("overflow"),
                        ShortensLongLifetimes if is_long => Some(60),
                        TakesAnyLifetime if lifetime.as_u64().is_none() => Some(172_800),
                        _ => Option::None,
                    };
                    if let Some(other) = other {
                        *lifetime = other.into();
                        *answer.body_mut() = value.to_string().into();
                    }
                }
            }
            PanicsOnCutOffAnswers if status == StatusCode::OK && !body.ends_with('}') => panic!("cut off"),
            _ => {}
        }
        let token = match self.kanfang.parse(grant, answer, cx) {
            Ok(token) => token,
            Err(error) if self.flaw == TakesRefusalsForRubbish => {
                return Err(ProviderError::malformed(NAME, "state", error.reason()));
            }
            Err(error) if self.flaw == PrintsTheAnswer && body.contains("kf-") => return Err(error.with_subject(body)),
            Err(error) if self.flaw == PrintsAPieceOfTheToken && body.contains("kf-access-Aa01Bb") => {
                return Err(error.with_subject("token access-Aa01B..."));
            }
            Err(error) if self.flaw == PrintsTheServersText && body.starts_with('<') => {
                return Err(error.with_subject(body));
            }
            Err(error) => return Err(error),
        };
        Ok(match self.flaw {
            GrantsWhatHasEnded => token.with_expiry(Expiry::At(cx.now - Duration::from_secs(1))),
            GrantsOneTokenForEver => one().with_expiry(token.expiry()),
            KeepsTheOldRefreshToken => match grant {
                Grant::Refresh(old) => token.with_refresh_token(old.refresh_token().unwrap().clone()),
                Grant::Login => token,
            },
            DropsTheRefreshToken if grant.kind() == GrantKind::Refresh => {
                TokenSet::new(token.access_token().clone()).with_expiry(token.expiry()).with_issued_at(cx.now)
            }
            DropsTheLastCharacter => {
                let access = token.access_token().expose_secret();
                let set = TokenSet::new(&access[..access.len() - 1]).with_expiry(token.expiry()).with_issued_at(cx.now);
                match token.refresh_token() {
                    Some(refresh) => set.with_refresh_token(refresh.clone()),
                    Option::None => set,
                }
            }
            ReadsItsOwnClock => token.with_expiry(Expiry::At(SystemTime::now() + Duration::from_secs(172_800))),
            TakesMinutesForSeconds => token.with_expiry(Expiry::At(cx.now + Duration::from_secs(60 * 172_800))),
            IgnoresTheLifetime => token.with_expiry(Expiry::Unknown),
            _ => token,
        })
    }

    #[allow(clippy::disallowed_methods, reason = "a broken provider does what it likes")]
    fn credential(&self, token: &TokenSet) -> Result<Credential, ProviderError> {
        let has_break = token.access_token().expose_secret().contains('\n');
        assert!(self.flaw != PanicsOnLineBreaks || !has_break, "line break");
        match (self.flaw, token.refresh_token()) {
            (CarriesTheRefreshToken, Some(refresh)) => self.kanfang.credential(&TokenSet::new(refresh.clone())),
            (CarriesAnotherToken, _) => {
                let other = token.access_token().expose_secret().to_lowercase();
                self.kanfang.credential(&TokenSet::new(other))
            }
            (CarriesBothTokens, Some(refresh)) => {
                let both = format!("{} {}", token.access_token().expose_secret(), refresh.expose_secret());
                self.kanfang.credential(&TokenSet::new(both))
            }
            _ => self.kanfang.credential(token),
        }
    }

    fn judge(&self, answer: &response::Parts) -> Verdict {
        match self.flaw {
            PanicsOnEachVerdict => panic!("no verdict"),
            RejectsEverything => Verdict::Rejected,
            RejectsEach403 if answer.status == StatusCode::FORBIDDEN => Verdict::Rejected,
            NeverRejects => Verdict::Accepted,
            _ => self.kanfang.judge(answer),
        }
    }

    fn judge_body(&self, answer: &response::Parts, body: &[u8]) -> bool {
        assert!(self.flaw != PanicsOnCutOffBodies || body.is_empty() || body.ends_with(b"}") || body[0] == b'<');
        let found = |text: &[u8]| body.windows(text.len()).any(|part| part == text);
        (self.flaw == SearchesTheWholeBody && found(b"\"state\":401")) || self.kanfang.judge_body(answer, body)
    }

    fn origin(&self) -> Option<&Uri> {
        self.kanfang.origin()
    }
}
