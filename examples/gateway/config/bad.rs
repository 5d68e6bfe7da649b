//! What is wrong with the configuration.

use std::{borrow::Cow, fmt};

use super::{provider, store};

/// A key of the configuration and what is wrong with its value: one line, in which no value ever stands, unless it names
/// a store.
#[derive(Debug)]
pub(crate) struct BadConfig {
    key: String,
    reason: Reason,
}

/// What is wrong, in words of our own: the parsers' own quote what they have read, and that may be a secret.
pub(crate) type Reason = Cow<'static, str>;

const TABLES: [&str; 5] = ["provider", "provider.actions", "token", "store", "policy"];

impl BadConfig {
    pub(crate) fn new(key: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Self { key: key.into(), reason: reason.into() }
    }

    /// What the parser of TOML complains about. Its message holds nothing of the file; of the file itself no more is
    /// shown than the name of a key that stands twice.
    pub(super) fn syntax(source: &str, error: &toml::de::Error) -> Self {
        let place = error.span().unwrap_or_default();
        let (before, after) = source.split_at_checked(place.start).unwrap_or((source, ""));
        let line = before.matches('\n').count() + 1;
        if error.message().starts_with("duplicate key") {
            let name = after.get(..place.len()).unwrap_or_default().trim_matches(['"', '\'']);
            return Self::new(join(&path_before(before), name), format!("stands twice (line {line})"));
        }
        Self::new(format!("line {line}"), "is not valid TOML")
    }
}

/// The path of `name` in the table `path`, in which a name that TOML would quote is quoted.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let name = if !name.is_empty() && name.bytes().all(is_bare) { name.to_owned() } else { format!("{name:?}") };
    dotted(path, name)
}

fn dotted(path: &str, name: String) -> String {
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

/// The path to the key that comes after `text`, which may end in a header, in a dotted key or in a table within one line. No
/// name is shown but one of ours: a line of a value may look like anything.
fn path_before(text: &str) -> String {
    let line = text.rsplit('\n').next().unwrap_or_default().trim_start();
    let name = line.split('=').next().unwrap_or_default().trim_matches(['[', '.', ' ', '\t']);
    let table = if line.starts_with('[') { "" } else { table_before(text) };
    if TABLES.contains(&name) || provider::is_key(name) || store::is_key(name) {
        dotted(table, name.to_owned())
    } else {
        table.to_owned()
    }
}

/// The table that the last header in `text` opens, where it is one of ours: a line of a value may look like a header.
fn table_before(text: &str) -> &'static str {
    // The last line is the one in which the key stands, perhaps in a header.
    let above = text.rsplit_once('\n').map_or("", |(above, _)| above);
    let header = above.lines().rev().find_map(|line| Some(line.trim().strip_prefix('[')?.split_once(']')?.0.trim()));
    TABLES.into_iter().find(|table| header == Some(table)).unwrap_or_default()
}

impl std::error::Error for BadConfig {}

impl fmt::Display for BadConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}
