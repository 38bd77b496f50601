//! The file on the disk: old or new, never less, never somebody else's change lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

const TEXT: &str = "endpoints: # all\n- name: a\n  url: https://a.example\n  auth_type: passthrough\n";

fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    fs::write(&path, TEXT).unwrap();
    (folder, path)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_change_is_written_and_keeps_the_mode() {
    for mode in [0o600, 0o640, 0o666, 0o200 | 0o444] {
        let (folder, path) = place();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let done = apply(&path, &enabled("a", false), None).unwrap();
        let written = fs::read_to_string(&path).unwrap();
        assert_eq!(written, format!("{TEXT}  enabled: false\n"));
        assert_eq!((done.text.as_str(), done.revision), (written.as_str(), revision_of(written.as_bytes())));
        assert_eq!(done.config.content.to_string(), revision_of(written.as_bytes()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        assert_eq!(names(folder.path()), ["config.yaml"]);
    }
}

#[test]
fn a_file_that_was_made_read_only_stays_as_it_is() {
    let (folder, path) = place();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    let Err(EditError::Io(said)) = apply(&path, &enabled("a", false), None) else { panic!() };
    // Root may write anything; then only the mode tells.
    assert!(said.contains("read-only") || said.contains("Permission denied"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    assert_eq!(names(folder.path()), ["config.yaml"]);
    // Looking is free.
    assert!(prepare(&path, &enabled("a", false), None).is_ok());
}

#[test]
fn a_link_that_leads_nowhere_is_told() {
    let (folder, _) = place();
    let link = folder.path().join("link.yaml");
    std::os::unix::fs::symlink("gone.yaml", &link).unwrap();
    let Err(EditError::Io(said)) = create(&link, &endpoint("k")) else { panic!() };
    assert!(said.contains("link") && said.contains("gone.yaml"), "{said}");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && !folder.path().join("gone.yaml").exists());
}

#[test]
fn a_dry_run_and_a_refusal_write_nothing() {
    let (folder, path) = place();
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    assert!(prepare(&path, &enabled("a", false), None).unwrap().diff.contains("+  enabled: false"));
    assert!(apply(&path, &set("a", EndpointChange { url: Some("x".into()), ..change() }), None).is_err());
    assert_eq!(apply(&path, &enabled("a", true), None).unwrap().diff, "");
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    assert_eq!(names(folder.path()), ["config.yaml"]);
}

#[test]
fn another_revision_is_a_conflict() {
    let (_folder, path) = place();
    let revision = revision_of(TEXT.as_bytes());
    assert!(apply(&path, &enabled("a", false), Some(&revision)).is_ok());
    let late = apply(&path, &Edit::Add(endpoint("k")), Some(&revision));
    assert!(matches!(late, Err(EditError::Conflict)));
    assert!(matches!(prepare(&path, &enabled("a", true), Some(&revision)), Err(EditError::Conflict)));
    assert!(!fs::read_to_string(&path).unwrap().contains('k'));
}

#[test]
fn an_editor_that_saves_in_between_wins() {
    let (folder, path) = place();
    let held = store::hold(&path).unwrap();
    let theirs = TEXT.replace("# all", "# mine");
    fs::write(&path, &theirs).unwrap();
    assert!(matches!(held.replace(TEXT.as_bytes(), b"ours"), Err(EditError::Conflict)));
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    assert_eq!(names(folder.path()), ["config.yaml"]);
}

#[test]
fn a_link_is_followed_and_stays() {
    let (folder, path) = place();
    let link = folder.path().join("elsewhere");
    fs::create_dir(&link).unwrap();
    let link = link.join("link.yaml");
    std::os::unix::fs::symlink("../config.yaml", &link).unwrap();
    apply(&link, &enabled("a", false), None).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().ends_with("enabled: false\n"));
    assert_eq!(names(&folder.path().join("elsewhere")), ["link.yaml"]);
}

#[test]
fn what_a_killed_program_left_is_swept_away() {
    let (folder, path) = place();
    fs::write(folder.path().join(".config.yaml.0123456789abcdef.new"), "half").unwrap();
    fs::write(folder.path().join(".config.yaml.swp"), "an editor's").unwrap();
    apply(&path, &enabled("a", false), None).unwrap();
    assert_eq!(names(folder.path()), [".config.yaml.swp", "config.yaml"]);
}

#[test]
fn a_folder_that_takes_no_file_leaves_the_old_one() {
    let missing = apply(Path::new("/nowhere/config.yaml"), &enabled("a", false), None);
    assert!(matches!(missing, Err(EditError::Broken(error)) if error.message().contains("cannot be read")));
    let (folder, path) = place();
    // A name that a temporary file beside it cannot have.
    let long = folder.path().join(format!("{}.yaml", "x".repeat(245)));
    fs::rename(&path, &long).unwrap();
    let Err(EditError::Io(said)) = apply(&long, &enabled("a", false), None) else { panic!() };
    assert!(said.contains("cannot write"), "{said}");
    assert_eq!(fs::read_to_string(&long).unwrap(), TEXT);
}

/// A reader that looks all the time sees whole texts only, and of writers side by side none loses its change.
#[test]
fn changes_side_by_side_are_all_there() {
    let (folder, path) = place();
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let path = path.clone();
            std::thread::spawn(move || apply(&path, &Edit::Add(endpoint(&format!("k{number}"))), None).map(|_| ()))
        })
        .collect();
    while writers.iter().any(|writer| !writer.is_finished()) {
        let seen = fs::read_to_string(&path).unwrap();
        assert!(seen.starts_with(TEXT) && seen.ends_with('\n'), "{seen}");
        assert!(Config::from_text(&seen, Some(&path), &process_environment).is_ok(), "{seen}");
    }
    for writer in writers {
        writer.join().unwrap().unwrap();
    }
    let config = Config::load(Some(&path)).unwrap();
    assert_eq!(config.endpoints.len(), 9);
    assert_eq!(names(folder.path()), ["config.yaml"]);
}

#[test]
fn a_first_file_is_for_its_owner_and_never_in_the_place_of_another() {
    let (folder, path) = place();
    assert!(matches!(create(&path, &endpoint("k")), Err(EditError::Conflict)));
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
    let fresh = folder.path().join("sub/config.yaml");
    let wrong = EndpointChange { url: Some("x".into()), ..endpoint("k") };
    assert!(matches!(create(&fresh, &wrong), Err(EditError::Invalid { field: Some(field), .. }) if field == "url"));
    assert!(!fresh.parent().unwrap().exists());
    let done = create(&fresh, &endpoint("k")).unwrap();
    assert_eq!(fs::metadata(&fresh).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(&fresh).unwrap(), done.text);
    assert!(done.text.contains("  - name: k\n    url: https://k.example\n    auth_type: auth_token"), "{}", done.text);
    assert_eq!(names(fresh.parent().unwrap()), ["config.yaml"]);
    // And it is as open to change as any other.
    apply(&fresh, &Edit::Add(endpoint("l")), None).unwrap();
    assert_eq!(Config::load(Some(&fresh)).unwrap().endpoints.len(), 2);
}

#[test]
fn where_a_key_comes_from_is_told_and_never_the_key() {
    let text = "endpoints:\n- {name: a, auth_value: '${KEY}'}\n- {name: b, auth_value: hunter2}\n- {name: c}\n\
                - {name: d, auth_value: file:keys/d}\n- {name: e, auth_value: '${KEY:-hunter2}'}\n";
    let found = [("a", "${KEY}"), ("d", "file:keys/d")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(references(text), found);
}
