use http::{HeaderValue, Response};

use super::*;

fn head(status: u16, lines: &[&[u8]]) -> response::Parts {
    let mut answer = Response::builder().status(status);
    for line in lines {
        answer = answer.header(WWW_AUTHENTICATE, HeaderValue::from_bytes(line).unwrap());
    }
    answer.body(()).unwrap().into_parts().0
}

#[track_caller]
fn assert_rejects(lines: &[&str]) {
    let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
    assert!(rejects(&head(401, &bytes)), "{lines:?}");
}

#[track_caller]
fn assert_acquits(lines: &[&str]) {
    let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
    assert!(!rejects(&head(401, &bytes)), "{lines:?}");
}

#[test]
fn a_401_without_a_challenge_rejects() {
    assert_rejects(&[]);
    assert_rejects(&[""]);
}

#[test]
fn no_other_status_rejects_whatever_the_challenge_says() {
    for status in [200, 400, 403, 404, 407, 500, 503] {
        assert!(!rejects(&head(status, &[b"Bearer error=\"invalid_token\""])), "{status}");
    }
}

#[test]
fn a_bearer_challenge_that_names_invalid_token_or_no_error_rejects() {
    assert_rejects(&["Bearer"]);
    assert_rejects(&["Bearer realm=\"api\", scope=\"read write\""]);
    assert_rejects(&["Bearer realm=\"api\", error=\"invalid_token\", error_description=\"expired, sorry\""]);
    assert_rejects(&["Bearer error=\"\""]);
    assert_rejects(&["Bearer error="]);
}

#[test]
fn a_bearer_challenge_that_names_another_error_does_not_reject() {
    assert_acquits(&["Bearer error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer realm=\"api\", error=\"invalid_request\", error_description=\"twice\""]);
    assert_acquits(&["Bearer scope=\"a b\", error=insufficient_claims"]);
}

#[test]
fn scheme_parameter_and_error_are_read_in_any_case() {
    assert_acquits(&["bEARER ERROR=\"insufficient_scope\""]);
    assert_rejects(&["BEARER Error=\"INVALID_TOKEN\""]);
}

#[test]
fn the_error_of_another_scheme_does_not_count() {
    assert_rejects(&["DPoP error=\"insufficient_scope\""]);
    assert_rejects(&["Bearer realm=\"api\", DPoP error=\"use_dpop_nonce\", algs=\"ES256\""]);
    assert_rejects(&["error=\"insufficient_scope\""]);
    assert_rejects(&["BearerX error=\"insufficient_scope\""]);
}

#[test]
fn a_parameter_whose_name_only_resembles_error_does_not_count() {
    assert_rejects(&["Bearer error_description=\"insufficient_scope\", xerror=\"insufficient_scope\""]);
}

#[test]
fn the_bearer_challenge_is_found_among_others_in_one_line() {
    assert_acquits(&[
        "Basic realm=\"a\", charset=\"UTF-8\", Bearer realm=\"b\", error=\"insufficient_scope\", Digest a=b",
    ]);
    assert_acquits(&["Newauth, Bearer error=\"insufficient_scope\""]);
}

#[test]
fn a_token68_hides_nothing_behind_it() {
    assert_acquits(&["Negotiate abc==, Bearer error=\"insufficient_scope\""]);
    assert_acquits(&["Negotiate a+b/c-d._~==, Bearer error=\"insufficient_scope\""]);
    assert_acquits(&["NTLM TlRMTVNTUAAB, Bearer error=\"insufficient_scope\""]);
}

#[test]
fn the_bearer_challenge_is_found_in_any_line() {
    assert_acquits(&["Basic realm=\"a\"", "Negotiate", "Bearer error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer error=\"insufficient_scope\"", "Basic realm=\"a\""]);
}

#[test]
fn a_challenge_may_be_spread_over_lines() {
    assert_acquits(&["Bearer realm=\"a\"", "error=\"insufficient_scope\""]);
}

#[test]
fn invalid_token_in_any_bearer_challenge_outweighs_other_errors() {
    assert_rejects(&["Bearer error=\"insufficient_scope\", Bearer error=\"invalid_token\""]);
    assert_rejects(&["Bearer error=\"invalid_token\"", "Bearer error=\"insufficient_scope\""]);
}

#[test]
fn another_error_outweighs_a_bearer_challenge_without_one() {
    assert_acquits(&["Bearer realm=\"a\", Bearer realm=\"b\", error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer error=\"insufficient_scope\"", "Bearer realm=\"b\""]);
}

