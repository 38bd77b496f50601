//! A credential of digits alone is a number to YAML. A second reading of the text, along the tree of the first, makes
//! it the text that it was meant to be, exactly as written.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Node;
use crate::config::mask::is_secret_key;

pub(super) struct Spell<'a> {
    node: &'a mut Node,
    secret: bool,
}

impl<'a> Spell<'a> {
    pub(super) fn new(root: &'a mut Node) -> Self {
        Self { node: root, secret: false }
    }
}

impl<'de> DeserializeSeed<'de> for Spell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.node {
            Node::List(_) | Node::Map(_) => deserializer.deserialize_any(self),
            Node::Int(_) | Node::Float(_) if self.secret => deserializer.deserialize_str(self),
            _ => IgnoredAny::deserialize(deserializer).map(|_| ()),
        }
    }
}

impl<'de> Visitor<'de> for Spell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_str<E: Error>(self, written: &str) -> Result<(), E> {
        // Digits beyond any integer are a float.
        if matches!(self.node, Node::Int(_)) || written.bytes().all(|byte| byte.is_ascii_digit()) {
            *self.node = Node::Text(written.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Node::List(items) = self.node else { return Ok(()) };
        for node in items {
            seq.next_element_seed(Spell { node, secret: false })?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Node::Map(entries) = self.node else { return Ok(()) };
        for (key, node) in entries {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Spell { node, secret: is_secret_key(key) })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn a_credential_of_digits_keeps_each_of_them() {
        let long = "1".repeat(50);
        for digits in ["123456", "00123", "0", "-5", "0x1F", "99999999999999999999999", &long] {
            for text in [
                format!("a: 1\nauth_token: {digits}  # one\n"),
                format!("{{a: 1, auth_token: {digits}}}"),
                format!("a: &x {digits}\nauth_token: *x\n"),
                format!("a: 1\r\nauth_token: '{digits}'\r\n"),
            ] {
                let Ok(Node::Map(entries)) = parse(&text) else { panic!("{text}") };
                assert!(matches!(&entries[1].1, Node::Text(kept) if kept == digits), "{text}");
            }
        }
        let other = parse("auth_value: 1.5\nport: 007\nauth_token: [1]\n").map_err(|e| e.said).unwrap();
        let Node::Map(entries) = other else { panic!() };
        assert!(matches!(entries[0].1, Node::Float(_)) && matches!(entries[2].1, Node::List(_)));
    }
}
