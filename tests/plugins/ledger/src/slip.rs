//! A slip: a ledger without a clerk, prompts or metadata.

use std::path::PathBuf;

use keystead_plugin_api::{
    DescribeRequest, Entry, Error, GetRequest, ListRequest, Page, RemoveRequest, Removed, Result,
    Secret, SetRequest, Value, Vault, Written,
};

use crate::file::{Case, LedgerFile};

struct Slip(LedgerFile);

pub(crate) fn open(path: PathBuf) -> Box<dyn Vault> {
    Box::new(Slip(LedgerFile::new(path, Case::Ignored)))
}

impl Vault for Slip {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        self.0.get(request)
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.0.list(request)
    }

    fn describe(&mut self, request: &DescribeRequest) -> Result<Entry> {
        self.0.describe(request)
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        if !matches!(request.value, Value::Text(_) | Value::Bytes(_)) {
            return Err(Error::unsupported("a slip has room for texts and bytes only"));
        }
        if request.metadata.as_ref().is_some_and(|metadata| !metadata.is_empty()) {
            return Err(Error::unsupported("a slip has no room for metadata"));
        }
        self.0.set(request)
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.0.remove(request)
    }
}
