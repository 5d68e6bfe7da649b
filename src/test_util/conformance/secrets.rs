//! What is printed.

use super::{
    answers::FREE_TEXT,
    report::{Finding, Outcome, Report},
    subject::Subject,
    template::Template,
};
use crate::provider::Provider;

/// A piece of a secret of that many bytes is a leak; a shorter secret leaks as a whole.
const PIECE: usize = 12;

pub(super) fn check<P: Provider>(subject: &Subject<'_, P>, report: &mut Report) {
    report.record("no error prints a secret or what a server wrote", "C22", silence(subject, &subject.heard()));
    let printed = match &subject.samples.printed {
        Some(printed) => silence(subject, printed),
        None => Err(Outcome::NotApplicable("because the samples do not say what the provider prints")),
    };
    report.record("the provider itself prints no secret", "C22", printed);
}

fn silence<P: Provider>(subject: &Subject<'_, P>, printed: &str) -> Finding {
    let granted = [&subject.login, &subject.refresh].into_iter().flatten();
    let tokens = granted.flat_map(|token| Template::tokens_of(token).all().cloned().collect::<Vec<_>>());
    let leaks = |secret: &String| {
        let pieces = secret.as_bytes().windows(PIECE.min(secret.len().max(1)));
        pieces.filter_map(|piece| std::str::from_utf8(piece).ok()).any(|piece| printed.contains(piece))
    };
    let expected = "nothing of any secret";
    if tokens.collect::<Vec<_>>().iter().any(leaks) {
        return Err(Outcome::failed(expected, "a piece of a token"));
    }
    if subject.samples.secrets.iter().any(leaks) {
        return Err(Outcome::failed(expected, "a piece of a credential"));
    }
    if printed.contains(FREE_TEXT) {
        return Err(Outcome::failed(expected, "text that a server wrote"));
    }
    Ok(())
}
