//! The entries of an unlocked store. A map is an entry that names other entries, its members. They
//! are assigned before the first row, since a member's name can belong to two maps.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use keystead_plugin_api::{Map, SecretName, SecretText, Value};
use zeroize::Zeroizing;

use super::super::distinct::title;
use super::super::left_out::{LeftOut, Thing};
use super::super::{BadRow, Error, Position, Row, Rows};
use super::blob::{self, Type};
use super::crypt::Cipher;
use super::{FORM, metadata};
use keystead::internals::json::tree::{self, Tree};

/// Prefix of the names of members, before the map's own name.
const MEMBER: &str = "psht:";

const UNREADABLE: &str = "it cannot be decrypted";

const ORPHANS: Thing = Thing("member that no map has", "members that no map has");

/// An entry of the list.
#[derive(Debug)]
struct Entry {
    /// Its name, which is any text; `None` if there is none.
    name: Option<String>,
    found: Result<Found, String>,
}

/// Ranges of an entry's parts.
#[derive(Debug)]
struct Found {
    kind: Type,
    /// Range in the data after the list.
    blob: Range<usize>,
    /// Range in the list.
    place: Range<usize>,
    /// A map's members: the name in the map, and the entry's index.
    members: Vec<(String, usize)>,
}

/// The maps that list a member: searching a list of all maps for each member takes too long.
struct Owners {
    first: usize,
    /// Another map than the first; `None` if there is none.
    other: Option<usize>,
    /// Number of times that the member is listed.
    count: usize,
}

impl Owners {
    fn add(&mut self, map: usize) {
        self.count += 1;
        if map != self.first {
            self.other.get_or_insert(map);
        }
    }

    /// Returns another map than this one.
    fn besides(&self, map: usize) -> Option<usize> {
        if self.first == map { self.other } else { Some(self.first) }
    }
}

/// The secrets of a store, in the order of its list. Names are compared without case, as
/// SecretStore does.
#[derive(Debug)]
pub struct Entries {
    listing: SecretText,
    blobs: Vec<u8>,
    /// One cipher, or two if the spelling of the account's name changed over the years.
    ciphers: Vec<Cipher>,
    entries: Vec<Entry>,
    next: usize,
    /// Whether both spellings are in use.
    mixed: OnceCell<bool>,
    left_out: LeftOut,
}

impl Entries {
    /// Returns the entries of this list, each decrypted by the first of these ciphers that fits.
    ///
    /// # Errors
    /// [`Error::NotOfForm`] if the list is invalid.
    pub fn new(listing: SecretText, blobs: Vec<u8>, ciphers: Vec<Cipher>) -> Result<Self, Error> {
        let wrong = |why: String| Error::NotOfForm { form: FORM, why: format!("its list: {why}") };
        let text = listing.expose();
        let members = tree::document(text).map_err(|fault| wrong(fault.to_string()))?;
        let all = members.iter().find(|(name, _)| name == "MetaData").map(|(_, place)| place);
        let all = all.filter(|place| text[place.start..].starts_with('['));
        let all = all.ok_or_else(|| wrong("it has no `MetaData`".into()))?;
        let places = tree::elements(text, all).map_err(|fault| wrong(fault.to_string()))?;
        let entries = places.into_iter().map(|place| entry(text, place, blobs.len())).collect();
        let mut all = Self {
            listing,
            blobs,
            ciphers,
            entries,
            next: 0,
            mixed: OnceCell::new(),
            left_out: LeftOut::default(),
        };
        let names = all.names();
        all.refuse_unreadable();
        all.refuse_shared_places();
        all.find_members(&names);
        Ok(all)
    }

