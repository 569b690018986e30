//! The header rows of well-known exports. docs/reference/import-formats.md names each sample.

use super::column::{Folder, Role};
use super::record::Quoting;

/// A program, the headers in every version of its export, and the roles of its columns. A table
/// with another header is not an export of this program.
pub(super) struct Known {
    pub(super) program: &'static str,
    always: &'static [&'static str],
    columns: &'static [(&'static str, Role)],
    /// Notation of quotes if the header row is in quotes.
    pub(super) quoting: Quoting,
    /// Whether some versions write `&amp;` for `&`.
    pub(super) may_have_entities: bool,
}

const PLAIN: Known = Known {
    program: "",
    always: &[],
    columns: &[],
    quoting: Quoting::Doubled,
    may_have_entities: false,
};

static KNOWN: [Known; 14] = [
    Known {
        program: "Bitwarden",
        always: &["name", "notes", "fields", "login_uri", "login_username", "login_password"],
        columns: &[
            ("folder", Role::Folder(Folder::Slashes)),
            ("collections", Role::Folder(Folder::Slashes)),
            ("favorite", Role::Favourite),
            ("type", Role::Known("category")),
            ("name", Role::Name),
            ("login_username", Role::User),
            ("login_password", Role::Password),
            ("login_totp", Role::Totp),
            ("login_uri", Role::Urls),
            ("notes", Role::Notes),
            ("fields", Role::Fields),
            ("reprompt", Role::Number("reprompt")),
        ],
        ..PLAIN
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
        may_have_entities: true,
        ..PLAIN
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
            ("icon", Role::Number("icon")),
            ("last modified", Role::Updated),
            ("created", Role::Created),
        ],
        ..PLAIN
    },
    Known {
        program: "KeePass 1",
        always: &["account", "login name", "password", "web site", "comments"],
        columns: &[
            ("account", Role::Name),
            ("login name", Role::User),
            ("password", Role::Password),
            ("web site", Role::Url),
            ("comments", Role::Notes),
        ],
        quoting: Quoting::Backslashes,
        ..PLAIN
    },
    Known {
        program: "Firefox",
        always: &["url", "username", "password", "httprealm", "formactionorigin", "guid"],
        columns: &[
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("httprealm", Role::Known("http-realm")),
            ("formactionorigin", Role::Known("form-origin")),
            ("guid", Role::Known("guid")),
            ("timecreated", Role::Created),
            ("timelastused", Role::Moment("last-used")),
            ("timepasswordchanged", Role::Updated),
        ],
        ..PLAIN
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
        ..PLAIN
    },
    Known {
        program: "Safari or Apple Passwords",
        always: &["title", "url", "username", "password", "otpauth"],
        columns: &[
            ("title", Role::Name),
            ("url", Role::Url),
            ("username", Role::User),
            ("password", Role::Password),
            ("notes", Role::Notes),
            ("otpauth", Role::Totp),
        ],
        ..PLAIN
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
        ..PLAIN
    },
    Known {
        program: "Proton Pass",
        always: &["type", "name", "url", "username", "password", "note", "totp", "vault"],
        columns: &[
            ("type", Role::Known("category")),
            ("name", Role::Name),
            ("url", Role::Urls),
            ("autofillurls", Role::JsonUrls),
            ("email", Role::Label("email")),
            ("username", Role::User),
            ("password", Role::Password),
            ("note", Role::Notes),
            ("totp", Role::Totp),
            ("createtime", Role::Created),
            ("modifytime", Role::Updated),
            ("vault", Role::Folder(Folder::Slashes)),
        ],
        ..PLAIN
    },
    Known {
        program: "NordPass",
        always: &["name", "url", "username", "password", "note", "cardnumber", "cvc", "folder"],
        columns: &[
            ("name", Role::Name),
            ("url", Role::Url),
            ("additional_urls", Role::JsonUrls),
            ("username", Role::User),
            ("password", Role::Password),
            ("note", Role::Notes),
            ("cardholdername", Role::Label("cardholder")),
            ("cardnumber", Role::Label("number")),
            ("cvc", Role::Label("code")),
            ("pin", Role::Label("pin")),
            ("expirydate", Role::Label("expires")),
            ("zipcode", Role::Label("postal-code")),
            ("folder", Role::Folder(Folder::Slashes)),
            ("full_name", Role::Label("full-name")),
            ("phone_number", Role::Label("phone")),
            ("email", Role::Label("email")),
            ("address1", Role::Label("address")),
            ("address2", Role::Label("address-2")),
            ("city", Role::Label("city")),
            ("country", Role::Label("country")),
            ("state", Role::Label("state")),
            ("type", Role::Known("category")),
            ("custom_fields", Role::JsonFields),
        ],
        ..PLAIN
    },
    Known {
        program: "Dashlane (logins)",
        always: &["username", "username2", "username3", "title", "password", "note", "url"],
        columns: &[
            ("username", Role::User),
            ("username2", Role::Label("user-2")),
            ("username3", Role::Label("user-3")),
            ("title", Role::Name),
            ("password", Role::Password),
            ("note", Role::Notes),
            ("url", Role::Url),
            ("category", Role::Folder(Folder::Slashes)),
            ("otpsecret", Role::Totp),
            ("otpurl", Role::Totp),
        ],
        ..PLAIN
    },
    Known {
        program: "Dashlane (payments)",
        always: &["type", "account_name", "account_holder", "cc_number", "code", "account_number"],
        columns: &[
            ("type", Role::Known("category")),
            ("account_name", Role::Name),
            ("account_holder", Role::Label("cardholder")),
            ("name", Role::Label("name")),
            ("cc_number", Role::Label("number")),
            ("code", Role::Label("code")),
            ("expiration_month", Role::Label("expires-month")),
            ("expiration_year", Role::Label("expires-year")),
            ("routing_number", Role::Label("routing-number")),
            ("account_number", Role::Label("account-number")),
            ("country", Role::Label("country")),
            ("issuing_bank", Role::Label("bank")),
            ("note", Role::Notes),
        ],
        ..PLAIN
    },
    Known {
        program: "Dashlane (IDs)",
        always: &["type", "number", "name", "issue_date", "expiration_date", "place_of_issue"],
        columns: &[
            ("type", Role::Known("category")),
            ("number", Role::Label("number")),
            ("name", Role::Name),
            ("issue_date", Role::Label("issued")),
            ("expiration_date", Role::Label("expires")),
            ("place_of_issue", Role::Label("place-of-issue")),
            ("state", Role::Label("state")),
        ],
        ..PLAIN
    },
    Known {
        program: "Dashlane (notes)",
        always: &["title", "note"],
        columns: &[("title", Role::Name), ("note", Role::Notes)],
        ..PLAIN
    },
];

