mod disk;
mod properties;
mod styles;

use super::*;

/// A change without anything in it.
fn change() -> EndpointChange {
    EndpointChange::default()
}

fn endpoint(name: &str) -> EndpointChange {
    EndpointChange {
        name: Some(name.into()),
        url: Some(format!("https://{name}.example")),
        auth_type: Some("auth_token".into()),
        auth_value: Some(Some("${HOME}".into())),
        ..change()
    }
}

fn set(name: &str, change: EndpointChange) -> Edit {
    Edit::Change { name: name.into(), change }
}

fn enabled(name: &str, enabled: bool) -> Edit {
    set(name, EndpointChange { enabled: Some(enabled), ..change() })
}

fn remove(name: &str) -> Edit {
    Edit::Remove { name: name.into() }
}

/// The text after an edit, which must be usable.
fn edited(text: &str, edit: &Edit) -> Result<String, EditError> {
    work_out(Path::new("/nowhere/config.yaml"), text, edit, Unset::Accepted).map(|prepared| prepared.text)
}

/// Lines of `old` that `new` has not, and lines of `new` that `old` has not, in order.
fn changed(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
    let diff = diff::raw(old, new);
    let only = |mark: char| diff.iter().filter(|(found, _)| *found == mark).map(|(_, line)| line.clone()).collect();
    (only('-'), only('+'))
}
