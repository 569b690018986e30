//! The directory of one layer: finds a vault's file by its name, reads it, and lists all files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use keystead_plugin_api::VaultName;

use super::config::{self, Default};
use super::entry::{MAX_FILE_BYTES, Registration};
use super::read::Document;
use super::{Error, Paths};
use crate::fs::{Rule, SafeDir};
use crate::paths::Layer;

pub(super) const CONFIG: &str = "config.toml";
pub(super) const VAULTS: &str = "vaults";

const EXTENSION: &str = ".toml";

/// Allowed owners of a layer's files. An administrator may give a directory below `/etc` to a
/// user on purpose.
pub(super) const RULE: Rule = Rule::User;

/// A layer's directory, which passed the walk.
pub(super) struct LayerDir {
    layer: Layer,
    config: SafeDir,
    vaults: Option<SafeDir>,
}

/// The files of one layer by vault.
pub(super) struct Files {
    pub(super) vaults: BTreeMap<VaultName, Result<String, Error>>,
    pub(super) faults: Vec<Error>,
}

impl LayerDir {
    /// Opens a layer; `None` if the layer has no directory.
    pub(super) fn open(paths: &Paths, layer: Layer) -> Result<Option<Self>, Error> {
        let Some(path) = paths.config_dir(layer) else { return Ok(None) };
        let Some(config) = SafeDir::open_if_there(path, RULE)? else { return Ok(None) };
        let vaults = config.dir(VAULTS)?;
        Ok(Some(Self { layer, config, vaults }))
    }

    /// Returns the path of a vault's file.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        let vaults = self.vaults.as_ref();
        vaults.map_or_else(|| self.config.path().join(VAULTS), |v| v.path().to_owned()).join(file)
    }

    /// Returns the name of a vault's file.
    pub(super) fn find(&self, name: &VaultName) -> Result<Option<String>, Error> {
        let mut found: Vec<String> = Vec::new();
        let Some(vaults) = &self.vaults else { return Ok(None) };
        vaults.each_name(&mut |file| {
            let stem = file.as_encoded_bytes().strip_suffix(EXTENSION.as_bytes());
            if stem.is_some_and(|stem| stem.eq_ignore_ascii_case(name.as_str().as_bytes())) {
                // Equal to a name except for the case of letters, so it is text.
                found.extend(file.to_str().map(str::to_owned));
            }
        })?;
        found.sort();
        match found.as_slice() {
            [first, second, ..] => Err(self.collision(first, second)),
            _ => Ok(found.pop()),
        }
    }

    /// Returns the files of all vaults, and the faults of other files' names.
    pub(super) fn files(&self) -> Result<Files, Error> {
        let mut files = Files { vaults: BTreeMap::new(), faults: Vec::new() };
        let names = self.vaults.as_ref().map_or_else(|| Ok(Vec::new()), SafeDir::names)?;
        for file in names {
            // Editors and package managers leave other files behind: `work.toml~`, `.rpmnew`.
            if !file.as_encoded_bytes().ends_with(EXTENSION.as_bytes()) {
                continue;
            }
            let text = file.to_str();
            let Some((file, name)) = text.and_then(|file| Some((file, name_of(file)?))) else {
                let path = self.path("").join(&file);
                files.faults.push(Error::BadFileName { path });
                continue;
            };
            let found = match files.vaults.get(&name) {
                None => Ok(file.to_owned()),
                Some(Ok(first)) => Err(self.collision(first, file)),
                Some(Err(_)) => continue,
            };
            files.vaults.insert(name, found);
        }
        Ok(files)
    }

    fn collision(&self, first: &str, second: &str) -> Error {
        Error::CaseCollision { first: self.path(first), second: self.path(second) }
    }

    /// Returns the registration in a file, and the file's text.
    pub(super) fn read(&self, file: &str) -> Result<(Registration, String), Error> {
        let path = self.path(file);
        let Some(name) = name_of(file) else { return Err(Error::BadFileName { path }) };
        let bytes = match &self.vaults {
            Some(vaults) => vaults.read(file, MAX_FILE_BYTES)?,
            None => None,
        };
        // Removed since the directory was listed.
        let Some(bytes) = bytes else { return Err(Error::NoSuchVault { name, similar: None }) };
        let text = Document::utf8(&path, bytes)?;
        Ok((Registration::parse(name, self.layer, &path, &text)?, text))
    }

    /// Returns the layer's setting of the default vault, and the file's text.
    pub(super) fn default(&self) -> Result<(Default, Option<String>), Error> {
        let Some(bytes) = self.config.read(CONFIG, MAX_FILE_BYTES)? else {
            return Ok((Default::Unsaid, None));
        };
        let path = self.config.path().join(CONFIG);
        let text = Document::utf8(&path, bytes)?;
        Ok((config::parse(&path, &text)?, Some(text)))
    }
}

/// Returns the name of a new file for this vault.
pub(super) fn file_of(name: &VaultName) -> String {
    format!("{name}{EXTENSION}")
}

fn name_of(file: &str) -> Option<VaultName> {
    VaultName::parse(file.strip_suffix(EXTENSION)?).ok()
}
