//! Whatever stands in the file and whatever is asked: what is read after the edit is what was meant, and all the rest
//! is as it was; else nothing is changed. No credential is in what is told, and there is never a panic.
#![no_main]

use std::path::Path;

use claude_proxy::config::Config;
use claude_proxy::config::edit::{Edit, EditError, EndpointChange, Unset, work_out};
use claude_proxy::domain::endpoint::EndpointSpec;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "sk-ant-api03-hunter2hunter2";
const FILE: &str = "/nowhere/config.yaml";

fuzz_target!(|input: (u8, u8, i8, &str, &str)| {
    let (kind, which, priority, word, text) = input;
    let text = text.replace("SECRET", SECRET);
    let old = Config::from_text(&text, Some(Path::new(FILE)), &|_| None).ok();
    let names: Vec<String> = old.iter().flat_map(|old| &old.endpoints).map(|old| old.name.clone()).collect();
    let name = names.get(usize::from(which)).map_or(word, String::as_str);
    let edit = edit(kind, name, priority, word, &names);
    let secret = stands_only_as_a_value(&text, old.as_ref()) && !word.contains(SECRET);
    let keeps = |told: &str| !secret || !told.contains(SECRET);
    match work_out(Path::new(FILE), &text, &edit, Unset::Refused) {
        Ok(done) => {
            assert!(keeps(&done.diff), "{}", done.diff);
            let read = Config::from_text(&done.text, Some(Path::new(FILE)), &|_| None).expect("it can be read again");
            assert_eq!(read.endpoints, done.config.endpoints);
            if let Some(old) = old {
                assert_eq!(rest(&old), rest(&read));
                means(&edit, &specs(&old), &specs(&read));
            }
        }
        Err(EditError::ByHand { snippet }) => assert!(keeps(&snippet), "{snippet}"),
        Err(refused) => assert!(keeps(&refused.to_string()), "{refused}"),
    }
});

/// Where it is a name or an address besides, it is told like any other.
fn stands_only_as_a_value(text: &str, read: Option<&Config>) -> bool {
    let is_value = |line: &str| line.trim_start().trim_start_matches("- ").starts_with("auth_value: sk-");
    text.lines().all(|line| !line.contains(SECRET) || is_value(line))
        && read.is_none_or(|read| claude_proxy::config::to_yaml(&read.shown()).is_ok_and(|yaml| !yaml.contains(SECRET)))
}

fn edit(kind: u8, name: &str, priority: i8, word: &str, names: &[String]) -> Edit {
    let change = EndpointChange { priority: Some(priority.into()), ..EndpointChange::default() };
    let name = name.to_owned();
    match kind % 6 {
        0 => Edit::Change { name, change: EndpointChange { enabled: Some(priority > 0), ..EndpointChange::default() } },
        1 => Edit::Change { name, change },
        2 => Edit::Change { name, change: EndpointChange { name: Some(word.to_owned()), ..change } },
        3 => Edit::Remove { name },
        4 => Edit::Order { names: names.iter().rev().cloned().collect() },
        _ => Edit::Add(EndpointChange {
            name: Some(word.to_owned()),
            url: Some("https://k.example".to_owned()),
            auth_type: Some("api_key".to_owned()),
            auth_value: Some(Some(SECRET.to_owned())),
            ..change
        }),
    }
}

/// Everything but the endpoints and what the text itself is known by.
fn rest(config: &Config) -> String {
    let mut shown = config.shown();
    shown.endpoints.clear();
    claude_proxy::config::to_yaml(&shown).expect("settings have a YAML form")
}

fn specs(config: &Config) -> Vec<EndpointSpec> {
    config.endpoints.iter().map(|spec| EndpointSpec::clone(spec)).collect()
}

fn means(edit: &Edit, old: &[EndpointSpec], new: &[EndpointSpec]) {
    let at = |name: &str| old.iter().position(|old| old.name == name).expect("it was there");
    let mut meant = old.to_vec();
    match edit {
        Edit::Change { name, change } => {
            let endpoint = &mut meant[at(name)];
            endpoint.enabled = change.enabled.unwrap_or(endpoint.enabled);
            endpoint.priority = change.priority.unwrap_or(endpoint.priority);
            if let Some(name) = &change.name {
                endpoint.name.clone_from(name);
            }
            assert_eq!(meant, new);
        }
        Edit::Remove { name } => {
            meant.remove(at(name));
            assert_eq!(meant, new);
        }
        Edit::Add(_) => assert_eq!(meant, new[..new.len() - 1]),
        Edit::Order { names } => {
            let priority = |name: &String| new.iter().find(|new| new.name == *name).map(|new| new.priority);
            assert!(names.iter().map(priority).is_sorted());
        }
    }
}
