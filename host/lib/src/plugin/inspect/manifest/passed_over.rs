//! The members of a manifest that this host skips: those of a later plugin API, and misspelt ones.

use super::MAX_LIST;
use super::member::Member;

const WHOLE: &[&str] = &[
    "schema",
    "id",
    "version",
    "api",
    "description",
    "vendor",
    "license",
    "homepage",
    "kinds",
    "permissions",
];
const KIND: &[&str] =
    &["name", "description", "names", "capabilities", "values", "parameters", "permissions"];
const PARAMETER: &[&str] =
    &["name", "kind", "description", "required", "secret", "login", "default"];
const PERMISSION: &[&str] = &["permission", "optional", "why"];

/// Returns the paths of the first skipped members. The manifest has been checked.
pub(super) fn in_whole(whole: &Member<'_>) -> Vec<String> {
    let mut found: Vec<_> = whole.others(WHOLE).collect();
    for kind in entries(whole, "kinds") {
        found.extend(kind.others(KIND));
        for parameter in entries(&kind, "parameters") {
            found.extend(parameter.others(PARAMETER));
        }
        permissions(&kind, &mut found);
    }
    permissions(whole, &mut found);
    found.truncate(MAX_LIST);
    found
}

fn entries<'json>(of: &Member<'json>, name: &str) -> Vec<Member<'json>> {
    of.member(name).and_then(|list| list.list(MAX_LIST)).unwrap_or_default()
}

fn permissions(of: &Member<'_>, found: &mut Vec<String>) {
    for entry in entries(of, "permissions") {
        // An object without a permission is unknown as a whole.
        if entry.member("permission").is_ok_and(|permission| permission.is_text()) {
            found.extend(entry.others(PERMISSION));
        }
    }
}
