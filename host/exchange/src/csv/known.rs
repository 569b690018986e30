//! The header rows of well-known exports.

use super::column::{Folder, Role};

/// A program, the headers that every version of its export has, and what its columns are; a
/// header that is not listed is left out.
struct Known {
    program: &'static str,
    always: &'static [&'static str],
    columns: &'static [(&'static str, Role)],
}

/// The more particular first: the headers of Chrome are among those of others.
const KNOWN: [Known; 7] = [
    Known {
        program: "Bitwarden",
        always: &["name", "notes", "fields", "login_uri", "login_username", "login_password"],
        columns: &[
            ("folder", Role::Folder(Folder::Slashes)),
            ("collections", Role::Folder(Folder::Slashes)),
            ("favorite", Role::Favourite),
            ("name", Role::Name),
            ("login_username", Role::User),
            ("login_password", Role::Password),
            ("login_totp", Role::Totp),
            ("login_uri", Role::Urls),
            ("notes", Role::Notes),
            ("fields", Role::Fields),
        ],
    },
    Known {
        program: "LastPass",
        always: &["url", "username", "password", "extra", "name", "grouping"],
        columns: &[
            ("name", Role::Name),
            ("grouping", Role::Folder(Folder::Backslashes)),
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("totp", Role::Totp),
            ("extra", Role::Notes),
            ("fav", Role::Favourite),
        ],
    },
    Known {
        program: "KeePassXC",
        always: &["group", "title", "username", "password", "url", "notes"],
        columns: &[
            ("group", Role::Folder(Folder::BelowRoot)),
            ("title", Role::Name),
            ("username", Role::User),
            ("password", Role::Password),
            ("totp", Role::Totp),
            ("url", Role::Url),
            ("notes", Role::Notes),
            ("last modified", Role::Updated),
            ("created", Role::Created),
        ],
    },
    Known {
        program: "Firefox",
        always: &["url", "username", "password", "httprealm", "formactionorigin", "guid"],
        columns: &[
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("timecreated", Role::Created),
            ("timepasswordchanged", Role::Updated),
        ],
    },
    Known {
        program: "1Password",
        always: &["title", "url", "username", "password", "otpauth", "favorite", "archived"],
        columns: &[
            ("title", Role::Name),
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("otpauth", Role::Totp),
            ("favorite", Role::Favourite),
            ("archived", Role::Archived),
            ("tags", Role::Tags),
            ("notes", Role::Notes),
        ],
    },
    Known {
        program: "Safari",
        always: &["title", "url", "username", "password", "otpauth"],
        columns: &[
            ("title", Role::Name),
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("notes", Role::Notes),
            ("otpauth", Role::Totp),
        ],
    },
    Known {
        program: "Chrome or Edge",
        always: &["name", "url", "username", "password"],
        columns: &[
            ("name", Role::Name),
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("note", Role::Notes),
        ],
    },
];

/// Returns the program that writes this header row, and what each column is.
pub(super) fn program(headers: &[String]) -> Option<(&'static str, Vec<Role>)> {
    let headers: Vec<String> = headers.iter().map(|header| header.to_lowercase()).collect();
    let once = |header: &str| headers.iter().filter(|found| *found == header).count() == 1;
    let known = KNOWN.iter().find(|known| known.always.iter().all(|always| once(always)))?;
    let mut roles: Vec<Role> = Vec::new();
    for header in &headers {
        let role = known.columns.iter().find(|(name, _)| name == header);
        let role = role.map_or(Role::LeftOut, |(_, role)| role.clone());
        // One that stands twice is used once.
        roles.push(if roles.contains(&role) { Role::LeftOut } else { role });
    }
    Some((known.program, roles))
}
