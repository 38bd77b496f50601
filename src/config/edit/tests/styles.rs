//! Every odd way of writing the file keeps what it has.

use super::*;

/// Keys in lines, comments everywhere, an endpoint commented out at the end.
const LINES: &str = "\
# yaml-language-server: $schema=./config.schema.json
server: { port: 8080 }   # 端口

# 小的优先
endpoints:
  # the main one
  - name: primary            # 主要
    url: https://a.example
    auth_type: api_key
    auth_value: ${HOME}      # not here
    enabled: true            # for now
    # proxy: http://127.0.0.1:3128

  # the mirror
  - name: 'mirror 1'
    url: \"https://b.example\"
    auth_type: passthrough
  # - name: backup
  #   url: https://c.example

logging: { level: info }
";

#[test]
fn a_value_changes_in_its_place() {
    let new = edited(LINES, &enabled("primary", false)).unwrap();
    assert_eq!(new, LINES.replace("enabled: true            # for now", "enabled: false            # for now"));
    let wanted = EndpointChange {
        url: Some("https://c.example".into()),
        auth_value: Some(Some("file:/dev/null".into())),
        ..change()
    };
    let Err(EditError::Invalid { field, message, .. }) = edited(LINES, &set("primary", wanted)) else { panic!() };
    assert_eq!(field.as_deref(), Some("auth_value"), "{message}");
    let renamed = edited(LINES, &set("mirror 1", EndpointChange { name: Some("it's".into()), ..change() })).unwrap();
    assert_eq!(renamed, LINES.replace("'mirror 1'", "'it''s'"));
}

#[test]
fn a_value_of_several_lines_leaves_its_comment() {
    let wanted = || set("a", EndpointChange { url: Some("https://k.example".into()), ..change() });
    for (url, new) in [
        (">- # where\n    https://a.example", "https://k.example # where"),
        ("|-  # where\n    https://a.example\n\n", "https://k.example  # where\n\n"),
        ("\n    https://a.example # where", "\n    https://k.example # where"),
        (" # one\n    # two\n    'https://a.example' # three", " # one\n    # two\n    'https://k.example' # three"),
        ("\"https://a\\\n    .example\" # where", "\"https://k.example\" # where"),
    ] {
        let text = |url: &str| ONE.replace("https://a.example", url);
        let old = text(url);
        let edited = edited(&old, &wanted()).unwrap_or_else(|error| panic!("{old}\n{error}"));
        assert_eq!(edited, text(new));
    }
    let named = "endpoints:\n- url: https://a.example\n  name: a\n   b  # name\n  auth_type: passthrough\n";
    let renamed = edited(named, &set("a b", EndpointChange { name: Some("c".into()), ..change() })).unwrap();
    assert_eq!(renamed, named.replace("a\n   b", "c"));
}

#[test]
fn a_new_key_comes_where_it_usually_stands() {
    let new = edited(LINES, &enabled("mirror 1", false)).unwrap();
    assert_eq!(new, LINES.replace("passthrough\n", "passthrough\n    enabled: false\n"));
    let wanted = EndpointChange { priority: Some(3), path_prefix: Some(Some(String::new())), ..change() };
    let new = edited(LINES, &set("primary", wanted)).unwrap();
    let expected = LINES
        .replace("a.example\n", "a.example\n    path_prefix: \"\"\n")
        .replace("# for now\n", "# for now\n    priority: 3\n");
    assert_eq!(new, expected);
}

#[test]
fn what_is_so_already_changes_nothing() {
    for wanted in [
        EndpointChange { enabled: Some(true), ..change() },
        EndpointChange { priority: Some(1), ..change() },
        EndpointChange { path_prefix: Some(Some("/v1/".into())), http: Some(Some("1.1".into())), ..change() },
        EndpointChange { url: Some("https://b.example".into()), proxy: Some(None), ..change() },
        EndpointChange { auth_type: Some("passthrough".into()), ..change() },
    ] {
        assert_eq!(edited(LINES, &set("mirror 1", wanted.clone())).unwrap(), LINES, "{wanted:?}");
    }
}

