//! JSON with one member made odd, all else left byte for byte.

/// The bodies in which the member that holds `token` is missing, of another type, or there twice; none where `body` is
/// not JSON or has no such member.
pub(super) fn without(body: &[u8], token: &str) -> Vec<(&'static str, String)> {
    let found = std::str::from_utf8(body).ok().and_then(|text| Member::find(text, token));
    let Some(Member { before, name, between, after }) = found else { return Vec::new() };
    let with = |value: &str| format!("{before}\"{name}\"{between}{value}{after}");
    vec![
        ("a token that is missing", format!("{before}\"{name}-other\"{between}\"{token}\"{after}")),
        ("a token that is null", with("null")),
        ("a token that is a number", with("7")),
        ("a token that is true", with("true")),
        ("a token that is a list", with(&format!("[\"{token}\"]"))),
        ("a token that is an object", with(&format!("{{\"{name}\":\"{token}\"}}"))),
        ("a token that is empty", with("\"\"")),
        ("a token that is there twice", with(&format!("\"{token}\",\"{name}\":\"{token}-other\""))),
    ]
}

struct Member<'a> {
    before: &'a str,
    name: &'a str,
    /// The colon and the white space around it.
    between: &'a str,
    after: &'a str,
}

impl<'a> Member<'a> {
    fn find(text: &'a str, token: &str) -> Option<Self> {
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        let (head, after) = text.split_once(&format!("\"{token}\""))?;
        let named = head.trim_end().strip_suffix(':')?.trim_end().strip_suffix('"')?;
        let between = head.get(named.len() + 1..)?;
        let (before, name) = named.rsplit_once('"')?;
        Some(Self { before, name, between, after })
    }
}
