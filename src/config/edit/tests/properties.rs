//! Random edits of files in every style: what is read afterwards is what was meant, and all other lines are the same.

use proptest::prelude::*;

use super::*;

const FILES: [&str; 8] = [
    "# head\nendpoints:\n  # of a\n  - name: a   # 一\n    url: https://a.example\n    auth_type: passthrough\n\n  - name: b\n    \
     url: 'https://b.example'\n    auth_type: api_key\n    auth_value: \"k#1: x\" # key\n    enabled: false\n    # proxy: x\n  - \
     {name: c, url: 'https://c.example', auth_type: passthrough}\n  # - name: d\n\nlogging: {level: info} # 尾\n",
    "endpoints:\n- url: >-\n    https://a.example\n  name: a\n  auth_type: passthrough\n- priority: 7\n  name: b\n  url:\n    \
     https://b.example\n  auth_type: passthrough\n-\n  \"name\": c\n  'url': https://c.example # c\n  auth_type: passthrough",
    "server: {port: 9000}\r\nendpoints:\r\n- name: a\r\n  url: https://a.example\r\n  auth_type: passthrough\r\n\r\n- name: b\r\n  \
     auth_type: passthrough\r\n  url: https://b.example\r\n\r\n- name: c\r\n  url: https://c.example\r\n  auth_type: passthrough\r\n",
    "endpoints: [{name: a, url: 'https://a.example', auth_type: passthrough}, {name: b, url: \"https://b.example\", auth_type: \
     passthrough, http: 2}, {name: c, url: 'https://c.example', auth_type: passthrough},] # all",
    "endpoints: [\n  # first\n  {\n    name: a, # a\n    url: 'https://a.example',\n    auth_type: passthrough\n  }, # z\n  {name: \
     b, url: 'https://b.example', auth_type: passthrough, priority: 2},\n  { name: c, url: 'https://c.example', auth_type: \
     passthrough } # c\n]\ntimeouts: {connect: 1s}\n",
    "\u{feff}{\"endpoints\":[{\"name\":\"a\",\"url\":\"https://a.example\",\"auth_type\":\"passthrough\"},\n{\"name\":\"b\",\
     \"url\":\"https://b.example\",\"auth_type\":\"auth_token\",\"auth_value\":\"k\\\"1\"},{\"name\":\"c\",\"url\":\
     \"https://c.example\",\"auth_type\":\"passthrough\"}],\n\"logging\":{\"level\":\"info\"}}\n",
    "endpoints: # all\n  - name: a\n    url: >- # where\n      https://a.example\n    auth_type: auth_token\n    auth_value: |- # key\n      \
     hunter1\n    # of a\n  - # second\n    name:   # its name\n      b\n    url: https://b.example\n    auth_type: passthrough\n  - \
     auth_type: api_key\n    auth_value: \"hunter2\\\n      hunter3\" # both\n    name: c\n    url: https://c.example\n",
    "endpoints:\n  - &first\n    name: a\n    url: https://a.example\n    auth_type: !!str passthrough\n    path_prefix: &prefix /x\n  - \
     name: b\n    url: https://b.example\n    auth_type: passthrough\n    path_prefix: *prefix\n  - {name: c, url: \"https://c.example\", \
     auth_type: passthrough}\n",
];

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]?hunter[ -~]{0,10}[!-~]".prop_map(|key| key.replace('$', "$$")), Just("${HOME}".to_owned())]
}

fn wanted() -> impl Strategy<Value = EndpointChange> {
    let name = proptest::option::of("[a-zß主#:'\"{},*&-][ -~主]{0,6}[!-~]");
    let keyed = proptest::option::of((prop_oneof![Just("api_key"), Just("auth_token")], key()));
    let numbers = (proptest::option::of(any::<bool>()), proptest::option::of(-3_i64..5));
    let more = (
        proptest::option::of(proptest::option::of(prop_oneof![Just("1.1"), Just("2"), Just("auto")])),
        proptest::option::of(proptest::option::of("/[a-z]{1,3}")),
        proptest::option::of(proptest::option::of("http://[a-z]{1,3}:80")),
    );
    (name, keyed, numbers, more).prop_map(|(name, keyed, (enabled, priority), (http, path_prefix, proxy))| {
        EndpointChange {
            name,
            url: None,
            auth_type: keyed.as_ref().map(|(word, _)| (*word).to_owned()),
            auth_value: keyed.map(|(_, key)| Some(key)),
            enabled,
            priority,
            http: http.map(|http| http.map(str::to_owned)),
            path_prefix,
            proxy,
            ..change()
        }
    })
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")].prop_map(str::to_owned);
    let added = wanted().prop_map(|wanted| EndpointChange {
        name: Some(wanted.name.clone().unwrap_or_else(|| "k".into())),
        url: Some("https://k.example".into()),
        auth_type: Some(wanted.auth_type.clone().unwrap_or_else(|| "passthrough".into())),
        ..wanted
    });
    prop_oneof![
        4 => (name(), wanted()).prop_map(|(name, change)| Edit::Change { name, change }),
        2 => added.prop_map(Edit::Add),
        2 => name().prop_map(|name| Edit::Remove { name }),
        1 => Just(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]).prop_shuffle().prop_map(|names| Edit::Order { names }),
    ]
}

