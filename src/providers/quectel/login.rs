//! The two logins with a password, and the form that each of them sends.

use std::fmt;

use secrecy::SecretString;

use super::{password, wire};

/// The user domain that a login belongs to, with the secret that signs it: both are given out by Quectel's Developer
/// Center for an app.
#[derive(Clone)]
pub struct UserDomain {
    name: String,
    secret: SecretString,
}

#[derive(Clone)]
pub(super) struct Login {
    pub(super) account: Account,
    pub(super) password: SecretString,
    pub(super) domain: UserDomain,
}

#[derive(Clone)]
pub(super) enum Account {
    Email(String),
    Phone { international_code: String, phone: String },
}

// ===== impl UserDomain =====

impl UserDomain {
    /// The domain's name (`userDomain`) and its secret (`userDomainSecret`).
    #[must_use]
    pub fn new(name: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        Self { name: name.into(), secret: secret.into() }
    }
}

impl fmt::Debug for UserDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserDomain").field("name", &self.name).finish_non_exhaustive()
    }
}

// ===== impl Login =====

impl Login {
    pub(super) fn path(&self) -> &'static str {
        match self.account {
            Account::Email(_) => "/v2/enduser/enduserapi/emailPwdLogin",
            Account::Phone { .. } => "/v2/enduser/enduserapi/phonePwdLogin",
        }
    }

    /// The form body; the fields that name the account are also what the signature begins with.
    pub(super) fn form(&self, nonce: u128) -> String {
        let account = match &self.account {
            Account::Email(email) => vec![("email", email.as_str())],
            Account::Phone { international_code, phone } => {
                vec![("internationalCode", international_code.as_str()), ("phone", phone.as_str())]
            }
        };
        let random = password::random(nonce);
        let pwd = password::encrypt(wire::expose(&self.password), &random);
        let secret = wire::expose(&self.domain.secret);
        let signature = password::sign(account.iter().map(|(_, value)| *value).chain([&*pwd, &*random, secret]));
        wire::encode(account.into_iter().chain([
            ("pwd", &*pwd),
            ("random", &*random),
            ("userDomain", &*self.domain.name),
            ("signature", &*signature),
        ]))
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The address and the number are personal.
        f.write_str(match self.account {
            Account::Email(_) => "email",
            Account::Phone { .. } => "phone",
        })
    }
}