/// Words that also head columns of other tables.
const WORDS: [&str; 14] = [
    "address",
    "description",
    "e-mail",
    "key",
    "label",
    "login",
    "password",
    "pin",
    "secret",
    "site",
    "token",
    "user",
    "value",
    "website",
];

/// Returns the export with exactly these headers, and the role of each column.
pub(super) fn program(headers: &[String]) -> Option<(&'static Known, Vec<Role>)> {
    let headers: Vec<String> = headers.iter().map(|header| header.to_lowercase()).collect();
    let is_twice = (1..headers.len()).any(|at| headers[..at].contains(&headers[at]));
    if is_twice {
        return None;
    }
    KNOWN.iter().find_map(|known| {
        if !known.always.iter().all(|always| headers.iter().any(|header| header == always)) {
            return None;
        }
        let role = |header: &String| {
            known.columns.iter().find(|(name, _)| name == header).map(|(_, role)| role.clone())
        };
        Some((known, headers.iter().map(role).collect::<Option<Vec<Role>>>()?))
    })
}

/// Returns whether a first row is a header row without secrets: two of its fields are usual
/// headers.
pub(super) fn is_header_row(headers: &[String]) -> bool {
    let is_word = |header: &&String| {
        let header = header.to_lowercase();
        let known = KNOWN.iter().flat_map(|known| known.columns);
        WORDS.contains(&header.as_str()) || known.into_iter().any(|(name, _)| *name == header)
    };
    headers.iter().filter(is_word).count() >= 2
}