    /// Returns the index of each entry by name, in lower case; only the first of equal names stays.
    fn names(&mut self) -> HashMap<String, usize> {
        let mut names = HashMap::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let Some(name) = &entry.name else { continue };
            let first = *names.entry(name.to_lowercase()).or_insert(index);
            if first != index {
                entry.found = Err(format!("item {} has its name already", first + 1));
            }
        }
        names
    }

    /// Rejects entries that no key fits, so that a wrong range affects no other entry.
    fn refuse_unreadable(&mut self) {
        for entry in &mut self.entries {
            let Ok(found) = &entry.found else { continue };
            let encrypted = &self.blobs[found.blob.clone()];
            if !self.ciphers.iter().any(|cipher| cipher.fits(encrypted)) {
                entry.found = Err(UNREADABLE.to_owned());
            }
        }
    }

    /// Rejects entries whose ranges overlap: the range of one entry is wrong, and the other entry's
    /// bytes could be read as its own.
    fn refuse_shared_places(&mut self) {
        let blob = |entry: &Entry| entry.found.as_ref().ok().map(|found| found.blob.clone());
        let mut all: Vec<(Range<usize>, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(index, entry)| Some((blob(entry)?, index)))
            .collect();
        all.sort_by_key(|(blob, _)| blob.start);
        let mut furthest: Option<(usize, usize)> = None;
        for (blob, index) in all {
            if let Some((end, other)) = furthest.filter(|(end, _)| blob.start < *end) {
                for one in [index, other] {
                    self.entries[one].found = Err("its bytes are also those of another".into());
                }
                furthest = Some(if blob.end > end { (blob.end, index) } else { (end, other) });
            } else {
                furthest = Some((blob.end, index));
            }
        }
    }

    /// Finds the members of each map. If two maps share a member's name, one map has lost its
    /// member. Both are rejected, since it is unknown which.
    fn find_members(&mut self, names: &HashMap<String, usize>) {
        let mut maps = Vec::new();
        let mut owners: HashMap<String, Owners> = HashMap::new();
        for index in 0..self.entries.len() {
            let entry = &self.entries[index];
            let Ok(found) = &entry.found else { continue };
            if found.kind != Type::Map || entry.is_member() {
                continue;
            }
            match self.decrypted(&found.blob).and_then(|bytes| blob::members(&bytes)) {
                Ok(members) => {
                    for member in &members {
                        let new = Owners { first: index, other: None, count: 0 };
                        owners.entry(member.to_lowercase()).or_insert(new).add(index);
                    }
                    maps.push((index, members));
                }
                Err(why) => self.entries[index].found = Err(why.to_owned()),
            }
        }
        for (index, members) in maps {
            let members: Result<Vec<_>, String> = members
                .iter()
                .map(|member| self.member(index, member, names, &owners[&member.to_lowercase()]))
                .collect();
            match (members, &mut self.entries[index].found) {
                (Ok(members), Ok(found)) => found.members = members,
                (Ok(_), Err(_)) => {}
                (Err(why), found) => *found = Err(why),
            }
        }
        let is_orphan =
            |name: &String| name.starts_with(MEMBER) && !owners.contains_key(&name.to_lowercase());
        let all = self.entries.iter().filter_map(|entry| entry.name.as_ref());
        self.left_out.count(ORPHANS, all.filter(|name| is_orphan(name)).count() as u64);
    }

    /// Returns the name of this member in a map, and the entry's index.
    fn member(
        &self,
        map: usize,
        member: &str,
        names: &HashMap<String, usize>,
        owners: &Owners,
    ) -> Result<(String, usize), String> {
        let title_of = |index: usize| self.entries[index].title().unwrap_or_default();
        let own = self.entries[map].name.as_deref().unwrap_or_default();
        let of_map = member.strip_prefix(MEMBER).and_then(|rest| rest.split_at_checked(own.len()));
        let shown = title(member).unwrap_or_default();
        let key = match of_map {
            Some((prefix, key)) if prefix.to_lowercase() == own.to_lowercase() => key,
            _ => return Err(format!("its member `{shown}` is not named after it")),
        };
        match owners.besides(map) {
            Some(other) => Err(format!(
                "its member `{}` may be one of the map `{}`: SecretStore calls both `{shown}`",
                title(key).unwrap_or_default(),
                title_of(other),
            )),
            None if owners.count > 1 => Err(format!("its member `{shown}` is listed twice")),
            None => match names.get(&member.to_lowercase()) {
                Some(at) => Ok((key.to_owned(), *at)),
                None => Err(format!("its member `{}` is missing", title(key).unwrap_or_default())),
            },
        }
    }

    /// Returns the decrypted content of an entry.
    fn decrypted(&self, blob: &Range<usize>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
        let encrypted = &self.blobs[blob.clone()];
        let mut read = self.ciphers.iter().filter_map(|cipher| cipher.decrypt(encrypted));
        match (read.next(), read.next()) {
            (None, _) => Err(UNREADABLE),
            (Some(bytes), None) => Ok(bytes),
            (Some(bytes), Some(_)) if !self.is_mixed() => Ok(bytes),
            (Some(_), Some(_)) => Err("it can be decrypted in two ways, and only one is right"),
        }
    }

    /// Returns whether any entry dates from the account name's other spelling. Only then may an
    /// entry that fits both spellings belong to either.
    fn is_mixed(&self) -> bool {
        *self.mixed.get_or_init(|| {
            let first = self.ciphers.first();
            let mut blobs = self
                .entries
                .iter()
                .filter_map(|entry| Some(&self.blobs[entry.found.as_ref().ok()?.blob.clone()]));
            blobs.any(|blob| !first.is_some_and(|cipher| cipher.fits(blob)))
        })
    }

    /// Returns the value of an entry.
    fn value(&self, found: &Found) -> Result<Value, String> {
        if found.kind != Type::Map {
            return Ok(blob::value(found.kind, self.decrypted(&found.blob)?)?);
        }
        let mut map = Map::new();
        for (key, at) in &found.members {
            let of_member =
                |why: &str| format!("its member `{}`: {why}", title(key).unwrap_or_default());
            let member = self.entries[*at].found.as_ref().map_err(|why| of_member(why))?;
            let bytes = self.decrypted(&member.blob).map_err(of_member)?;
            map.insert(key.clone(), blob::value(member.kind, bytes).map_err(of_member)?);
        }
        Ok(Value::Map(map))
    }

    fn row(&mut self, index: usize) -> Result<Row, BadRow> {
        let entry = &self.entries[index];
        let at = Position::Item(index as u64 + 1, entry.title());
        let bad = |why: String| BadRow { at: at.clone(), why };
        let found = entry.found.as_ref().map_err(|why| bad(why.clone()))?;
        let name = SecretName::parse(entry.name.as_deref().unwrap_or_default());
        let name = name.map_err(|refused| bad(refused.message().to_owned()))?;
        let value = self.value(found).map_err(bad)?;
        let mut whole =
            tree::parse(self.listing.expose(), &found.place).map_err(|why| bad(why.to_owned()))?;
        let metadata = metadata::typed(whole.take("AdditionalData"), &mut self.left_out);
        Ok(Row { name, value, metadata: metadata.map_err(bad)?, at })
    }
}