#[test]
fn what_was_shown_and_comes_back_keeps_its_references() {
    let text = "endpoints:\n- name: a\n  url: https://${NO_HOST:-a.example}/x/\n  auth_type: passthrough\n  \
                proxy: http://me:${NO_WORD:-hunter2}@proxy.example\n  http: 1.1\n";
    let shown = EndpointChange {
        url: Some("https://a.example/x".into()),
        proxy: Some(Some("http://proxy.example".into())),
        http: Some(Some("1.1".into())),
        ..change()
    };
    assert_eq!(edited(text, &set("a", shown)).unwrap(), text);
    let other = EndpointChange { proxy: Some(Some("http://other.example".into())), ..change() };
    assert!(edited(text, &set("a", other)).unwrap().contains("  proxy: http://other.example\n"));
}

#[test]
fn passthrough_keeps_a_key_that_is_not_named_and_there_and_back_loses_nothing() {
    let as_type = |word: &str| EndpointChange { auth_type: Some(word.into()), ..change() };
    let passing = edited(LINES, &set("primary", as_type("passthrough"))).unwrap();
    assert_eq!(passing, LINES.replacen("api_key", "passthrough", 1));
    assert_eq!(edited(&passing, &set("primary", as_type("api_key"))).unwrap(), LINES);
    let without = EndpointChange { auth_value: Some(None), ..as_type("passthrough") };
    let expected = passing.replace("    auth_value: ${HOME}      # not here\n", "");
    assert_eq!(edited(LINES, &set("primary", without)).unwrap(), expected);
    let both =
        EndpointChange { auth_type: Some("passthrough".into()), auth_value: Some(Some("hunter2".into())), ..change() };
    let Err(EditError::Invalid { field, message, .. }) = edited(LINES, &set("primary", both)) else { panic!() };
    assert!(field.as_deref() == Some("auth_value") && !message.contains("hunter2"), "{message}");
}

#[test]
fn an_endpoint_is_added_behind_the_last_one() {
    let new = edited(LINES, &Edit::Add(EndpointChange { priority: Some(2), ..endpoint("kimi") })).unwrap();
    let added = "    auth_type: passthrough\n\n  - name: kimi\n    url: https://kimi.example\n    auth_type: auth_token\n    \
                 auth_value: ${HOME}\n    priority: 2\n  # - name: backup\n";
    assert_eq!(new, LINES.replace("    auth_type: passthrough\n  # - name: backup\n", added));
}

#[test]
fn an_endpoint_goes_with_its_own_comments_and_no_others() {
    let without = |from: &str, to: &str| {
        let (start, end) = (LINES.find(from).unwrap(), LINES.find(to).unwrap());
        [&LINES[..start], &LINES[end..]].concat()
    };
    assert_eq!(edited(LINES, &remove("primary")).unwrap(), without("  # the main one", "  # the mirror"));
    assert_eq!(edited(LINES, &remove("mirror 1")).unwrap(), without("  # the mirror", "  # - name: backup"));
    let two = "endpoints:\n  # smaller first\n  - { name: a, url: 'https://a.example', auth_type: passthrough }\n  \
               - { name: b, url: 'https://b.example', auth_type: passthrough }\n";
    assert!(edited(two, &remove("a")).unwrap().starts_with("endpoints:\n  # smaller first\n  - { name: b"));
    assert!(edited(two, &remove("b")).unwrap().ends_with("passthrough }\n"));
}

