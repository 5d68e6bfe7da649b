//! A table of the configuration, read key by key.

use secrecy::SecretString;
use toml::{Table, Value};

use super::{
    bad::{BadConfig, Reason, join},
    value,
};

/// A table with its path. What is read is taken out, so that a secret is not kept twice.
pub(super) struct Section {
    path: String,
    table: Table,
}

impl Section {
    /// The whole file.
    pub(super) fn root(table: Table) -> Self {
        Self { path: String::new(), table }
    }

    /// The table `key`; an empty one where there is none.
    pub(super) fn section(&mut self, key: &str) -> Result<Self, BadConfig> {
        let table = self.take(key, |value| match value {
            Value::Table(table) => Ok(table),
            _ => Err("must be a table".into()),
        })?;
        Ok(Self { path: join(&self.path, key), table: table.unwrap_or_default() })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key` as `read` takes it, where there is one.
    pub(super) fn take<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(Value) -> Result<T, Reason>,
    ) -> Result<Option<T>, BadConfig> {
        self.table.remove(key).map(|value| read(value).map_err(|reason| self.bad(key, reason))).transpose()
    }

    /// The same of a key that has to be there.
    pub(super) fn need<T>(&mut self, key: &str, read: impl FnOnce(Value) -> Result<T, Reason>) -> Result<T, BadConfig> {
        self.take(key, read)?.ok_or_else(|| self.bad(key, "is missing"))
    }

    /// Secrets that mean something only together: all of them, or `None` where there are none.
    pub(super) fn together<const N: usize>(&mut self, keys: [&str; N]) -> Result<Option<[SecretString; N]>, BadConfig> {
        let Some(present) = keys.into_iter().find(|key| self.has(key)) else { return Ok(None) };
        if let Some(missing) = keys.into_iter().find(|key| !self.has(key)) {
            return Err(self.bad(missing, format!("is missing, and {present} means nothing without it")));
        }
        let mut secrets = keys.map(|_| SecretString::default());
        for (secret, key) in secrets.iter_mut().zip(keys) {
            *secret = self.need(key, value::secret)?;
        }
        Ok(Some(secrets))
    }

    /// All keys that are left, with their values as `read` takes them.
    pub(super) fn all<T>(mut self, read: impl Fn(&str, Value) -> Result<T, Reason>) -> Result<Vec<T>, BadConfig> {
        let table = std::mem::take(&mut self.table);
        table.into_iter().map(|(key, value)| read(&key, value).map_err(|reason| self.bad(&key, reason))).collect()
    }

    /// Refuses all keys but `keys`, before one is missed: it may only be misspelt. `owner` is what has no others, where
    /// that depends on a value.
    pub(super) fn only(&self, owner: Option<&str>, keys: &[&str]) -> Result<(), BadConfig> {
        let Some(key) = self.table.keys().find(|key| !keys.contains(&key.as_str())) else { return Ok(()) };
        Err(match owner {
            Some(owner) => self.bad(key, format!("is not a key of {owner}")),
            None => self.bad(key, "is not known"),
        })
    }

    pub(super) fn bad(&self, key: &str, reason: impl Into<Reason>) -> BadConfig {
        BadConfig::new(join(&self.path, key), reason)
    }
}
