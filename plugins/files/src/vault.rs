//! One open vault: the dispatch of its calls.

use std::sync::Arc;

use keystead_plugin_api::{
    Context, Deadline, DescribeRequest, Entry, Error, GetManyRequest, GetManyResults, GetRequest,
    ListRequest, NameEquality, OpenRequest, Page, Plugin, RemoveRequest, Removed, Result, Rules,
    RulesRequest, Secret, SecretBytes, SecretName, SetManyRequest, SetManyResults, SetRequest,
    TestReport, TestRequest, Vault, Written,
};

use crate::content::{self, Mark, Newline};
use crate::dir::{Layout, Read, SecretsDir, Snapshot};
use crate::entry;
use crate::listing::{self, Rest};
use crate::manifest::{FOLDER, PATH, READ_WRITE, TRIM_NEWLINE};
use crate::name;
use crate::spelling;
use crate::trust::{self, Outside};
use crate::write::{Content, IfMissing, Writer};

/// The most files that a test reports individually.
const MOST_TOLD: usize = 20;

/// A vault over a directory with one secret a file.
pub struct Files {
    dir: SecretsDir,
    access: Access,
    newline: Newline,
    rest: Option<Rest>,
    context: Arc<Context>,
}

/// Permitted operations on the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Another program fills the directory: a missing one is an error.
    Read,
    /// The directory is ours: a missing one is empty.
    ReadWrite,
}

impl Plugin for Files {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let (access, parameter) = match request.kind.as_str() {
            READ_WRITE => (Access::ReadWrite, FOLDER),
            _ => (Access::Read, PATH),
        };
        let path = request.parameters.text(parameter);
        let path = path.ok_or_else(|| Error::invalid(format!("`{parameter}` is missing")))?;
        let newline = match request.parameters.boolean(TRIM_NEWLINE) {
            Some(true) => Newline::Trimmed,
            _ => Newline::Kept,
        };
        let context = Arc::new(context);
        let dir = SecretsDir::new(parameter, path, Outside::new(Arc::clone(&context)))?;
        Ok(Box::new(Self { dir, access, newline, rest: None, context }))
    }
}

impl Vault for Files {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        newest(request)?;
        let newline = self.newline;
        self.one(&request.name, request.deadline, |snapshot, name| {
            entry::read(snapshot, name, newline)
        })
    }

    fn get_many(&mut self, request: &GetManyRequest) -> Result<GetManyResults> {
        let requests = &request.requests;
        let Some(first) = requests.first() else { return Ok(GetManyResults::new(Vec::new())) };
        let newline = self.newline;
        let read = self.dir.read(first.deadline, |snapshot| {
            let mut results = Vec::with_capacity(requests.len());
            for request in requests {
                results.push(match newest(request).and_then(|()| file_name(&request.name)) {
                    _ if request.deadline.has_passed() => Err(Error::timed_out()),
                    Ok(name) => entry::read(snapshot, name, newline),
                    Err(error) => Err(error),
                });
            }
            let whole = results.iter().all(Result::is_ok);
            Ok(if whole { Read::Whole(results) } else { Read::Perhaps(results) })
        })?;
        let results = match read {
            Some(results) => results,
            None => {
                let missing = self.missing()?;
                requests.iter().map(|_| Err(missing.clone())).collect()
            }
        };
        Ok(GetManyResults::new(results))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        match listing::page(&self.dir, &mut self.rest, request)? {
            Some(page) => Ok(page),
            None => self.missing().map(|_| Page::default()),
        }
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.one(&request.name, request.deadline, |snapshot, _| {
            let stat = entry::file(snapshot, request.name.as_str())?;
            let name = spelling::of(snapshot, &request.name, &stat)?;
            Ok(entry::listed(name, &stat))
        })
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        let deadline = request.deadline;
        let new = self.new_file(request)?;
        let writer = self.writer(IfMissing::Make, deadline)?.ok_or_else(Error::timed_out)?;
        let written = put(&writer, &new)?;
        writer.finish().map(|()| written)
    }

    fn set_many(&mut self, request: SetManyRequest) -> Result<SetManyResults> {
        let requests = request.requests;
        let Some(first) = requests.first() else { return Ok(SetManyResults::new(Vec::new())) };
        // Checked first: a rejected request creates no directory.
        let deadline = first.deadline;
        let new: Vec<_> = requests.into_iter().map(|request| self.new_file(request)).collect();
        if new.iter().all(Result::is_err) {
            let refused = new.into_iter().map(|new| new.map(|_| Written::new()));
            return Ok(SetManyResults::new(refused.collect()));
        }
        let writer = self.writer(IfMissing::Make, deadline)?.ok_or_else(Error::timed_out)?;
        let write = |new: Result<NewFile>| {
            let new = new?;
            // The caller has stopped waiting: better report a timeout than be cut off mid-write.
            if deadline.has_passed() {
                return Err(Error::timed_out());
            }
            put(&writer, &new)
        };
        let results: Vec<Result<Written>> = new.into_iter().map(write).collect();
        // All names are synced together.
        Ok(SetManyResults::new(match writer.finish() {
            Ok(()) => results,
            Err(error) => results.into_iter().map(|one| one.and(Err(error.clone()))).collect(),
        }))
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.writable()?;
        let name = file_name(&request.name)?;
        let writer = self.writer(IfMissing::Leave, request.deadline)?;
        let writer = writer.ok_or_else(Error::not_found)?;
        writer.remove(name, request.if_version.as_deref())?;
        writer.finish().map(|()| Removed::new())
    }

    fn rules(&mut self, _: &RulesRequest) -> Result<Rules> {
        let mut rules = Rules::new(NameEquality::Unknown);
        rules.max_name_bytes = Some(name::MAX_BYTES);
        rules.name_grammar = Some("what a file can be called".to_owned());
        Ok(rules)
    }

    fn test(&mut self, request: &TestRequest) -> Result<TestReport> {
        let deadline = request.deadline;
        let tested = self.dir.read(deadline, |snapshot| {
            // A switch of the directory may cause missing files; `Perhaps` handles that.
            self.tested(snapshot, deadline).map(Read::Perhaps)
        })?;
        let Some(Tested { told, refused }) = tested else {
            self.missing()?;
            self.context.warn("there is no directory yet: the first secret makes it");
            return Ok(TestReport::new());
        };
        let more = told.len().saturating_sub(MOST_TOLD);
        told.iter().take(MOST_TOLD).for_each(|line| self.context.warn(line));
        if more > 0 {
            self.context.warn(&format!("{more} more are not told one by one"));
        }
        let shown = self.dir.path().display();
        match refused {
            0 => Ok(TestReport::new()),
            1 => Err(Error::permission_denied(format!("one secret in {shown} cannot be read"))),
            more => {
                Err(Error::permission_denied(format!("{more} secrets in {shown} cannot be read")))
            }
        }
    }
}