#[test]
fn a_commented_endpoint_above_stays() {
    let text = "endpoints:\n- name: a\n  url: https://a.example\n  auth_type: passthrough\n# - name: old\n#   url: x\n\
                - name: b\n  url: https://b.example\n  auth_type: passthrough";
    assert_eq!(edited(text, &remove("b")).unwrap(), text[..text.find("\n- name: b").unwrap()]);
    let deeper = format!("{text}\n  # proxy: x\n  # - name: c\n  #   url: x\n");
    let kept = format!("{}\n  # - name: c\n  #   url: x\n", &text[..text.find("\n- name: b").unwrap()]);
    assert_eq!(edited(&deeper, &remove("b")).unwrap(), kept);
    assert_eq!(edited(text, &remove("a")).unwrap(), text.replacen(&text[11..text.find("# -").unwrap()], "", 1));
}

#[test]
fn the_last_endpoint_stays() {
    let Err(EditError::Invalid { message, hint, .. }) = edited(ONE, &remove("a")) else { panic!() };
    assert!(message.contains("only endpoint") && hint.unwrap().contains("disable"), "{message}");
}

const ONE: &str = "endpoints:\n- name: a\n  url: https://a.example\n  auth_type: passthrough\n";

/// What an edit makes of a text, line by line: gone, new.
#[test]
fn odd_styles_survive() {
    let off = enabled("a", false);
    let add = Edit::Add(endpoint("k"));
    let added = ["name: k", "url: https://k.example", "auth_type: auth_token", "auth_value: ${HOME}"];
    let block = |indent: &str, end: &str| -> Vec<String> {
        let lead = |at| if at == 0 { "- " } else { "  " };
        added.iter().enumerate().map(|(at, line)| format!("{indent}{}{line}{end}", lead(at))).collect()
    };
    let flow = "{name: k, url: https://k.example, auth_type: auth_token, auth_value: \"${HOME}\"}";
    let json =
        "{\"name\": \"k\", \"url\": \"https://k.example\", \"auth_type\": \"auth_token\", \"auth_value\": \"${HOME}\"}";
    let crlf = ONE.replace('\n', "\r\n");
    let indented =
        "endpoints:\n    -   name: a # x\n        url: https://a.example\n        auth_type: passthrough\n\n\n";
    let dash_alone = "endpoints:\n  - # one\n    name: a\n    url: https://a.example\n    auth_type: passthrough\n";
    let folded = "endpoints:\n  - name: a\n    auth_type: passthrough\n    url: >-\n      https://a.example\n\nlogging: {level: info}\n";
    let plain = "endpoints:\n  - name: a\n    auth_type: passthrough\n    url:\n      https://a.example\n";
    let own_lines = "endpoints: [\n  {\n    name: a, # x\n    url: 'https://a.example',\n    auth_type: passthrough, # y\n  }, # z\n]\n";
    let object = "{\n  \"endpoints\": [\n    {\"name\": \"a\", \"url\": \"https://a.example\", \"auth_type\": \"passthrough\"}\n  ]\n}\n";
    let anchored = "endpoints: &all\n  - name: &n a\n    \"url\": https://a.example\n    'auth_type': passthrough\n    enabled: &e true\n";
    let ends = "---\nendpoints:\n- name: a\n  url: https://a.example\n  auth_type: passthrough\n...\n";
    for (text, edit, gone, came) in [
        (ONE, &off, vec![], vec!["  enabled: false".to_owned()]),
        (ONE, &add, vec![], block("", "")),
        (&crlf, &off, vec![], vec!["  enabled: false\r".to_owned()]),
        (&crlf, &add, vec![], block("", "\r")),
        (&format!("\u{feff}{crlf}"), &off, vec![], vec!["  enabled: false\r".to_owned()]),
        (ends, &add, vec![], block("", "")),
        (indented, &off, vec![], vec!["        enabled: false".to_owned()]),
        (
            indented,
            &add,
            vec![],
            vec![
                "    -   name: k".to_owned(),
                "        url: https://k.example".to_owned(),
                "        auth_type: auth_token".to_owned(),
                "        auth_value: ${HOME}".to_owned(),
            ],
        ),
        (dash_alone, &off, vec![], vec!["    enabled: false".to_owned()]),
        (dash_alone, &add, vec![], block("  ", "")),
        (folded, &off, vec![], vec!["    enabled: false".to_owned()]),
        (folded, &add, vec![], block("  ", "")),
        (plain, &add, vec![], block("  ", "")),
        (
            own_lines,
            &off,
            vec![],
            vec!["    enabled: false,".to_owned()],
        ),
        (own_lines, &add, vec![], vec![format!("  {},", flow.replace('{', "{ ").replace("${ ", "${").replace("}\"}", "}\" }"))]),
        (
            object,
            &off,
            vec!["    {\"name\": \"a\", \"url\": \"https://a.example\", \"auth_type\": \"passthrough\"}".to_owned()],
            vec![
                "    {\"name\": \"a\", \"url\": \"https://a.example\", \"auth_type\": \"passthrough\", \"enabled\": false}"
                    .to_owned(),
            ],
        ),
        (
            object,
            &add,
            vec!["    {\"name\": \"a\", \"url\": \"https://a.example\", \"auth_type\": \"passthrough\"}".to_owned()],
            vec![
                "    {\"name\": \"a\", \"url\": \"https://a.example\", \"auth_type\": \"passthrough\"},".to_owned(),
                format!("    {json}"),
            ],
        ),
        (anchored, &off, vec!["    enabled: &e true".to_owned()], vec!["    enabled: &e false".to_owned()]),
        (anchored, &add, vec![], block("  ", "")),
    ] {
        let new = edited(text, edit).unwrap_or_else(|error| panic!("{text}\n{edit:?}: {error}"));
        assert_eq!(changed(text, &new), (gone, came), "{text}");
    }
}

