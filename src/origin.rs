//! Where a credential may go: scheme, host and port of the API that it belongs to.

use http::{Uri, uri::Scheme};

/// A scheme, a host and a port ([RFC 6454, section 4](https://www.rfc-editor.org/rfc/rfc6454#section-4)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    secure: bool,
    host: Box<str>,
    port: u16,
}

impl Origin {
    /// The origin of an absolute http or https URI without user info.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let (secure, host, port) = parts(uri)?;
        Some(Self { secure, host: host.to_ascii_lowercase().into(), port })
    }

    /// Whether `uri` is of this origin. Allocates nothing: it is asked for each request.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        parts(uri).is_some_and(|(secure, host, port)| {
            secure == self.secure && port == self.port && host.eq_ignore_ascii_case(&self.host)
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }
}

fn parts(uri: &Uri) -> Option<(bool, &str, u16)> {
    let secure = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host();
    if host.is_empty() || authority.as_str().contains('@') {
        return None;
    }
    // A port that is there but cannot be read (`host:` or above 65535) is another origin than the default port.
    let port = match (authority.port_u16(), authority.as_str().len() == host.len()) {
        (Some(port), _) => port,
        (None, true) => {
            if secure {
                443
            } else {
                80
            }
        }
        (None, false) => return None,
    };
    Some((secure, host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(origin: &str, uri: &str) -> bool {
        Origin::of(&origin.parse().unwrap()).unwrap().covers(&uri.parse().unwrap())
    }

    #[test]
    fn scheme_lower_cased_host_and_effective_port_decide() {
        assert!(covers("https://api.example.com", "https://API.example.COM:443/path?query"));
        assert!(covers("http://[::1]:8080", "http://[::1]:8080/"));
        for other in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://api.example.com.evil.test/",
            "https://api.example.com./",
            "https://user@api.example.com/",
            "https://user:secret@api.example.com/",
            "/relative",
            "api.example.com:443",
            "*",
        ] {
            assert!(!covers("https://api.example.com", other), "{other}");
        }
    }

    #[test]
    fn neither_a_relative_uri_nor_one_with_user_info_is_an_origin() {
        for uri in ["/v2", "https://user@api.example.com", "ftp://api.example.com", "api.example.com"] {
            assert_eq!(Origin::of(&uri.parse().unwrap()), None, "{uri}");
        }
    }
}