/// Result of a test.
struct Tested {
    told: Vec<String>,
    refused: usize,
}

/// A secret that is ready to be written.
struct NewFile {
    request: SetRequest,
    content: SecretBytes,
    mark: Mark,
}

impl Files {
    /// Reads one secret from one snapshot.
    fn one<T>(
        &self,
        name: &SecretName,
        deadline: Deadline,
        ask: impl Fn(&Snapshot, &str) -> Result<T>,
    ) -> Result<T> {
        let name = file_name(name)?;
        let found = self.dir.read(deadline, |snapshot| ask(snapshot, name).map(Read::Whole));
        match found? {
            Some(found) => Ok(found),
            None => Err(self.missing()?),
        }
    }

    /// Returns the error for a secret if there is no directory.
    ///
    /// # Errors
    /// `Unavailable` if another program should have created the directory.
    fn missing(&self) -> Result<Error> {
        match self.access {
            Access::ReadWrite => Ok(Error::not_found()),
            Access::Read => Err(Error::unavailable(format!(
                "the directory {} is not there",
                self.dir.path().display()
            ))),
        }
    }

    fn writable(&self) -> Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::Read => Err(Error::unsupported(
                "this vault is read-only: one of the kind `read-write` is written to",
            )),
        }
    }

    fn writer(&self, if_missing: IfMissing, deadline: Deadline) -> Result<Option<Writer>> {
        self.writable()?;
        Writer::take(&self.dir, if_missing, deadline)
    }

    /// Returns the content that a request writes, after all checks that need no directory.
    fn new_file(&self, mut request: SetRequest) -> Result<NewFile> {
        self.writable()?;
        name::to_write(&request.name)?;
        if request.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty()) {
            return Err(Error::unsupported("this vault keeps no metadata"));
        }
        let value = std::mem::replace(&mut request.value, keystead_plugin_api::Value::text(""));
        let (content, mark) = content::content(value, self.newline)?;
        Ok(NewFile { request, content, mark })
    }

    /// Checks every file in a snapshot without reading any content.
    fn tested(&self, snapshot: &Snapshot, deadline: Deadline) -> Result<Tested> {
        if self.access == Access::ReadWrite && snapshot.layout == Layout::Plain {
            trust::own_dir(&snapshot.path, &snapshot.stat)?;
        }
        let contents = listing::contents(snapshot, deadline)?;
        let left_out = |what: &String| format!("left out: {what}");
        let mut told: Vec<String> = contents.left_out.iter().map(left_out).collect();
        let (mut refused, mut open_to_all) = (0, 0);
        for entry in &contents.entries {
            if deadline.has_passed() {
                return Err(Error::timed_out());
            }
            match entry::open(snapshot, entry.name.as_str()) {
                Ok((_, stat)) => open_to_all += usize::from(trust::mode(&stat) & 0o004 != 0),
                Err(error) => {
                    refused += 1;
                    told.push(error.message().to_owned());
                }
            }
        }
        // Irrelevant if no other user may enter the directory.
        if open_to_all > 0 && trust::mode(&snapshot.stat) & 0o001 != 0 {
            told.push(format!("every user may read {open_to_all} of the files"));
        }
        Ok(Tested { told, refused })
    }
}

fn put(writer: &Writer, new: &NewFile) -> Result<Written> {
    let name = name::to_write(&new.request.name)?;
    let if_version = new.request.if_version.as_deref();
    let mode = new.request.mode;
    writer.write(name, &Content { bytes: &new.content, mark: new.mark, mode, if_version })
}

/// Returns the file name of the requested secret.
///
/// # Errors
/// `NotFound` if no file can have the name.
fn file_name(name: &SecretName) -> Result<&str> {
    name::of(name).ok_or_else(Error::not_found)
}

/// # Errors
/// `Unsupported` for an earlier version.
fn newest(request: &GetRequest) -> Result<()> {
    match request.version {
        None => Ok(()),
        Some(_) => Err(Error::unsupported("this vault keeps no earlier versions")),
    }
}