#[test]
fn one_line_of_brackets_is_edited_within() {
    let text = "endpoints: [{name: a, url: 'https://a.example', auth_type: passthrough}, {name: b, url: 'https://b.example', auth_type: passthrough}] # all\n";
    for (edit, expected) in [
        (enabled("a", false), text.replacen("passthrough}", "passthrough, enabled: false}", 1)),
        (remove("a"), text.replace("{name: a, url: 'https://a.example', auth_type: passthrough}, ", "")),
        (remove("b"), text.replace(", {name: b, url: 'https://b.example', auth_type: passthrough}", "")),
        (set("b", EndpointChange { priority: Some(-2), ..change() }), text.replace("}] #", ", priority: -2}] #")),
    ] {
        assert_eq!(edited(text, &edit).unwrap(), expected);
    }
}

#[test]
fn members_on_their_own_lines_leave_and_take_their_commas() {
    let member = |name: &str| format!("  {{ name: {name}, url: 'https://{name}.example', auth_type: passthrough }}");
    let list = |members: &[String]| format!("endpoints: [\n{}\n] # all\n", members.join("\n"));
    let both = list(&[member("a") + ", # 1", member("b") + " # 2"]);
    assert_eq!(edited(&both, &remove("b")).unwrap(), list(&[member("a") + " # 1"]));
    assert_eq!(edited(&both, &remove("a")).unwrap(), list(&[member("b") + " # 2"]));
    let off = edited(&both, &enabled("b", false)).unwrap();
    assert_eq!(
        edited(&off, &enabled("b", true)).unwrap(),
        both.replace("passthrough } # 2", "passthrough, enabled: true } # 2")
    );
    let keyed = "endpoints: [{\n  name: a,\n  url: 'https://a.example',\n  auth_type: passthrough,\n  http: auto\n}]\n";
    let wanted = set("a", EndpointChange { http: Some(None), priority: Some(4), ..change() });
    let expected = keyed.replace(",\n  http: auto", ",\n  priority: 4");
    assert_eq!(edited(keyed, &wanted).unwrap(), expected);
}

