//! Roles of a table's columns, as users type them: `name=Title`, `meta.team=Team`.

use std::fmt;

/// Role of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Name,
    Folder(Folder),
    Value,
    User,
    Password,
    Notes,
    Totp,
    Url,
    /// Several addresses with commas between them.
    Urls,
    /// A JSON list of addresses: texts, or objects with a member `url`.
    JsonUrls,
    /// Lines of `LABEL: VALUE`.
    Fields,
    /// A JSON list of objects with the members `label` and `value`.
    JsonFields,
    Tags,
    Favourite,
    Archived,
    Created,
    Updated,
    Expires,
    Field(String),
    Meta(String),
    /// Metadata of this key, written as a word: a value with the same meaning in known tables.
    Known(&'static str),
    /// A number that becomes metadata of this key unless it is zero.
    Number(&'static str),
    /// A time that becomes metadata of this key.
    Moment(&'static str),
    /// A field of this label, in a known table.
    Label(&'static str),
    /// Skipped, as requested.
    Skip,
    LeftOut,
}

/// Notation of nested folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// With `/`.
    Slashes,
    /// With `\`.
    Backslashes,
    /// With `/`, where the first part is the database itself.
    BelowRoot,
}

/// Returns a folder as part of a name.
pub(super) fn folder(form: Folder, text: &str) -> String {
    match form {
        Folder::Slashes => text.to_owned(),
        Folder::Backslashes => text.replace('\\', "/"),
        Folder::BelowRoot => text.split_once('/').map_or(String::new(), |(_, rest)| rest.into()),
    }
}

/// Roles that users can name, beside `field.LABEL` and `meta.KEY`.
const NAMED: [(&str, Role); 14] = [
    ("name", Role::Name),
    ("folder", Role::Folder(Folder::Slashes)),
    ("value", Role::Value),
    ("user", Role::User),
    ("password", Role::Password),
    ("notes", Role::Notes),
    ("totp", Role::Totp),
    ("url", Role::Url),
    ("tags", Role::Tags),
    ("favourite", Role::Favourite),
    ("created", Role::Created),
    ("updated", Role::Updated),
    ("expires", Role::Expires),
    ("skip", Role::Skip),
];

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(label) => write!(f, "field.{label}"),
            Self::Meta(key) => write!(f, "meta.{key}"),
            Self::Folder(_) => f.write_str("folder"),
            Self::Urls | Self::JsonUrls => f.write_str("url"),
            Self::Fields | Self::JsonFields => f.write_str("fields"),
            Self::Known(key) | Self::Number(key) | Self::Moment(key) => f.write_str(key),
            Self::Label(label) => write!(f, "field.{label}"),
            Self::Archived => f.write_str("state"),
            Self::LeftOut => f.write_str("left out"),
            plain => {
                let found = NAMED.iter().find(|(_, role)| role == plain);
                f.write_str(found.map_or("", |(name, _)| name))
            }
        }
    }
}

/// Role of a column, from `ROLE=HEADER`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    role: Role,
    header: String,
}

/// Error of a text that is not a valid column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadColumn(String);

impl Column {
    /// Returns the column that `ROLE=HEADER` names. A role is `name`, `folder`, `value`, `user`,
    /// `password`, `notes`, `totp`, `url`, `tags`, `favourite`, `created`, `updated`, `expires`,
    /// `skip` (skipped), `field.LABEL` (secret) or `meta.KEY` (not secret).
    ///
    /// # Errors
    /// The text is none of these.
    pub fn parse(text: &str) -> Result<Self, BadColumn> {
        let Some((role, header)) = text.split_once('=') else {
            return Err(BadColumn(format!("`{text}` is not ROLE=HEADER, like `name=Title`")));
        };
        let role = match role.split_once('.') {
            Some(("field", label)) if !label.is_empty() => Role::Field(label.to_owned()),
            Some(("meta", key)) if !key.is_empty() => Role::Meta(key.to_owned()),
            _ => match NAMED.iter().find(|(name, _)| *name == role) {
                Some((_, role)) => role.clone(),
                None => {
                    let known: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
                    return Err(BadColumn(format!(
                        "a column is no `{role}`, but one of {}, field.LABEL, meta.KEY",
                        known.join(", ")
                    )));
                }
            },
        };
        Ok(Self { role, header: header.trim().to_owned() })
    }
}

/// Returns the role of each column of a table.
///
/// # Errors
/// The reason why these columns and this header row do not match. Repeats only the caller's own
/// words: a table without a header row has secrets there.
pub(super) fn roles(columns: &[Column], headers: &[String]) -> Result<Vec<Role>, String> {
    let mut roles = vec![Role::LeftOut; headers.len()];
    let mut seen: Vec<&Role> = Vec::new();
    for Column { role, header } in columns {
        if *role != Role::Skip && seen.contains(&role) {
            return Err(format!("`{role}` was given two columns"));
        }
        seen.push(role);
        let places = |same: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..headers.len()).filter(|&at| same(&headers[at])).collect()
        };
        let mut found = places(&|one| one == header);
        if found.is_empty() {
            found = places(&|one| one.to_lowercase() == header.to_lowercase());
        }
        let at = match found.as_slice() {
            [at] => *at,
            [] => return Err(format!("its first row has no column `{header}`")),
            _ => return Err(format!("its first row has the column `{header}` twice")),
        };
        if roles[at] != Role::LeftOut {
            return Err(format!("the column `{header}` was named twice"));
        }
        roles[at] = role.clone();
    }
    if !seen.contains(&&Role::Name) {
        return Err("no column was named to be the secrets' name: `name=HEADER`".into());
    }
    let secret = |role: &&Role| {
        matches!(role, Role::Value | Role::Password | Role::Notes | Role::Totp | Role::Field(_))
    };
    if !seen.iter().any(secret) {
        let why = "no column was named to be the secret: `value=HEADER` or `password=HEADER`";
        return Err(why.into());
    }
    Ok(roles)
}
