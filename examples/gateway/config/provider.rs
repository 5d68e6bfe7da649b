//! `[provider]`: which API, and how to log in to it.

use secrecy::{ExposeSecret, SecretString};
use tower_auth_refresh::{
    Provider,
    providers::{Accuat, FashionWorld, Kanfang, Language, Place, Quectel, RefreshIn, RefreshWith, UserDomain},
};

use super::{BadConfig, section::Section, value};
use crate::gateway::actions::Actions;

/// A provider, and the actions of its routes where its requests are signed with one.
type Configured = (Box<dyn Provider>, Option<Actions>);

const KANFANG: [&str; 6] = ["base_url", "auth_key", "auth_value", "client_edtion", "place", "refresh_with"];
const FASHION_WORLD: [&str; 4] = ["base_url", "mobile", "password", "actions"];
const QUECTEL: [&str; 8] =
    ["base_url", "email", "phone", "international_code", "password", "user_domain", "user_domain_secret", "refresh_in"];
const ACCUAT: [&str; 5] = ["base_url", "app_id", "secret_key", "grant_type", "language"];

/// Whether any kind has the key `name`.
pub(super) fn is_key(name: &str) -> bool {
    [&KANFANG[..], &FASHION_WORLD, &QUECTEL, &ACCUAT].into_iter().flatten().any(|key| *key == name)
}

pub(super) fn read(mut section: Section) -> Result<Configured, BadConfig> {
    let kind = section.need("kind", value::text)?;
    let (keys, read): (&[&str], fn(&mut Section) -> _) = match &*kind {
        "kanfang" => (&KANFANG, kanfang),
        "fashion-world" => (&FASHION_WORLD, fashion_world),
        "quectel" => (&QUECTEL, quectel),
        "accuat" => (&ACCUAT, accuat),
        "oauth2" => return Err(section.bad("kind", "oauth2 is not supported yet")),
        _ => return Err(section.bad("kind", "must be kanfang, fashion-world, quectel or accuat")),
    };
    section.only(Some(&format!("kind {kind}")), keys)?;
    read(&mut section)
}

fn kanfang(section: &mut Section) -> Result<Configured, BadConfig> {
    let places = [("header", Place::Header), ("query", Place::Query), ("cookie", Place::Cookie)];
    let tokens = [("refresh-token", RefreshWith::RefreshToken), ("access-token", RefreshWith::AccessToken)];

    let mut provider = Kanfang::new();
    if let Some(base_url) = section.take("base_url", value::uri)? {
        provider = provider.base_url(base_url);
    }
    if let Some([key, value]) = section.together(["auth_key", "auth_value"])? {
        provider = provider.login(plain(&key), value);
    }
    if let Some(edition) = section.take("client_edtion", value::text)? {
        provider = provider.client_edition(edition);
    }
    if let Some(place) = section.take("place", value::one_of(&places))? {
        provider = provider.place(place);
    }
    if let Some(token) = section.take("refresh_with", value::one_of(&tokens))? {
        provider = provider.refresh_with(token);
    }
    Ok((Box::new(provider), None))
}

fn fashion_world(section: &mut Section) -> Result<Configured, BadConfig> {
    let mut provider = FashionWorld::new(section.need("base_url", value::uri)?);
    if let Some([mobile, password]) = section.together(["mobile", "password"])? {
        provider = provider.login(plain(&mobile), password);
    }
    let actions = section.section("actions")?.all(|route, name| {
        let name = value::text(name)?;
        Actions::route(route)
            .map(|route| (route, name))
            .ok_or_else(|| "must be a method and a path, such as \"GET /api/my\"".into())
    })?;
    Ok((Box::new(provider), Some(Actions::new(actions))))
}

fn quectel(section: &mut Section) -> Result<Configured, BadConfig> {
    let mut provider = Quectel::europe().base_url(section.need("base_url", value::uri)?);
    let by_phone = section.has("phone") || section.has("international_code");
    if by_phone && section.has("email") {
        return Err(section.bad("email", "is one of two ways to log in, and phone is the other"));
    }
    if by_phone {
        let keys = ["international_code", "phone", "password", "user_domain", "user_domain_secret"];
        if let Some([code, phone, password, domain, secret]) = section.together(keys)? {
            provider =
                provider.phone_login(plain(&code), plain(&phone), password, UserDomain::new(plain(&domain), secret));
        }
    } else if let Some([email, password, domain, secret]) =
        section.together(["email", "password", "user_domain", "user_domain_secret"])?
    {
        provider = provider.email_login(plain(&email), password, UserDomain::new(plain(&domain), secret));
    }
    let places = [("form", RefreshIn::Form), ("query", RefreshIn::Query)];
    if let Some(place) = section.take("refresh_in", value::one_of(&places))? {
        provider = provider.refresh_in(place);
    }
    Ok((Box::new(provider), None))
}

fn accuat(section: &mut Section) -> Result<Configured, BadConfig> {
    let mut provider = Accuat::new(section.need("base_url", value::uri)?);
    if let Some([app_id, secret_key]) = section.together(["app_id", "secret_key"])? {
        provider = provider.login(plain(&app_id), secret_key);
    }
    if let Some(grant_type) = section.take("grant_type", value::text)? {
        provider = provider.grant_type(grant_type);
    }
    let languages = [("zh-CN", Language::Chinese), ("en-US", Language::English)];
    if let Some(language) = section.take("language", value::one_of(&languages))? {
        provider = provider.language(language);
    }
    Ok((Box::new(provider), None))
}

/// A name: read like a secret, because it too may come from the environment.
#[allow(clippy::disallowed_methods, reason = "the providers take names as plain text")]
fn plain(name: &SecretString) -> &str {
    name.expose_secret()
}