#[test]
fn an_empty_list_takes_its_first_endpoint() {
    let block = "  - name: k\n    url: https://k.example\n    auth_type: auth_token\n    auth_value: ${HOME}\n";
    let add = Edit::Add(endpoint("k"));
    for (text, expected) in [
        ("# none yet\n", format!("# none yet\nendpoints:\n{block}")),
        ("", format!("endpoints:\n{block}")),
        ("server: { port: 1 }", format!("server: {{ port: 1 }}\nendpoints:\n{block}")),
        (
            "endpoints:\n# - name: x\nlogging: {level: info}\n",
            format!("endpoints:\n{block}# - name: x\nlogging: {{level: info}}\n"),
        ),
        ("endpoints: [] # none\n", format!("endpoints: # none\n{block}")),
        ("endpoints: null\n", format!("endpoints:\n{block}")),
    ] {
        let new = edited(text, &add).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(new, expected);
    }
    assert!(edited("{ \"endpoints\": [] }", &add).unwrap().starts_with("{ \"endpoints\": [{ \"name\": \"k\""));
}

#[test]
fn a_new_order_changes_few_lines() {
    let text = "endpoints:\n- {name: a, url: 'https://a.example', auth_type: passthrough}\n\
                - {name: b, url: 'https://b.example', auth_type: passthrough, priority: 2}\n\
                - {name: c, url: 'https://c.example', auth_type: passthrough, priority: 2}\n";
    let order = |names: &[&str]| Edit::Order { names: names.iter().map(ToString::to_string).collect() };
    assert_eq!(edited(text, &order(&["a", "b", "c"])).unwrap(), text);
    let swapped = edited(text, &order(&["a", "c", "b"])).unwrap();
    assert_eq!(
        changed(text, &swapped).1,
        ["- {name: b, url: 'https://b.example', auth_type: passthrough, priority: 3}"]
    );
    let first = edited(text, &order(&["b", "c", "a"])).unwrap();
    assert_eq!(first, text.replacen("passthrough}", "passthrough, priority: 3}", 1));
    for wrong in [&["a", "b"][..], &["a", "b", "b"], &["a", "b", "c", "c"]] {
        assert!(matches!(edited(text, &order(wrong)), Err(EditError::Invalid { .. })), "{wrong:?}");
    }
    assert!(matches!(edited(text, &order(&["a", "b", "x"])), Err(EditError::NotFound(name)) if name == "x"));
}

#[test]
fn what_cannot_be_edited_is_told_with_the_lines_to_write() {
    // Both ports and the endpoint's priority are one value.
    let shared = "endpoints:\n- name: a\n  url: https://a.example\n  auth_type: passthrough\n  priority: &p 3\n\
                  - name: b\n  url: https://b.example\n  auth_type: api_key\n  auth_value: hunter2\n  priority: *p\n";
    let wanted = set("a", EndpointChange { priority: Some(4), ..change() });
    let Err(EditError::ByHand { snippet }) = edited(shared, &wanted) else { panic!() };
    assert_eq!(snippet, "# in the endpoint a:\n    priority: 4\n");
    let of_b = edited(shared, &set("b", EndpointChange { priority: Some(4), ..change() })).unwrap();
    assert_eq!(of_b, shared.replace("*p", "4"));
    let odd = "? endpoints\n: - {name: a, url: 'https://a.example', auth_type: passthrough}\n";
    let add = Edit::Add(EndpointChange { auth_value: Some(Some("sk-hunter2".into())), ..endpoint("k") });
    match edited(odd, &add) {
        Err(EditError::ByHand { snippet }) => assert!(snippet.contains("auth_value: ***"), "{snippet}"),
        other => assert!(other.is_ok_and(|new| new.starts_with(odd.trim_end()))),
    }
}

