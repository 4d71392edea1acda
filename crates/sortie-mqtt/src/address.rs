//! A broker's address: `mqtt://[user[:password]@]host[:port][/prefix]`.

use std::fmt;

use crate::{error::MqttError, topic::Prefix};

/// MQTT's port.
const PORT: u16 = 1883;

/// Where a broker is, and what a user may say of it in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// A name or an IP address; IPv6 in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) prefix: Option<Prefix>,
}

/// A user with a password, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Address {
    pub(crate) fn parse(text: &str) -> Result<Self, MqttError> {
        let wrong = |why| MqttError::Address {
            address: shown(text),
            why,
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(wrong("mqtt://host:port is expected"));
        };
        match scheme {
            "mqtt" => {}
            "mqtts" => {
                return Err(MqttError::Tls {
                    address: shown(text),
                });
            }
            _ => return Err(wrong("the scheme must be mqtt")),
        }
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("it has a space or a control character"));
        }
        if rest.contains(['?', '#']) {
            return Err(wrong("a query or a fragment has no meaning here"));
        }
        let (authority, prefix) = match rest.split_once('/') {
            Some((authority, "")) => (authority, None),
            Some((authority, path)) => (authority, Some(Prefix::new(path)?)),
            None => (rest, None),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let credentials = match user {
            Some(user) => {
                let (name, password) = user.split_once(':').unwrap_or((user, ""));
                let percent = || {
                    wrong(
                        "a % in the user or the password is not followed by two hexadecimal digits of UTF-8 text",
                    )
                };
                Some(Credentials {
                    user: decoded(name).ok_or_else(percent)?,
                    password: decoded(password).ok_or_else(percent)?,
                })
            }
            None => None,
        };
        let (host, port) = host_and_port(host).map_err(wrong)?;
        Ok(Self {
            host: host.into(),
            port,
            credentials,
            prefix,
        })
    }

    /// `host:port`, for people.
    pub(crate) fn at(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn host_and_port(text: &str) -> Result<(&str, u16), &'static str> {
    let (host, port) = if text.starts_with('[') {
        let end = text
            .find(']')
            .ok_or("the IPv6 address has no closing bracket")?;
        let (host, rest) = text.split_at(end + 1);
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err("something other than a port follows the IPv6 address"),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    let Some(port) = port else {
        return Ok((host, PORT));
    };
    match port.parse() {
        Ok(port) if port > 0 => Ok((host, port)),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

/// The address without its password, and without what is no part of an address.
fn shown(text: &str) -> String {
    let text: String = text.chars().take(200).collect();
    let start = text.find("://").map_or(0, |at| at + 3);
    let rest = &text[start..];
    // Whatever a password may hold: all before the last `@` is the user's.
    let Some(at) = rest.rfind('@') else {
        return text;
    };
    match rest[..at].split_once(':') {
        Some((user, _password)) => format!("{}{user}:***{}", &text[..start], &rest[at..]),
        None => text,
    }
}

/// Percent-decodes; none for a malformed escape.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        decoded.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_part_by_part() {
        let address =
            Address::parse("mqtt://me:p%40ss%2F:x@broker.example.com:1884/fleet/1").unwrap();
        assert_eq!(address.host, "broker.example.com");
        assert_eq!(address.port, 1884);
        let credentials = address.credentials.unwrap();
        assert_eq!(credentials.user, "me");
        assert_eq!(credentials.password, "p@ss/:x");
        assert_eq!(address.prefix.unwrap().as_str(), "fleet/1");
        let plain = Address::parse("mqtt://localhost").unwrap();
        assert_eq!((plain.host.as_str(), plain.port), ("localhost", 1883));
        assert_eq!((plain.credentials, plain.prefix), (None, None));
        let v6 = Address::parse("mqtt://[::1]:1999/").unwrap();
        assert_eq!((v6.host.as_str(), v6.port), ("[::1]", 1999));
        assert_eq!(Address::parse("mqtt://[::1]").unwrap().port, 1883);
    }

    #[test]
    fn a_bad_address_is_an_error_that_names_it_and_what_is_wrong() {
        for (bad, why) in [
            ("", "mqtt://host:port"),
            ("localhost:1883", "mqtt://host:port"),
            ("http://localhost", "scheme"),
            ("mqtt://", "host"),
            ("mqtt://:1883", "host"),
            ("mqtt://h:0", "port"),
            ("mqtt://h:70000", "port"),
            ("mqtt://h:x", "port"),
            ("mqtt://::1", "host"),
            ("mqtt://[::1", "bracket"),
            ("mqtt://[::1]x", "port"),
            ("mqtt://h?x=1", "query"),
            ("mqtt://h h", "space"),
            ("mqtt://u%zz@h", "%"),
            ("mqtt://u%ff@h", "UTF-8"),
            ("mqtt://h/a/+/b", "wildcard"),
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
            // A prefix is named as such.
            let named = bad
                .split_once("mqtt://h/")
                .map_or(bad, |(_, prefix)| prefix);
            assert!(error.contains(named), "{error} names {named}");
        }
    }

    #[test]
    fn tls_is_an_error_that_says_so() {
        let error = Address::parse("mqtts://me:secret@h").unwrap_err();
        assert!(matches!(error, MqttError::Tls { .. }));
        let why = "asks for TLS, which is not in this version yet";
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn a_password_is_shown_nowhere() {
        for bad in [
            "mqtt://me:secret@h:x",
            "mqtts://me:secret@h",
            "mqtt://me:sec/ret@h:x",
        ] {
            let error = Address::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("ret"), "{error}");
        }
        let good = Address::parse("mqtt://me:secret@h").unwrap();
        assert!(!format!("{good:?}").contains("secret"), "{good:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,80}", tail in "[a-z0-9:@/%\\[\\]+#é]{0,40}") {
            let _unread = Address::parse(&text);
            let _unread = Address::parse(&format!("mqtt://{tail}"));
            let _unread = Address::parse(&format!("mqtts://{tail}{text}"));
        }
    }
}
