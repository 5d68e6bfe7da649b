//! Under which keys a session is kept.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// The keys of one session. The part in braces is their
/// [hash tag](https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags): they lie in one slot,
/// as a script needs it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    /// As it was given.
    pub(super) name: String,
    base: String,
    /// A hash: `generation`, `fence` and `revision`, which scripts compare, and `value`.
    pub(super) token: String,
    /// Who holds the lease. It ends by itself.
    pub(super) lease: String,
    /// The last fencing token that was drawn.
    pub(super) fence: String,
    /// The channel on which a change is told.
    pub(super) channel: String,
}

/// What a name must not show of itself: a brace would move or end the hash tag.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%').add(b'{').add(b'}');

impl Keys {
    /// Two names never have a key in common, and neither have two prefixes.
    pub(super) fn new(prefix: &str, name: &str) -> Self {
        let base = format!("{prefix}:{{{}}}", utf8_percent_encode(name, ESCAPED));
        let key = |last| format!("{base}:{last}");
        Self {
            token: key("token"),
            lease: key("lease"),
            fence: key("fence"),
            channel: key("changed"),
            base,
            name: name.to_owned(),
        }
    }
}

/// How errors and logs name the store.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Whether keys may begin with it.
pub(super) fn is_prefix(prefix: &str) -> bool {
    !prefix.is_empty() && prefix.chars().all(|letter| !letter.is_control() && !matches!(letter, '{' | '}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_share_what_stands_in_the_braces() {
        let keys = Keys::new("app", "ann");
        assert_eq!(keys.to_string(), "app:{ann}");
        assert_eq!(
            [keys.token, keys.lease, keys.fence, keys.channel],
            ["app:{ann}:token", "app:{ann}:lease", "app:{ann}:fence", "app:{ann}:changed"]
        );
    }

    #[test]
    fn no_name_moves_the_hash_tag_or_looks_like_another() {
        let names = ["a", "a}", "{a", "{a}", "a%7D", "a:token", "a}:{b", "%", "%25", "ä", "\n", " "];
        for (at, name) in names.iter().enumerate() {
            let keys = Keys::new("app", name);
            let tag = keys.token.strip_prefix("app:{").and_then(|rest| rest.strip_suffix("}:token")).unwrap();
            assert!(!tag.is_empty() && !tag.contains(['{', '}']) && !tag.contains(char::is_control), "{name:?}");
            assert!(names[..at].iter().all(|other| Keys::new("app", other) != keys), "{name:?}");
        }
    }

    #[test]
    fn a_prefix_is_not_empty_and_has_no_braces() {
        assert!(is_prefix("tower-auth-refresh") && is_prefix("shop:eu"));
        for prefix in ["", "{a}", "a{", "a}", "a\n"] {
            assert!(!is_prefix(prefix), "{prefix:?}");
        }
    }
}
