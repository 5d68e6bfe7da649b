//! A configuration that a test spoils, and what the program says to it.

use super::program::{Folder, command, run};

pub const SECRET: &str = "hunter2-hunter2";

/// A good configuration, of which each test spoils a part.
pub struct Draft {
    pub top: String,
    pub provider: String,
    pub rest: String,
    pub env: Vec<(&'static str, &'static str)>,
    pub folder: Folder,
}

impl Draft {
    pub fn new() -> Self {
        Self {
            top: "listen = \"127.0.0.1:0\"\nupstream = \"https://api.test\"\n".to_owned(),
            provider: "kind = \"quectel\"\nbase_url = \"https://api.test\"\n".to_owned(),
            rest: String::new(),
            env: Vec::new(),
            folder: Folder::new(),
        }
    }

    pub fn top(top: &str) -> Self {
        let draft = Self::new();
        Self { top: format!("{}{top}\n", draft.top), ..draft }
    }

    pub fn provider(provider: &str) -> Self {
        Self { provider: format!("{provider}\n"), ..Self::new() }
    }

    pub fn quectel(keys: &str) -> Self {
        let draft = Self::new();
        Self { provider: format!("{}{keys}\n", draft.provider), ..draft }
    }

    pub fn rest(rest: &str) -> Self {
        Self { rest: rest.to_owned(), ..Self::new() }
    }

    pub fn text(&self) -> String {
        format!("{}[provider]\n{}{}\n", self.top, self.provider, self.rest)
    }

    /// The one line that the program says.
    pub async fn refusal(&self) -> String {
        let ended = run(command(&self.folder, &self.text(), &self.env)).await;
        let text = self.text();
        assert_eq!(ended.status.code(), Some(2), "{text}\n{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{text}");
        assert_eq!(ended.stderr.lines().count(), 1, "{text}\n{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "a secret is printed: {}", ended.stderr);
        ended.stderr.trim_end().to_owned()
    }

    pub async fn names(&self, key: &str) {
        let line = self.refusal().await;
        assert!(line.starts_with(&format!("gateway: {key}: ")), "{key} is not named in {line:?} for\n{}", self.text());
    }
}
