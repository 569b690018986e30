//! The steps of a killed process, and their effects on its names. Each step is reported on one line
//! before it is done.

use std::collections::BTreeMap;
use std::fmt;

use keystead_plugin_api::{MetadataValue, Result, Secret, SetRequest, Value, Vault, WriteMode};

use crate::child::Random;
use crate::vault::{bytes, metadata, remove, set_many, set_metadata, setting};

/// Names that all processes write.
pub(crate) const SHARED: [&str; 3] = ["shared/a", "shared/b", "shared/c"];

/// Number of names of one process.
const OWN: usize = 6;

/// Lengths of values: within a page, and over several.
const LENGTHS: [usize; 4] = [12, 300, 2_000, 9_000];

/// Returns the names that only one process writes.
pub(crate) fn own(process: usize) -> impl Iterator<Item = String> {
    (0..OWN).map(move |number| format!("own/{process}/{number}"))
}

/// Names with a secret, and their writes.
pub(crate) type Names = BTreeMap<String, Written>;

/// The writes that a secret's value and metadata come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    value: usize,
    note: Option<usize>,
}

fn value(number: usize) -> Value {
    let mut value = number.to_le_bytes().to_vec();
    match bytes(number, LENGTHS[number % LENGTHS.len()]) {
        Value::Bytes(more) => value.extend_from_slice(more.expose()),
        _ => unreachable!("they are bytes"),
    }
    Value::bytes(value)
}

impl Written {
    /// Returns the writes that a secret comes from.
    ///
    /// # Panics
    /// If the value or the metadata is incomplete.
    pub(crate) fn of(secret: &Secret) -> Self {
        let Value::Bytes(found) = &secret.value else { panic!("another kind of value") };
        let number = usize::from_le_bytes(found.expose()[..8].try_into().unwrap());
        assert_eq!(secret.value, value(number), "a part of a value");
        let note = secret.metadata.get("note").map(|note| match note {
            MetadataValue::Text(text) => text.parse().unwrap(),
            _ => panic!("another kind of metadata"),
        });
        let whole = note.map(|note: usize| metadata(&note.to_string())).unwrap_or_default();
        assert_eq!(secret.metadata, whole, "a part of its metadata");
        Self { value: number, note }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (value, note) = text.split_once('+')?;
        Some(Self { value: value.parse().unwrap(), note: note.parse().ok() })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.note {
            Some(note) => write!(f, "{}+{note}", self.value),
            None => write!(f, "{}+", self.value),
        }
    }
}

/// One write: `what number name...`.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    what: &'static str,
    number: usize,
    names: Vec<String>,
}

const WHATS: [&str; 6] = ["set", "with", "replace", "note", "remove", "many"];

impl Step {
    pub(crate) fn random(process: usize, number: usize, random: &mut Random) -> Self {
        let what = WHATS[random.below(WHATS.len())];
        let own: Vec<String> = own(process).collect();
        let names = match what {
            "many" => own[..2 + random.below(OWN - 2)].to_vec(),
            "with" if random.below(2) == 0 => vec![SHARED[random.below(3)].to_owned()],
            _ => vec![own[random.below(OWN)].clone()],
        };
        Self { what, number, names }
    }

    /// Returns a step that sets these names at once.
    pub(crate) fn many(number: usize, names: Vec<String>) -> Self {
        Self { what: "many", number, names }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut words = text.split(' ');
        let what = words.next().unwrap();
        let what = WHATS.into_iter().find(|known| *known == what).unwrap();
        let number = words.next().unwrap().parse().unwrap();
        Self { what, number, names: words.map(str::to_owned).collect() }
    }

    fn request(&self, name: &str) -> SetRequest {
        let mut request = setting(name, value(self.number));
        match self.what {
            "replace" => request.mode = WriteMode::Replace,
            "with" => request.metadata = Some(metadata(&self.number.to_string())),
            _ => {}
        }
        request
    }

    pub(crate) fn run(&self, vault: &mut dyn Vault) -> Result<()> {
        let name = &self.names[0];
        match self.what {
            "note" => set_metadata(vault, name, metadata(&self.number.to_string())),
            "remove" => remove(vault, name),
            "many" => set_many(vault, self.names.iter().map(|name| self.request(name))),
            _ => vault.set(self.request(name)).map(drop),
        }
    }

    /// Returns the names after the step; `None` if the step cannot have had this result.
    pub(crate) fn after(&self, mut names: Names, ok: bool) -> Option<Names> {
        if self.shared().is_some() {
            return ok.then_some(names);
        }
        let there = names.contains_key(&self.names[0]);
        let needed = matches!(self.what, "replace" | "note" | "remove");
        match (ok, there || !needed) {
            (true, true) => {}
            (false, false) => return Some(names),
            _ => return None,
        }
        for name in &self.names {
            let note = names.get(name).and_then(|old| old.note);
            match self.what {
                "remove" => drop(names.remove(name)),
                "note" => names.get_mut(name).unwrap().note = Some(self.number),
                "with" => {
                    let new = Written { value: self.number, note: Some(self.number) };
                    names.insert(name.clone(), new);
                }
                _ => drop(names.insert(name.clone(), Written { value: self.number, note })),
            }
        }
        Some(names)
    }

    /// Returns the shared name of the step, and its new content; `None` for other names.
    pub(crate) fn shared(&self) -> Option<(&str, Written)> {
        let name = self.names[0].as_str();
        let new = Written { value: self.number, note: Some(self.number) };
        SHARED.contains(&name).then_some((name, new))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.what, self.number, self.names.join(" "))
    }
}
