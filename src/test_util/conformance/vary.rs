//! Other tokens of the same make.

/// `token` with other letters and digits at its end: as long, and made of characters that it has already. The end of a
/// JWT is its signature, so that what it says stays as it is. Number 0 is the token itself.
pub(super) fn vary(token: &str, number: u64) -> String {
    let mut characters: Vec<char> = token.chars().collect();
    // A token of few characters has too few others of its own: it may have any of their kind.
    if count(&mut characters, number, |kind| token.chars().filter(|other| kind.has(*other)).collect()) > 0 {
        characters = token.chars().collect();
        count(&mut characters, number, Kind::all);
    }
    characters.into_iter().collect()
}

/// Counts on from the end, each character a digit of the base that is its alphabet, and gives back what is too much.
fn count(characters: &mut [char], mut number: u64, alphabet: impl Fn(Kind) -> Vec<char>) -> u64 {
    for character in characters.iter_mut().rev() {
        if number == 0 {
            break;
        }
        let Some(kind) = Kind::of(*character) else { continue };
        let mut alphabet = alphabet(kind);
        alphabet.sort_unstable();
        alphabet.dedup();
        let (base, at) = (alphabet.len() as u64, alphabet.iter().position(|other| other == character));
        if let (Some(at), true) = (at, base > 1) {
            let next = (at as u64 + number % base) % base;
            *character = usize::try_from(next).ok().and_then(|next| alphabet.get(next)).copied().unwrap_or(*character);
            number /= base;
        }
    }
    number
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    Lower,
    Upper,
}

impl Kind {
    fn of(character: char) -> Option<Self> {
        match character {
            '0'..='9' => Some(Self::Digit),
            'a'..='z' => Some(Self::Lower),
            'A'..='Z' => Some(Self::Upper),
            _ => None,
        }
    }

    fn has(self, character: char) -> bool {
        Self::of(character) == Some(self)
    }

    fn all(self) -> Vec<char> {
        match self {
            Self::Digit => ('0'..='9').collect(),
            Self::Lower => ('a'..='z').collect(),
            Self::Upper => ('A'..='Z').collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_hundred_variants_are_all_different_and_as_long() {
        for token in ["eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDI1OTIwMDB9.c2ln", "access-1", "/Im2a4gP7L22WUF2=", "aaaa"] {
            let variants: HashSet<_> = (0..100).map(|number| vary(token, number)).collect();
            assert_eq!(variants.len(), 100, "{token}");
            assert!(variants.iter().all(|variant| variant.len() == token.len()), "{token}");
            assert_eq!(vary(token, 0), token);
        }
    }

    #[test]
    fn a_hexadecimal_token_stays_hexadecimal() {
        let is_hexadecimal = |text: String| text.chars().all(|character| character.is_ascii_hexdigit());
        assert!((0..1000).all(|number| is_hexadecimal(vary("00ff7a1b9c3d5e2f", number))));
    }

    #[test]
    fn the_claims_of_a_jwt_stay_as_they_are() {
        let variant = vary("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDI1OTIwMDB9.c2lnbmF0dXJl", 99);
        assert!(variant.starts_with("eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDI1OTIwMDB9."), "{variant}");
    }
}
