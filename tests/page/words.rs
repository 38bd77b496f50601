//! The page's words, read from its files: both languages have all of them, and it asks for none that is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use claude_proxy::clock;
use claude_proxy::wire::filter::Filter;
use claude_proxy::wire::filter::fields::FIELDS;
use regex::Regex;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page")
}

/// The keys of a dictionary, in the file's order, with their texts.
fn dictionary(language: &str) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(folder().join(format!("i18n/{language}.js"))).unwrap();
    let line = Regex::new(r"(?m)^  '([\w.]+)': (?:'((?:[^'\\]|\\.)*)'|`([^`]*)`),$").unwrap();
    let found = line.captures_iter(&text);
    found.map(|one| (one[1].to_owned(), one.get(2).or(one.get(3)).unwrap().as_str().to_owned())).collect()
}

fn keys(dictionary: &[(String, String)]) -> BTreeSet<&str> {
    dictionary.iter().map(|(key, _)| key.as_str()).collect()
}

/// The page's own scripts, by name.
fn scripts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in [folder(), folder().join("parts"), folder().join("views")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "js") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn both_languages_have_the_same_keys_once_each() {
    let (en, zh) = (dictionary("en"), dictionary("zh"));
    assert!(en.len() > 200, "the dictionary is read: {}", en.len());
    for (language, words) in [("en", &en), ("zh", &zh)] {
        assert_eq!(words.len(), keys(words).len(), "a key stands twice in {language}");
    }
    let missing: Vec<_> = keys(&en).symmetric_difference(&keys(&zh)).map(|key| (*key).to_owned()).collect();
    assert!(missing.is_empty(), "only one language has {missing:?}");
}

#[test]
fn both_languages_fill_in_the_same_values() {
    let (en, zh) = (dictionary("en"), dictionary("zh"));
    let place = Regex::new(r"\{(\w+)\}").unwrap();
    let places = |text: &str| -> BTreeSet<String> { place.captures_iter(text).map(|one| one[1].to_owned()).collect() };
    for (key, text) in &en {
        let (_, other) = zh.iter().find(|(own, _)| own == key).unwrap();
        // A count may be said by the choice between one and many.
        let without_count = |mut places: BTreeSet<String>| {
            places.remove("n");
            places
        };
        assert_eq!(without_count(places(text)), without_count(places(other)), "{key}: {text} / {other}");
    }
}

#[test]
fn the_page_asks_for_no_word_that_is_not_there() {
    let en = dictionary("en");
    let known = keys(&en);
    let asked = Regex::new(r"\bt\('([\w.]+)'|label: '(keys\.[\w.]+)'|useKeys\('([\w.]+)'").unwrap();
    for (script, text) in scripts() {
        for one in asked.captures_iter(&text) {
            let key = one.iter().skip(1).flatten().next().unwrap().as_str();
            assert!(known.contains(key), "{script} asks for {key}");
        }
    }
}

/// The help names each field of the filter language, and no other.
#[test]
fn the_filter_help_knows_the_language() {
    let help = std::fs::read_to_string(folder().join("parts/filter-help.js")).unwrap();
    let field = Regex::new(r"(?m)^  \['(\w+)', '([^']+)'\],$").unwrap();
    let shown: Vec<_> = field.captures_iter(&help).map(|one| (one[1].to_owned(), one[2].to_owned())).collect();
    assert!(shown.len() > 15, "the fields are read: {shown:?}");
    let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
    let fields: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(names, fields);
    for (name, example) in &shown {
        let parsed = Filter::parse(example, clock::wall());
        assert!(parsed.is_ok(), "{name}: {example}: {parsed:?}");
    }
}

/// What strangers wrote can become markup in one way only, and that way is not taken anywhere.
#[test]
fn nothing_in_the_page_makes_markup_of_text() {
    let ways = Regex::new(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function|DOMParser|javascript:|style=\x22").unwrap();
    for (script, text) in scripts() {
        assert!(!ways.is_match(&text), "{script}: {:?}", ways.find(&text));
    }
    let page = std::fs::read_to_string(folder().join("index.html")).unwrap();
    assert!(!Regex::new(r"<script>|<style|\son\w+=|style=|//").unwrap().is_match(&page), "{page}");
}