#[test]
fn odd_spacing_is_read() {
    assert_acquits(&["\t  Bearer \t  error \t = \t \"insufficient_scope\"  "]);
    assert_acquits(&["Bearer realm=\"a\",error=\"insufficient_scope\",scope=\"b\""]);
    assert_acquits(&["Bearer realm=\"a\" error=\"insufficient_scope\" scope=\"b\""]);
    assert_acquits(&["Bearer realm=a error=insufficient_scope"]);
}

#[test]
fn empty_list_elements_are_skipped() {
    assert_acquits(&[",, , Bearer , realm=\"a\",,\t, error=\"insufficient_scope\",,"]);
}

#[test]
fn escapes_in_quotes_are_undone() {
    assert_rejects(&[r#"Bearer error="invalid\_\token""#]);
    assert_acquits(&[r#"Bearer realm="a \"b\", c\\", error="insufficient_scope""#]);
    assert_acquits(&[r#"Bearer error="invalid_token\\""#]);
}

#[test]
fn a_challenge_inside_of_quotes_is_none() {
    assert_rejects(&[r#"Basic realm="a, Bearer error=\"x\"""#]);
    assert_rejects(&[r#"Basic realm="a, Bearer error=x, ""#]);
    assert_rejects(&[r#"Bearer realm="a, error=insufficient_scope""#]);
    assert_rejects(&[r#"Basic @ "a, Bearer error=x, b", c"#]);
}

#[test]
fn a_quotation_without_an_end_names_no_error_and_hides_the_rest_of_its_line_only() {
    assert_rejects(&["Bearer error=\"insufficient_scope"]);
    assert_rejects(&["Bearer error=\"insufficient_scope\\\""]);
    assert_rejects(&["Basic realm=\"a, Bearer error=x"]);
    assert_rejects(&["Basic @\"a, Bearer error=x"]);
    assert_acquits(&["Basic realm=\"a", "Bearer error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer error=\"insufficient_scope\", realm=\"a"]);
}

#[test]
fn garbage_is_skipped_to_the_next_comma() {
    assert_acquits(&["=, ==, (a) b, @:/, Bearer ;, {\"a,b\"}, error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer uri=https://login.example/a?b=c, error=\"insufficient_scope\""]);
    assert_acquits(&["Bearer realm=a b c, error=\"insufficient_scope\""]);
    assert_rejects(&["Basic realm=a Bearer error insufficient_scope"]);
}

#[test]
fn bytes_beyond_ascii_are_survived() {
    assert!(!rejects(&head(401, &[b"Basic realm=\"\xe9\xff\", \x80\xc3, Bearer error=\"insufficient_scope\""])));
    assert!(!rejects(&head(401, &[b"Bearer error=\"\xc3\xa9\""])));
    assert!(rejects(&head(401, &[b"Bearer\xff error=invalid_token"])));
}

#[test]
fn no_garbage_panics_or_hides_the_line_behind_it() {
    const PIECES: [&[u8]; 24] = [
        b"Bearer",
        b"bearer ",
        b"Negotiate abc==",
        b"Basic",
        b"realm",
        b"=",
        b"==",
        b"\"",
        b"\\",
        b"\\\"",
        b",",
        b", ",
        b" ",
        b"\t",
        b"\"a, b\"",
        b"x",
        b"error_uri",
        b"\x80\xff",
        b"@",
        b"(",
        b";",
        b"'",
        b"/",
        b"\xc3\xa9",
    ];
    let mut random = fastrand::Rng::with_seed(0x5eed);
    for _ in 0..5_000 {
        let mut line = Vec::new();
        for _ in 0..random.usize(0..24) {
            if random.bool() {
                line.extend_from_slice(PIECES[random.usize(0..PIECES.len())]);
            } else {
                line.push(random.u8(0x20..=0xff));
            }
        }
        line.retain(|byte| *byte != 0x7f);
        let whole = head(401, &[&line, b"Bearer error=\"invalid_token\""]);
        assert!(rejects(&whole), "{:?}", line.escape_ascii().to_string());
        // However it is cut, it is read to its end, and what follows on its own line is found.
        let half = &line[..line.len() / 2];
        let acquitted = head(401, &[half, b"Bearer error=\"insufficient_scope\""]);
        assert!(!rejects(&acquitted), "{:?}", half.escape_ascii().to_string());
    }
}
