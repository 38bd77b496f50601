//! From what is wanted to single steps, each of which changes one key or one endpoint: first in the tree, which says
//! what is meant, then in the text, which must come to mean the same.

use std::path::Path;

use super::super::reference::{Environment, expand, resolve_path};
use super::super::tree::Node;
use super::layout::Layout;
use super::scalar::{self, Quotes};
use super::{Edit, EditError, EndpointChange, diff, order, rewrite};
use crate::domain::endpoint::{BaseUrl, ProxyUrl, normalise_path};

/// The keys of an endpoint in their usual order.
pub(super) const KEYS: [&str; 10] =
    ["name", "url", "path_prefix", "auth_type", "auth_value", "enabled", "priority", "http", "proxy", "ca_file"];

/// Keys with their values, in their usual order.
pub(super) type Keys = [(&'static str, Node)];

#[derive(Clone, PartialEq)]
pub(super) enum Step {
    Set { index: usize, key: &'static str, value: Node },
    Unset { index: usize, key: &'static str },
    Add(Vec<(&'static str, Node)>),
    Remove { index: usize },
}

/// What values in the file are understood with.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    pub folder: &'a Path,
    pub env: Environment<'a>,
}

/// The endpoints of a tree; none when it has no such list.
pub(super) fn endpoints(root: &Node) -> &[Node] {
    match get(root, "endpoints") {
        Some(Node::List(items)) => items,
        _ => &[],
    }
}

pub(super) fn get<'a>(map: &'a Node, key: &str) -> Option<&'a Node> {
    let Node::Map(entries) = map else { return None };
    entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
}

fn named(root: &Node, name: &str) -> Result<usize, EditError> {
    let is = |endpoint: &Node| matches!(get(endpoint, "name"), Some(Node::Text(text)) if text == name);
    endpoints(root).iter().position(is).ok_or_else(|| EditError::NotFound(name.to_owned()))
}

/// The steps, and the endpoint that they are about, as counted when they are done.
pub(super) fn of(root: &Node, edit: &Edit, around: Around) -> Result<(Vec<Step>, Option<usize>), EditError> {
    match edit {
        Edit::Add(endpoint) => {
            let keys = new_endpoint(root, endpoint)?;
            Ok((vec![Step::Add(keys)], Some(endpoints(root).len())))
        }
        Edit::Change { name, change } => {
            let index = named(root, name)?;
            if let Some(other) = change.name.as_ref().filter(|other| *other != name)
                && named(root, other).is_ok()
            {
                return Err(EditError::Exists(other.clone()));
            }
            Ok((changed(&endpoints(root)[index], index, change, around)?, Some(index)))
        }
        Edit::Remove { name } => {
            let index = named(root, name)?;
            if endpoints(root).len() == 1 {
                let message = format!("\"{name}\" is the only endpoint, and at least one is needed");
                return Err(EditError::invalid(None, message, "disable it, or add another one first"));
            }
            Ok((vec![Step::Remove { index }], None))
        }
        Edit::Order { names } => Ok((reordered(root, names)?, None)),
    }
}

fn text(value: &str) -> Node {
    Node::Text(value.to_owned())
}

/// What a change names, key by key: `Some(None)` takes the key out.
fn named_keys(change: &EndpointChange) -> Vec<(&'static str, Option<Node>)> {
    let required = |value: &Option<String>| value.as_deref().map(|value| Some(text(value)));
    let optional = |value: &Option<Option<String>>| value.as_ref().map(|value| value.as_deref().map(text));
    let keys = [
        ("name", required(&change.name)),
        ("url", required(&change.url)),
        ("path_prefix", optional(&change.path_prefix)),
        ("auth_type", required(&change.auth_type)),
        ("auth_value", optional(&change.auth_value)),
        ("enabled", change.enabled.map(|value| Some(Node::Bool(value)))),
        ("priority", change.priority.map(|value| Some(Node::Int(value.into())))),
        ("http", optional(&change.http)),
        ("proxy", optional(&change.proxy)),
        ("ca_file", optional(&change.ca_file)),
    ];
    keys.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

/// The keys of an endpoint that is not there yet, without those that only name their default.
pub(super) fn new_endpoint(root: &Node, endpoint: &EndpointChange) -> Result<Vec<(&'static str, Node)>, EditError> {
    for (key, value) in [("name", &endpoint.name), ("url", &endpoint.url), ("auth_type", &endpoint.auth_type)] {
        if value.as_deref().is_none_or(str::is_empty) {
            return Err(EditError::invalid(Some(key), format!("{key}: is missing"), format!("give a {key}")));
        }
    }
    if let Some(name) = endpoint.name.as_ref().filter(|name| named(root, name).is_ok()) {
        return Err(EditError::Exists(name.clone()));
    }
    passthrough_has_no_key(endpoint)?;
    let passthrough = endpoint.auth_type.as_deref() == Some("passthrough");
    let kept = |key: &str| !(passthrough && key == "auth_value");
    let keys = named_keys(endpoint).into_iter().filter_map(|(key, value)| Some((key, value?)));
    Ok(keys.filter(|(key, value)| kept(key) && (*key == "priority" || !is_default(key, value))).collect())
}

fn passthrough_has_no_key(change: &EndpointChange) -> Result<(), EditError> {
    let key = change.auth_value.as_ref().and_then(Option::as_deref).unwrap_or_default();
    if change.auth_type.as_deref() == Some("passthrough") && !key.is_empty() {
        let message = "auth_value: passthrough sends the client's own login, so there is no key to give";
        return Err(EditError::invalid(Some("auth_value"), message, "leave it out, or choose another auth_type"));
    }
    Ok(())
}

fn changed(now: &Node, index: usize, change: &EndpointChange, around: Around) -> Result<Vec<Step>, EditError> {
    passthrough_has_no_key(change)?;
    let mut wanted = named_keys(change);
    // A key that is not named stays, for the day when the endpoint has it sent again.
    if change.auth_type.as_deref() == Some("passthrough") && change.auth_value.is_some() {
        wanted.retain(|(key, _)| *key != "auth_value");
        wanted.push(("auth_value", None));
    }
    let step = |(key, value): (&'static str, Option<Node>)| match (get(now, key), value) {
        (None, None) => None,
        (Some(_), None) => Some(Step::Unset { index, key }),
        (None, Some(value)) => (!is_default(key, &value)).then_some(Step::Set { index, key, value }),
        (Some(old), Some(value)) => {
            (!means_the_same(key, old, &value, around)).then_some(Step::Set { index, key, value })
        }
    };
    Ok(wanted.into_iter().filter_map(step).collect())
}

/// What a key says when it is absent.
fn is_default(key: &str, value: &Node) -> bool {
    match (key, value) {
        ("enabled", Node::Bool(value)) => *value,
        ("priority", Node::Int(value)) => *value == 1,
        ("http", Node::Text(value)) => value == "1.1",
        ("path_prefix", Node::Text(value)) => normalise_path(value) == "/v1",
        _ => false,
    }
}

/// Whether the file's value is what is wanted, as it is or as it was shown: with its references resolved, its
/// slashes normalised, its password left out. Then it stays as it is written.
fn means_the_same(key: &str, old: &Node, new: &Node, around: Around) -> bool {
    let (Node::Text(written), Node::Text(wanted)) = (old, new) else {
        // YAML reads 1.1 and 2 without quotes as numbers.
        return old == new
            || matches!((old, new), (Node::Float(old), Node::Text(new)) if old.to_string() == *new)
            || matches!((old, new), (Node::Int(old), Node::Text(new)) if old.to_string() == *new);
    };
    let resolved = |text: &str| expand(text, around.env).ok();
    let shown_as = |show: fn(&str) -> Option<String>| {
        let old = resolved(written).and_then(|old| show(&old));
        old.is_some() && (old == show(wanted) || old.as_deref() == Some(wanted))
    };
    written == wanted
        || match key {
            "url" => shown_as(|text| BaseUrl::parse(text).ok().map(|url| url.to_string())),
            "path_prefix" => shown_as(|text| Some(normalise_path(text))),
            // One with another password is another one.
            "proxy" => resolved(written)
                .and_then(|old| ProxyUrl::parse(&old).ok())
                .is_some_and(|old| old.to_string() == *wanted),
            "ca_file" => resolved(written).is_some_and(|old| {
                let path = |text: &str| resolve_path(text, around.folder, around.env);
                path(&old) == path(wanted)
            }),
            _ => false,
        }
}

fn reordered(root: &Node, names: &[String]) -> Result<Vec<Step>, EditError> {
    let indices = names.iter().map(|name| named(root, name)).collect::<Result<Vec<_>, _>>()?;
    let all = endpoints(root);
    let mut sorted = indices.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != names.len() || sorted.len() != all.len() {
        let message = "names: expected every endpoint once";
        return Err(EditError::invalid(Some("names"), message, "read the list of endpoints again"));
    }
    let priority = |index: &usize| match get(&all[*index], "priority") {
        Some(Node::Int(value)) => i64::try_from(*value).unwrap_or(1),
        _ => 1,
    };
    let now: Vec<(i64, usize)> = indices.iter().map(|index| (priority(index), *index)).collect();
    let then = order::priorities(&now);
    let steps = now.into_iter().zip(then).filter(|((now, _), then)| now != then);
    Ok(steps.map(|((_, index), then)| Step::Set { index, key: "priority", value: Node::Int(then.into()) }).collect())
}

impl Step {
    pub(super) fn on_tree(&self, root: &Node) -> Node {
        let mut root = root.clone();
        if let Some(list) = list(&mut root) {
            match self {
                Self::Set { index, key, value } => set(&mut list[*index], key, value),
                Self::Unset { index, key } => {
                    if let Node::Map(entries) = &mut list[*index] {
                        entries.retain(|(name, _)| name != key);
                    }
                }
                Self::Add(keys) => {
                    let entries = keys.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
                    list.push(Node::Map(entries.collect()));
                }
                Self::Remove { index } => _ = list.remove(*index),
            }
        }
        root
    }

    /// `None`: the text is written in a way that is not known.
    pub(super) fn on_text(&self, text: &str, root: &Node) -> Option<String> {
        match self {
            Self::Set { index, key, value } => rewrite::set(&Layout::new(text, root)?, *index, key, value),
            Self::Unset { index, key } => rewrite::unset(&Layout::new(text, root)?, *index, key),
            Self::Add(keys) => rewrite::add(text, root, keys),
            Self::Remove { index } => rewrite::remove(&Layout::new(text, root)?, *index),
        }
    }
}

impl Step {
    /// What to write by hand, without any credential.
    pub(super) fn snippet(&self, root: &Node) -> String {
        let name = |index: &usize| match endpoints(root).get(*index).and_then(|endpoint| get(endpoint, "name")) {
            Some(Node::Text(name)) => name.clone(),
            _ => format!("endpoints[{index}]"),
        };
        match self {
            Self::Set { index, key, value } => {
                let line = diff::shown(&format!("{key}: {}", scalar::write(value, Quotes::Needed, false)));
                format!("# in the endpoint {}:\n    {line}\n", name(index))
            }
            Self::Unset { index, key } => {
                format!("# in the endpoint {}: take out the line of\n    {key}:\n", name(index))
            }
            Self::Add(keys) => {
                let lines = rewrite::lines(keys, "  ", " ");
                let shown: String = lines.iter().map(|line| diff::shown(line) + "\n").collect();
                format!("# under endpoints:\n{shown}")
            }
            Self::Remove { index } => format!("# take the endpoint {} out\n", name(index)),
        }
    }
}

fn set(endpoint: &mut Node, key: &str, value: &Node) {
    let Node::Map(entries) = endpoint else { return };
    match entries.iter_mut().find(|(name, _)| name == key) {
        Some((_, old)) => *old = value.clone(),
        None => entries.push((key.to_owned(), value.clone())),
    }
}

/// The list of endpoints, made when there is none yet.
fn list(root: &mut Node) -> Option<&mut Vec<Node>> {
    if *root == Node::Null {
        *root = Node::Map(Vec::new());
    }
    let Node::Map(entries) = root else { return None };
    if !entries.iter().any(|(key, _)| key == "endpoints") {
        entries.push(("endpoints".to_owned(), Node::List(Vec::new())));
    }
    let (_, value) = entries.iter_mut().find(|(key, _)| key == "endpoints")?;
    if *value == Node::Null {
        *value = Node::List(Vec::new());
    }
    match value {
        Node::List(items) => Some(items),
        _ => None,
    }
}

/// Whether two trees mean the same settings: the order of keys has no meaning.
pub(super) fn same(one: &Node, other: &Node) -> bool {
    match (one, other) {
        (Node::Map(one), Node::Map(other)) => {
            let has =
                |(key, value): &(String, Node)| other.iter().any(|(name, found)| name == key && same(value, found));
            one.len() == other.len() && one.iter().all(has)
        }
        (Node::List(one), Node::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other,
    }
}