#[test]
fn a_wrong_value_is_told_by_its_field() {
    for (field, word, wanted) in [
        ("url", "https://", EndpointChange { url: Some("a.example".into()), ..change() }),
        ("url", "proxy itself", EndpointChange { url: Some("http://127.0.0.1:8080".into()), ..change() }),
        ("auth_type", "api_key", EndpointChange { auth_type: Some("key".into()), ..change() }),
        ("auth_value", "has no key", EndpointChange { auth_value: Some(Some("file:none".into())), ..change() }),
        ("auth_value", "printable", EndpointChange { auth_value: Some(Some("sk-…9999".into())), ..change() }),
        ("name", "short word", EndpointChange { name: Some(" x".into()), ..change() }),
        ("http", "auto", EndpointChange { http: Some(Some("3".into())), ..change() }),
        ("proxy", "proxy", EndpointChange { proxy: Some(Some("ftp://me:hunter2@p".into())), ..change() }),
        ("ca_file", "cannot be read", EndpointChange { ca_file: Some(Some("none.pem".into())), ..change() }),
        ("path_prefix", "path", EndpointChange { path_prefix: Some(Some("/v1?x".into())), ..change() }),
    ] {
        let Err(EditError::Invalid { field: found, message, .. }) = edited(LINES, &set("primary", wanted)) else {
            panic!("{field}")
        };
        assert_eq!(found.as_deref(), Some(field), "{message}");
        assert!(message.contains(word) && !message.contains("endpoints["), "{message}");
        assert!(!message.contains("hunter2") && !message.contains("9999"), "{message}");
    }
    assert!(matches!(edited(LINES, &Edit::Add(endpoint("primary"))), Err(EditError::Exists(_))));
    let taken = set("primary", EndpointChange { name: Some("mirror 1".into()), ..change() });
    assert!(matches!(edited(LINES, &taken), Err(EditError::Exists(_))));
    assert!(matches!(edited(LINES, &remove("x")), Err(EditError::NotFound(_))));
    let keyless = EndpointChange { auth_value: None, ..endpoint("k") };
    let Err(EditError::Invalid { field, .. }) = edited(LINES, &Edit::Add(keyless)) else { panic!() };
    assert_eq!(field.as_deref(), Some("auth_value"));
}

#[test]
fn a_variable_may_be_set_elsewhere_and_a_broken_file_is_left_alone() {
    let text = ONE.replace("passthrough", "api_key\n  auth_value: ${NOT_SET_HERE}");
    let path = Path::new("config.yaml");
    let done = work_out(path, &text, &enabled("a", false), Unset::Accepted).unwrap();
    assert_eq!(done.unset, ["NOT_SET_HERE"]);
    let Err(EditError::Broken(error)) = work_out(path, &text, &enabled("a", false), Unset::Refused) else { panic!() };
    assert!(error.message().contains("NOT_SET_HERE"));
    // What was wrong is no obstacle to taking it out.
    let two = format!("{text}- name: b\n  url: https://b.example\n  auth_type: passthrough\n");
    assert!(work_out(path, &two, &remove("a"), Unset::Refused).is_ok());
    for broken in ["endpoints: [", "endpoints:\n- name: a\n  uurl: x\n", "server: { port: x }\nendpoints: []\n"] {
        let Err(EditError::Broken(error)) = work_out(path, broken, &Edit::Add(endpoint("k")), Unset::Refused) else {
            panic!("{broken}")
        };
        assert!(error.findings[0].shown.is_some());
    }
}

#[test]
fn the_diff_shows_the_change_and_no_key() {
    let text = ONE.replace("passthrough", "api_key # old: hunter1\n  auth_value: sk-ant-hunter2");
    let wanted = EndpointChange { auth_value: Some(Some("sk-ant-hunter3".into())), priority: Some(2), ..change() };
    let done = work_out(Path::new("config.yaml"), &text, &set("a", wanted), Unset::Refused).unwrap();
    let expected = "--- config.yaml\n+++ config.yaml\n@@ -2,4 +2,5 @@\n - name: a\n   url: https://a.example\n   \
                    auth_type: api_key  # …\n-  auth_value: ***\n+  auth_value: ***\n+  priority: 2\n";
    assert_eq!(done.diff, expected);
}