/// What the text says, with what the edit makes of it.
fn meant(text: &str, edit: &Edit) -> Option<Node> {
    let root = tree::parse(text.trim_start_matches('\u{feff}')).ok()?;
    let around = Around { folder: Path::new("/nowhere"), env: &process_environment };
    let (steps, _) = steps::of(&root, edit, around).ok()?;
    Some(steps.iter().fold(root, |root, step| step.on_tree(&root)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_edit_says_what_was_meant_and_touches_nothing_else(file in 0..FILES.len(), edit in edit()) {
        let text = FILES[file];
        let meant = meant(text, &edit);
        let done = work_out(Path::new("/nowhere/config.yaml"), text, &edit, Unset::Accepted);
        match done {
            Ok(Prepared { text: new, diff, .. }) => {
                prop_assert!(!diff.contains("hunter"), "{}", diff);
                let read = tree::parse(new.trim_start_matches('\u{feff}')).map_err(|error| error.said).unwrap();
                prop_assert!(steps::same(&read, &meant.unwrap()), "{}", new);
                prop_assert_eq!(text.starts_with('\u{feff}'), new.starts_with('\u{feff}'));
                prop_assert_eq!(text.matches("\r\n").count() > 0, new.matches("\r\n").count() > 0);
                prop_assert_eq!(new.matches('\n').count() == new.matches("\r\n").count(), text.matches('\n').count() == text.matches("\r\n").count());
                if !matches!(edit, Edit::Remove { .. }) {
                    // No line is lost but those that hold a value that changed, and each comment is still there.
                    prop_assert!(text.matches(" # ").count() <= new.matches(" # ").count() + usize::from(text.contains("# key")), "{}", new);
                }
            }
            Err(refused @ (EditError::Exists(_) | EditError::Invalid { .. })) => {
                prop_assert!(!format!("{refused:?}").contains("hunter"), "{:?}", refused);
            }
            // What another endpoint refers to cannot go or change under it.
            Err(EditError::ByHand { .. }) if text.contains('*') => {}
            Err(other) => prop_assert!(false, "{:?}\n{}\n{:?}", edit, text, other),
        }
    }

    #[test]
    fn edits_one_after_the_other_keep_the_file_usable(file in 0..FILES.len(), edits in proptest::collection::vec(edit(), 1..5)) {
        let mut text = FILES[file].to_owned();
        for edit in edits {
            match edited(&text, &edit) {
                Ok(new) => text = new,
                Err(EditError::NotFound(_) | EditError::Exists(_) | EditError::Invalid { .. }) => {}
                Err(EditError::ByHand { .. }) if text.contains('*') => {}
                Err(other) => prop_assert!(false, "{:?}\n{}\n{:?}", edit, text, other),
            }
        }
    }
}

#[test]
fn off_and_on_again_is_a_circle() {
    for text in FILES {
        for name in ["a", "b", "c"] {
            let off = edited(text, &enabled(name, false)).unwrap();
            let on = edited(&off, &enabled(name, true)).unwrap();
            assert_eq!(edited(&on, &enabled(name, false)).unwrap(), off);
            assert_eq!(edited(&on, &enabled(name, true)).unwrap(), on);
            let (gone, came) = changed(text, &off);
            assert!(gone.len() <= 1 && came.len() <= 2, "{gone:?} {came:?}");
        }
    }
}

#[test]
fn what_was_added_goes_without_a_trace() {
    for text in FILES {
        let added = edited(text, &Edit::Add(endpoint("k"))).unwrap();
        assert_eq!(edited(&added, &remove("k")).unwrap(), text);
    }
}
