//! The YAML text as a tree, and where in the text each part of it stands. The only file that knows the YAML crate.
//!
//! The YAML crate tells a position only together with an error. So a node's position is asked for by reading
//! the text again and failing at that very node: positions and values can never disagree, whatever the style.

mod spell;

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use self::spell::Spell;
use super::mask::shown_key;

/// One YAML value. Mappings keep their order and their duplicate keys.
#[derive(Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    /// Already reported: readers pass it by.
    Dropped,
}

/// A part of the file: which node, by the index of the entry on each level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub indices: Vec<usize>,
    /// The key of the last entry rather than its value.
    pub key: bool,
}

/// Text that is not YAML: what the parser says, and the byte offset where it says so.
pub struct SyntaxError {
    pub said: String,
    pub offset: usize,
}

/// # Errors
/// When the text is not one YAML document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let syntax_error = |error: serde_yaml::Error| SyntaxError {
        said: error.to_string(),
        offset: error.location().map_or(0, |location| location.index()),
    };
    let mut root = serde_yaml::from_str(text).map_err(syntax_error)?;
    let spell = Spell::new(&mut root);
    spell.deserialize(serde_yaml::Deserializer::from_str(text)).map_err(syntax_error)?;
    Ok(root)
}

/// The byte offset at which this part of the text begins; 0 when there is no such part.
pub fn offset(text: &str, place: &Place) -> usize {
    let seek = Seek { rest: &place.indices, key: place.key };
    let stopped = seek.deserialize(serde_yaml::Deserializer::from_str(text));
    stopped.err().and_then(|error| error.location()).map_or(0, |location| location.index())
}

/// # Errors
/// When the value has no YAML form (none of ours lacks one).
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, String> {
    serde_yaml::to_string(value).map_err(|error| error.to_string())
}

impl Node {
    /// The place of `endpoints[1].url`: that value if it is there, else the deepest part of the way to it that is.
    pub fn find(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = Place::default();
        for step in path.split(['.', '[']) {
            let next = match (node, step.strip_suffix(']')) {
                (Self::List(items), Some(index)) => {
                    index.parse().ok().and_then(|index: usize| Some((index, items.get(index)?)))
                }
                (Self::Map(entries), None) => {
                    let found = entries.iter().enumerate().find(|(_, (key, _))| key == step);
                    found.map(|(index, (_, value))| (index, value))
                }
                _ => None,
            };
            let Some((index, value)) = next else { break };
            place.indices.push(index);
            node = value;
        }
        place.key = matches!(node, Self::Null) && !place.indices.is_empty();
        place
    }

    /// `endpoints[1].url` for a place.
    pub fn path(&self, place: &Place) -> String {
        let mut node = self;
        let mut path = String::new();
        for &index in &place.indices {
            node = match node {
                Self::List(items) => {
                    path = format!("{path}[{index}]");
                    items.get(index)
                }
                Self::Map(entries) => entries.get(index).map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    path = format!("{path}{dot}{}", shown_key(key));
                    value
                }),
                _ => None,
            }
            .unwrap_or(&Self::Null);
        }
        path
    }

    /// Takes all other sections of the whole out of sight; what is left keeps its place.
    pub fn keep_only(&mut self, section: &str) {
        let Self::Map(entries) = self else { return };
        for (_, value) in entries.iter_mut().filter(|(key, _)| key != section) {
            *value = Self::Dropped;
        }
    }

    /// Takes the part at `indices` out of sight. False when that is the whole.
    pub fn drop_at(&mut self, indices: &[usize]) -> bool {
        let Some((first, rest)) = indices.split_first() else { return false };
        let inner = match self {
            Self::List(items) => items.get_mut(*first),
            Self::Map(entries) => entries.get_mut(*first).map(|(_, value)| value),
            _ => None,
        };
        match inner {
            Some(inner) if rest.is_empty() => *inner = Self::Dropped,
            Some(inner) => return inner.drop_at(rest),
            None => return false,
        }
        true
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Grow)
    }
}

struct Grow;

impl<'de> Visitor<'de> for Grow {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain YAML value, without a !tag")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Int(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Node, Node>()? {
            let key = match key {
                Node::Text(text) => text,
                Node::Int(number) => number.to_string(),
                Node::Float(number) => number.to_string(),
                Node::Bool(word) => word.to_string(),
                Node::Null => "null".to_owned(),
                Node::List(_) | Node::Map(_) | Node::Dropped => "?".to_owned(),
            };
            entries.push((key, value));
        }
        Ok(Node::Map(entries))
    }
}

/// Follows the indices down and fails where they end.
struct Seek<'a> {
    rest: &'a [usize],
    key: bool,
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to stop here")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let stop = || A::Error::custom("here");
        let (&index, rest) = self.rest.split_first().ok_or_else(stop)?;
        for _ in 0..index {
            seq.next_element::<IgnoredAny>()?;
        }
        seq.next_element_seed(Seek { rest, key: self.key })?;
        Err(stop())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let stop = || A::Error::custom("here");
        let (&index, rest) = self.rest.split_first().ok_or_else(stop)?;
        for _ in 0..index {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if self.key && rest.is_empty() {
            map.next_key_seed(Seek { rest, key: false })?;
        } else if map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Seek { rest, key: self.key })?;
        }
        Err(stop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, path: &str) -> String {
        let node = parse(text).map_err(|e| e.said).unwrap();
        let place = node.find(path);
        assert_eq!(node.path(&place), path);
        text[offset(text, &place)..].chars().take(3).collect()
    }

    #[test]
    fn every_style_gives_the_right_position() {
        assert_eq!(at("server:\n  port: 12345\n", "server.port"), "123");
        assert_eq!(at("# 代理\nserver: { host: 主机名, port: 12345 }\n", "server.port"), "123");
        assert_eq!(at("endpoints:\r\n- name: a\r\n- name: 二号 # x\r\n  url: xyz\r\n", "endpoints[1].url"), "xyz");
        assert_eq!(at("endpoints: [{name: a}, {name: \"bcd\"}]", "endpoints[1].name"), "\"bc");
        assert_eq!(at("server:\n  host: |\n    text\n", "server.host"), "|\n ");
        assert_eq!(at("a: &x { p: 123 }\nb: *x\n", "b.p"), "123");
    }

    #[test]
    fn a_key_without_a_value_is_found_by_its_key() {
        assert_eq!(at("server:\n  port:\n  host: x\n", "server.port"), "por");
    }

    #[test]
    fn a_missing_part_is_found_at_the_deepest_part_that_is_there() {
        let text = "server:\n  port: 1\n";
        let node = parse(text).map_err(|e| e.said).unwrap();
        assert_eq!(offset(text, &node.find("server.host")), 10);
        assert_eq!(offset(text, &node.find("endpoints[3].url")), 0);
    }
}
