//! From the YAML tree to the file's types. Its own deserializer, because the YAML crate's errors quote values, and a
//! value may be a credential: here an error knows its place, what was expected there and what kind of thing was found.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::diagnose::{Problem, nearest, one_of};
use super::file::FileConfig;
use super::mask::{is_secret_key, shown_key};
use super::tree::{Node, Place};

/// As many problems are told at once.
const MOST: usize = 20;

/// # Errors
/// Everything that does not fit, in the order in which it was met; at least one problem.
pub fn decode(root: &Node) -> Result<FileConfig, Vec<Problem>> {
    let mut left = root.clone();
    let mut problems = Vec::new();
    loop {
        let refusal = match FileConfig::deserialize(At { node: &left, place: Place::default(), key: None }) {
            Ok(file) if problems.is_empty() => return Ok(file),
            Ok(_) => return Err(problems),
            Err(refusal) => refusal,
        };
        let more = left.drop_at(&refusal.place.indices) && problems.len() + 1 < MOST;
        problems.push(refusal.into_problem());
        if !more {
            return Err(problems);
        }
    }
}

/// Why a node does not fit.
#[derive(Debug)]
struct Refusal {
    place: Place,
    placed: bool,
    what: String,
    label: String,
    help: Option<String>,
}

impl Refusal {
    fn new(what: impl Into<String>, label: impl Into<String>, help: Option<String>) -> Self {
        Self { place: Place::default(), placed: false, what: what.into(), label: label.into(), help }
    }

    /// The innermost place stands.
    fn at(mut self, place: &Place) -> Self {
        if !self.placed {
            self.place = place.clone();
            self.placed = true;
        }
        self
    }

    fn into_problem(self) -> Problem {
        let problem = Problem::new(self.place, self.what).label(self.label);
        match self.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }
}

impl Error for Refusal {
    /// The first line says what is wrong, a second one what to do.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once('\n') {
            Some((what, help)) => Self::new(what, "", Some(help.to_owned())),
            None => Self::new(message, "", None),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

/// A node, where it is, and the key it stands under.
#[derive(Clone)]
struct At<'a> {
    node: &'a Node,
    place: Place,
    key: Option<&'a str>,
}

impl<'a> At<'a> {
    fn inner(&self, index: usize, node: &'a Node, key: Option<&'a str>) -> Self {
        let mut place = self.place.clone();
        place.indices.push(index);
        Self { node, place, key }
    }

    fn key_place(&self) -> Place {
        Place { indices: self.place.indices.clone(), key: self.key.is_some() }
    }

    /// What stands here is not what was expected.
    fn unexpected(&self, expected: &str) -> Refusal {
        let (found, help) = match self.node {
            Node::Null | Node::Dropped => return self.nothing(),
            Node::Bool(_) => ("true or false", None),
            Node::Int(_) | Node::Float(_) if expected == "text" => ("a number", Some("put it in quotes".to_owned())),
            Node::Int(_) | Node::Float(_) => ("a number", None),
            Node::Text(_) => ("text", None),
            Node::List(_) => ("a list", None),
            Node::Map(_) => ("a section", None),
        };
        let help = if expected == "text" && found == "true or false" { Some("put it in quotes".into()) } else { help };
        // A credential in the wrong shape may cover lines of its own: point at its name.
        let nested = matches!(self.node, Node::List(_) | Node::Map(_)) && self.key.is_some_and(is_secret_key);
        let place = if nested { self.key_place() } else { self.place.clone() };
        Refusal::new(format!("expected {expected}, found {found}"), format!("expected {expected}"), help).at(&place)
    }

    fn nothing(&self) -> Refusal {
        let help = match self.key {
            Some("path_prefix") => "write \"\" for no prefix, or remove the line for /v1",
            Some("auth_token") => "remove the line for no client authentication (loopback only)",
            // These have no default.
            Some("name" | "url" | "auth_type" | "auth_value" | "endpoints") => "give it a value",
            _ => "give it a value, or remove the line for its default",
        };
        Refusal::new("has no value", "nothing follows the colon", Some(help.to_owned())).at(&self.key_place())
    }

    fn whole_number(&self, least: i128, most: i128) -> Result<i128, Refusal> {
        let range = format!("a whole number from {least} to {most}");
        let expected = if most > 1 << 40 { "a whole number" } else { &range };
        match self.node {
            Node::Int(number) if (least..=most).contains(number) => Ok(*number),
            Node::Int(_) | Node::Float(_) => {
                Err(Refusal::new(format!("expected {expected}"), format!("not {expected}"), None).at(&self.place))
            }
            Node::Text(text) if text.parse().is_ok_and(|number: i128| (least..=most).contains(&number)) => {
                let help = Some("remove the quotes".to_owned());
                Err(Refusal::new(format!("expected {expected}, found text"), "this is text", help).at(&self.place))
            }
            _ => Err(self.unexpected(expected)),
        }
    }
}

