//! A credential that cannot be printed by accident.

use std::fmt;

use subtle::ConstantTimeEq;

/// A key or token. `Debug`, `Display` and `Serialize` show a mask; only [`Secret::expose`] gives the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself: for a header that goes upstream and for the redactor, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Compares without telling by its timing how many bytes agree (the length may be told).
    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// `sk-…3fA9` for a long value; a value of under 12 characters shows nothing of itself.
    pub fn masked(&self) -> String {
        let chars = self.0.chars().count();
        if chars < 12 {
            return "…".to_owned();
        }
        let prefix = if self.0.starts_with("sk-") { "sk-" } else { "" };
        let tail: String = self.0.chars().skip(chars - 4).collect();
        format!("{prefix}…{tail}")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl serde::Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_way_of_printing_shows_the_value() {
        let secret = Secret::new("sk-ant-api03-abcdefgh1234");
        let json = serde_json::to_string(&secret).unwrap();
        for shown in [format!("{secret}"), format!("{secret:?}"), json] {
            assert!(shown.contains("sk-…1234"), "{shown}");
            assert!(!shown.contains("abcdefgh"), "{shown}");
        }
    }

    #[test]
    fn a_short_secret_shows_nothing_of_itself() {
        assert_eq!(Secret::new("hunter2").masked(), "…");
        assert_eq!(Secret::new("").masked(), "…");
    }

    #[test]
    fn matches_only_the_same_bytes() {
        let secret = Secret::new("token");
        assert!(secret.matches(b"token"));
        assert!(!secret.matches(b"tokem"));
        assert!(!secret.matches(b"toke"));
        assert!(!secret.matches(b""));
    }
}
