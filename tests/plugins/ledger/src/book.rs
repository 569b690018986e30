//! A book: a ledger with a clerk, who may prompt for a name and a PIN, notes visits in the bell's
//! file, and logs remarks. The book may add a stamp: read-only metadata with the vault's name.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use keystead_plugin_api::{
    Challenge, Context, DescribeRequest, Entry, Error, GetRequest, ListRequest, LockRequest,
    Locked, Metadata, MetadataValue, MetadataWritten, OpenRequest, Page, Prompt, RemoveRequest,
    Removed, Result, Secret, SecretText, SetMetadataRequest, SetRequest, TestReport, TestRequest,
    UnlockRequest, Unlocked, UnregisterRequest, Unregistered, Vault, VaultName, WriteMode, Written,
};

use crate::file::{Case, LedgerFile};

/// The key of the stamp.
const STAMP: &str = "stamp";

struct Book {
    vault: VaultName,
    file: LedgerFile,
    clerk: Option<(String, SecretText)>,
    locked: bool,
    bell: Option<PathBuf>,
    shut: bool,
    remarks: i64,
    stamped: bool,
    context: Context,
}

pub(crate) fn open(
    request: OpenRequest,
    path: PathBuf,
    context: Context,
) -> Result<Box<dyn Vault>> {
    let parameters = &request.parameters;
    let clerk = match (parameters.text("clerk"), parameters.secret("pin")) {
        (Some(clerk), Some(pin)) => Some((clerk.to_owned(), pin.duplicate())),
        (None, None) => None,
        _ => return Err(Error::invalid("`clerk` and `pin` go together")),
    };
    Ok(Box::new(Book {
        file: LedgerFile::new(path, Case::Matters),
        locked: clerk.is_some(),
        clerk,
        bell: parameters.text("bell").map(PathBuf::from),
        shut: parameters.boolean("shut").unwrap_or(false),
        remarks: parameters.integer("remarks").unwrap_or(0),
        stamped: parameters.boolean("stamped").unwrap_or(false),
        vault: request.vault,
        context,
    }))
}

impl Book {
    fn file(&mut self) -> Result<&mut LedgerFile> {
        if !self.locked {
            return Ok(&mut self.file);
        }
        let prompts = vec![Prompt::plain("clerk", "Clerk"), Prompt::secret("pin", "PIN")];
        Err(Error::locked(Challenge::new("counter", prompts)))
    }

    fn stamp(&self, metadata: &mut Metadata) -> Result<()> {
        if self.stamped {
            let stamp = MetadataValue::Text(self.vault.to_string());
            metadata.insert_read_only(STAMP, stamp)?;
        }
        Ok(())
    }

    fn check_stamp(&self, metadata: &Metadata) -> Result<()> {
        if self.stamped && metadata.get(STAMP).is_some() {
            return Err(Error::invalid("only the book stamps"));
        }
        Ok(())
    }

    /// Appends a line to the bell's file, if there is one.
    fn ring(&self, line: &str) -> Result<()> {
        let Some(bell) = &self.bell else { return Ok(()) };
        let opened = OpenOptions::new().append(true).create(true).open(bell);
        opened.and_then(|mut file| writeln!(file, "{line}")).map_err(|fault| {
            Error::unavailable(format!("the bell {} is stuck: {fault}", bell.display()))
        })
    }
}

impl Vault for Book {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        let mut secret = self.file()?.get(request)?;
        self.stamp(&mut secret.metadata)?;
        Ok(secret)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let mut page = self.file()?.list(request)?;
        page.entries.iter_mut().try_for_each(|entry| self.stamp(&mut entry.metadata))?;
        Ok(page)
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        let mut entry = self.file()?.describe(request)?;
        self.stamp(&mut entry.metadata)?;
        Ok(entry)
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        request.metadata.as_ref().map_or(Ok(()), |metadata| self.check_stamp(metadata))?;
        self.file()?.set(request)
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.file()?.remove(request)
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.check_stamp(&request.metadata)?;
        let file = self.file()?;
        let value = file.get(&GetRequest::new(request.name.clone(), request.deadline))?.value;
        let mut again = SetRequest::new(request.name, value, request.deadline);
        again.metadata = Some(request.metadata);
        again.mode = WriteMode::Replace;
        file.set(again).map(|_| MetadataWritten::new())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let Some((clerk, pin)) = &self.clerk else {
            return Err(Error::unsupported("this book has no clerk"));
        };
        if request.challenge != "counter" {
            return Err(Error::invalid("that was not asked at this counter"));
        }
        let says =
            |name: &str, right: &str| request.answer(name).map(SecretText::expose) == Some(right);
        if !says("clerk", clerk) || !says("pin", pin.expose()) {
            return Err(Error::permission_denied("the clerk does not know you"));
        }
        self.ring(&format!("{}: {clerk} was here", self.vault))?;
        self.locked = false;
        Ok(Unlocked::new())
    }

    fn lock(&mut self, _: &LockRequest) -> Result<Locked> {
        if self.clerk.is_none() {
            return Err(Error::unsupported("this book has no clerk"));
        }
        self.locked = true;
        Ok(Locked::new())
    }

    fn test(&mut self, _: &TestRequest) -> Result<TestReport> {
        for number in 1..=self.remarks {
            self.context.warn(&format!("remark {number}: the ink is dry"));
            self.context.info(&format!("remark {number}: the pen is mended"));
        }
        if self.shut {
            return Err(Error::unavailable("the counter is shut: come back tomorrow"));
        }
        self.file.check().map(|()| TestReport::new())
    }

    fn unregister(&mut self, _: &UnregisterRequest) -> Result<Unregistered> {
        self.ring(&format!("{}: closed", self.vault)).map(|()| Unregistered::new())
    }
}