impl Rows for Entries {
    fn left_out(&self) -> Vec<String> {
        self.left_out.lines().collect()
    }
}

impl Iterator for Entries {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let index = self.next;
            self.next += 1;
            if !self.entries.get(index)?.is_member() {
                return Some(Ok(self.row(index)));
            }
        }
    }
}

impl Entry {
    /// Returns whether the entry is a member of a map, not a separate secret.
    fn is_member(&self) -> bool {
        self.name.as_ref().is_some_and(|name| name.starts_with(MEMBER))
    }

    fn title(&self) -> Option<String> {
        title(self.name.as_deref()?)
    }
}

/// Returns an entry of the list; `bytes` is the size of the data after the list.
fn entry(text: &str, place: Range<usize>, bytes: usize) -> Entry {
    let bad = |name, why: &str| Entry { name, found: Err(why.to_owned()) };
    let mut entry = match tree::parse(text, &place) {
        Ok(entry @ Tree::Object(_)) => entry,
        Ok(_) => return bad(None, "it is no object"),
        Err(why) => return bad(None, why),
    };
    let Some(name) = entry.get("Name").and_then(Tree::as_text).map(str::to_owned) else {
        return bad(None, "it has no name");
    };
    let kind = entry.take_text("Type");
    let kind = kind.as_ref().map_or("", SecretText::expose);
    let Some(kind) = Type::parse(kind) else {
        let why = format!("its type `{}` is not known", title(kind).unwrap_or_default());
        return bad(Some(name), &why);
    };
    let number = |key: &str| usize::try_from(entry.get(key)?.as_integer()?).ok();
    let blob = number("Offset").zip(number("Size"));
    let blob = blob.and_then(|(start, len)| Some(start..start.checked_add(len)?));
    let Some(blob) = blob.filter(|blob| blob.end <= bytes) else {
        return bad(Some(name), "its bytes are not in the file");
    };
    Entry { name: Some(name), found: Ok(Found { kind, blob, place, members: Vec::new() }) }
}
