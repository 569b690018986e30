//! Stores its texts in one file, in clear text, which the host reads and replaces for it. A line is
//! a secret: name and text in hexadecimal digits.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sound::api::manifest::{Capability, PermissionRequest};
use sound::api::{
    export_plugin, Context, Deadline, Entry, Error, ErrorDetail, GetRequest, ListRequest, Metadata,
    OpenRequest, Page, Parameter, ParameterKind, Plugin, ReadFileRequest, RemoveRequest, Removed,
    ReplaceFileRequest, Result, Secret, SecretBytes, SecretName, SetRequest, Value, ValueKind,
    Vault, WriteMode, Written,
};

export_plugin! {
    plugin: OneFile,
    manifest: sound::manifest("one-file").kinds(&[sound::kind()
        .can(&[Capability::Write])
        .values(&[ValueKind::Text])
        .parameters(&[Parameter::required("file", ParameterKind::Path, "the file, in CLEAR TEXT")])
        .permissions(&[PermissionRequest::required("replace:{file}")])]),
}

/// Number of retries of a change that conflicts with another process.
const TRIES: u32 = 100;

struct OneFile {
    path: String,
    context: Context,
}

type Texts = BTreeMap<String, String>;

impl Plugin for OneFile {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let path = request.parameters.text("file").ok_or_else(|| Error::invalid("no file"))?;
        Ok(Box::new(Self { path: path.to_owned(), context }))
    }
}

impl OneFile {
    /// Returns the current content of the file, and its version.
    fn read(&self, deadline: Deadline) -> Result<(Texts, Option<String>)> {
        let read = self.context.read_file(ReadFileRequest::new(&self.path, deadline))?;
        let Some(file) = read.file else { return Ok((Texts::new(), None)) };
        let damaged = || Error::corrupt("the file is not one of this plugin's");
        let text = std::str::from_utf8(file.content.expose()).map_err(|_| damaged())?;
        let line = |line: &str| {
            let (name, text) = line.split_once(' ')?;
            Some((from_hex(name)?, from_hex(text)?))
        };
        let texts = text.lines().map(line).collect::<Option<_>>().ok_or_else(damaged)?;
        Ok((texts, Some(file.version)))
    }

    /// Changes the content of the file; retries after a conflict.
    fn change(
        &self,
        deadline: Deadline,
        change: &mut dyn FnMut(&mut Texts) -> Result<()>,
    ) -> Result<()> {
        let mut tries = 0;
        loop {
            let (mut texts, expected) = self.read(deadline)?;
            change(&mut texts)?;
            let lines = texts.iter().map(|(name, text)| format!("{} {}\n", hex(name), hex(text)));
            let content = SecretBytes::new(lines.collect::<String>().into_bytes());
            let request = ReplaceFileRequest::new(&self.path, expected, content, deadline);
            match self.context.replace_file(request) {
                Err(error) if error.detail() == Some(ErrorDetail::Conflict) && tries < TRIES => {
                    tries += 1;
                }
                done => return done.map(drop),
            }
        }
    }
}

impl Vault for OneFile {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if request.version.is_some() {
            return Err(Error::unsupported("it keeps one version"));
        }
        let (texts, _) = self.read(request.deadline)?;
        let text = texts.get(request.name.as_str()).ok_or_else(Error::not_found)?;
        Ok(Secret::new(Value::text(text.clone())))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let (texts, _) = self.read(request.deadline)?;
        let entry = |name: &String| {
            Ok(Entry::new(SecretName::parse(name)?, Some(ValueKind::Text), Metadata::new()))
        };
        // A page starts after the last name of the previous one.
        let after = |name: &&String| request.cursor.as_ref().map_or(true, |last| *name > last);
        let names: Vec<&String> = texts.keys().filter(after).collect();
        let limit = request.limit.min(names.len());
        let next = (limit < names.len()).then(|| names[limit - 1].clone());
        let entries = names[..limit].iter().copied().map(entry).collect::<Result<_>>()?;
        Ok(Page::new(entries, next))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        let Value::Text(text) = &request.value else {
            return Err(Error::unsupported("it keeps texts only"));
        };
        let name = request.name.as_str();
        if request.metadata.as_ref().map_or(false, |metadata| !metadata.is_empty()) {
            return Err(Error::unsupported("it keeps no metadata"));
        }
        self.change(request.deadline, &mut |texts| {
            match (texts.contains_key(name), request.mode) {
                (true, WriteMode::CreateOnly) => return Err(Error::already_exists()),
                (false, WriteMode::Replace) => return Err(Error::not_found()),
                _ => {}
            }
            texts.insert(name.to_owned(), text.expose().to_owned());
            Ok(())
        })?;
        Ok(Written::new())
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.change(request.deadline, &mut |texts| {
            texts.remove(request.name.as_str()).map(drop).ok_or_else(Error::not_found)
        })?;
        Ok(Removed::new())
    }
}

fn hex(text: &str) -> String {
    let mut digits = String::with_capacity(2 * text.len());
    for byte in text.bytes() {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn from_hex(digits: &str) -> Option<String> {
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    String::from_utf8(bytes?).ok()
}