fn no_such_key(written: &str, known: &[&str]) -> Refusal {
    let help = match nearest(written, known) {
        _ if written == "<<" => "merge keys are not supported: write the keys out".to_owned(),
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known keys here: {}", known.join(", ")),
    };
    let what = format!("unknown key `{}`", shown_key(written));
    Refusal::new(what, "unknown key", Some(help))
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $kind:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            let number = self.whole_number(<$kind>::MIN.into(), <$kind>::MAX.into())?;
            let number = <$kind>::try_from(number).map_err(|_| self.unexpected("a whole number"))?;
            visitor.$visit(number).map_err(|refusal: Refusal| refusal.at(&self.place))
        }
    )*};
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Refusal;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let here = self.clone();
        let outcome = match self.node {
            Node::Null | Node::Dropped => Err(self.nothing()),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Int(value) => match u64::try_from(*value) {
                Ok(value) => visitor.visit_u64(value),
                Err(_) => visitor.visit_i64(i64::try_from(*value).unwrap_or(i64::MIN)),
            },
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(value) => visitor.visit_borrowed_str(value),
            Node::List(_) | Node::Map(_) => {
                Err(self.unexpected(&Expecting::<V>(&visitor, std::marker::PhantomData).to_string()))
            }
        };
        outcome.map_err(|refusal| refusal.at(&here.place))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.node {
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Text(word) => {
                let mut refusal = self.unexpected("true or false");
                refusal.help = match word.to_ascii_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("write true".to_owned()),
                    "no" | "off" | "n" | "false" => Some("write false".to_owned()),
                    _ => None,
                };
                Err(refusal)
            }
            _ => Err(self.unexpected("true or false")),
        }
    }

    whole_numbers! {
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.node {
            Node::Text(text) => visitor.visit_borrowed_str(text),
            _ => Err(self.unexpected("text")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    /// Absent is `None`; a key without a value is an error, whatever its type.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.node {
            Node::Null => visitor.visit_seq(Items { at: self, nodes: &[], next: 0 }),
            Node::List(items) => visitor.visit_seq(Items { at: self, nodes: items, next: 0 }),
            Node::Map(_) => {
                let mut refusal = self.unexpected("a list");
                refusal.help = Some("begin each entry with `- `".to_owned());
                Err(refusal)
            }
            _ => Err(self.unexpected("a list")),
        }
    }

    /// A section whose keys are all commented out is an empty one.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let in_list = self.key.is_none() && !self.place.indices.is_empty();
        match self.node {
            Node::Null if !in_list => visitor.visit_map(Entries { at: self, pairs: &[], next: 0, fields }),
            Node::Map(entries) => visitor.visit_map(Entries { at: self, pairs: entries, next: 0, fields }),
            _ => {
                let mut refusal = self.unexpected("a section");
                refusal.help = Some(format!("its keys are: {}", fields.join(", ")));
                Err(refusal)
            }
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let expected = one_of(variants);
        match self.node {
            Node::Text(word) if variants.contains(&word.as_str()) => {
                visitor.visit_enum(IntoDeserializer::<Refusal>::into_deserializer(word.as_str()))
            }
            Node::Text(word) => {
                let meant = nearest(word, variants).map(|meant| format!("did you mean `{meant}`?"));
                let help = meant.or_else(|| Some("write one of these words".to_owned()));
                Err(Refusal::new(format!("expected {expected}"), "not one of these", help).at(&self.place))
            }
            _ => Err(self.unexpected(&expected)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct map identifier
    }
}

/// What a visitor says that it expects.
struct Expecting<'v, 'de, V: Visitor<'de>>(&'v V, std::marker::PhantomData<&'de ()>);

impl<'de, V: Visitor<'de>> fmt::Display for Expecting<'_, 'de, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

struct Items<'a> {
    at: At<'a>,
    nodes: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        while let Some(node) = self.nodes.get(self.next) {
            let index = self.next;
            self.next += 1;
            if *node != Node::Dropped {
                return seed.deserialize(self.at.inner(index, node, None)).map(Some);
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    at: At<'a>,
    pairs: &'a [(String, Node)],
    /// The entry behind the one whose key was read last.
    next: usize,
    fields: &'static [&'static str],
}

impl Entries<'_> {
    fn check_key(&self, index: usize, key: &str) -> Result<(), Refusal> {
        let mut place = Place { indices: self.at.place.indices.clone(), key: true };
        place.indices.push(index);
        if !self.fields.contains(&key) {
            return Err(no_such_key(key, self.fields).at(&place));
        }
        if self.pairs[..index].iter().any(|(earlier, node)| earlier == key && *node != Node::Dropped) {
            let help = Some("keep one of the two".to_owned());
            return Err(Refusal::new("is there twice", "the same key again", help).at(&place));
        }
        Ok(())
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        while let Some((key, node)) = self.pairs.get(self.next) {
            let index = self.next;
            self.next += 1;
            if *node != Node::Dropped {
                self.check_key(index, key)?;
                return seed.deserialize(StrDeserializer::<Refusal>::new(key)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let index = self.next.saturating_sub(1);
        let Some((key, node)) = self.pairs.get(index) else { return Err(self.at.nothing()) };
        seed.deserialize(self.at.inner(index, node, Some(key)))
    }
}
