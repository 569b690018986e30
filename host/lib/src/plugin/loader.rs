//! Maps a plugin file and takes its root, or its C table: code of the plugin runs here for the
//! first time. [`super::trust`] decides before whether the file may be mapped.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use abi_stable::library::{
    AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModuleError,
};
use keystead_plugin_api::abi::{self, AbiPluginRef, Client, Serve, Served};
use keystead_plugin_api::{Context, OpenRequest, Result as PluginResult, Vault};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::abi_check::{self, AbiCompatibility};
use super::c_abi::{self, CPlugin};
use super::inspect::Abi;
use super::trust::Trusted;

/// Reason why an inspected and trusted file cannot be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system's loader refuses the file: a missing library or symbol.
    #[error("{path} cannot be loaded: {message}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The message of the system's loader.
        message: String,
    },
    /// The file has no entry point of a plugin.
    #[error("{path} has no plugin entry point")]
    Symbol {
        /// The file.
        path: PathBuf,
    },
    /// The file was built with another version of abi_stable.
    #[error("{path} was made with abi_stable {major}.{minor}; this host needs 0.11")]
    Header {
        /// The file.
        path: PathBuf,
        /// The major version in the file's header.
        major: u32,
        /// The minor version in the file's header.
        minor: u32,
    },
    /// The compilers disagree on the C calling convention for empty values.
    #[error("{path} was built with another C calling convention")]
    CallingConvention {
        /// The file.
        path: PathBuf,
    },
    /// The plugin hides its types from the check.
    #[error("{path} has its layout check switched off")]
    LayoutCheckDisabled {
        /// The file.
        path: PathBuf,
    },
    /// A type of the plugin API differs.
    #[error("{path} does not fit this host: {difference}")]
    Layout {
        /// The file.
        path: PathBuf,
        /// Path of the type from the root down, and both sides.
        difference: String,
    },
    /// The plugin's C table cannot be used.
    #[error("{path} has no table of the C ABI: {problem}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Description of the problem.
        problem: String,
    },
    /// The plugin's own start-up code failed.
    #[error("{path} failed to start: {message}")]
    Root {
        /// The file.
        path: PathBuf,
        /// The known details.
        message: String,
    },
}

impl Error {
    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open { .. } => "E08.open",
            Self::Symbol { .. } => "E08.symbol",
            Self::Header { .. } => "E09.header",
            Self::CallingConvention { .. } => "E09.calling-convention",
            Self::LayoutCheckDisabled { .. } => "E09.layout-check-disabled",
            Self::Layout { .. } => "E09.layout",
            Self::Table { .. } => "E09.table",
            Self::Root { .. } => "E10.root",
        }
    }

    /// Returns the stable code that equals this text, if any.
    pub(super) fn known_code(text: &str) -> Option<&'static str> {
        const ALL: [&str; 8] = [
            "E08.open",
            "E08.symbol",
            "E09.header",
            "E09.calling-convention",
            "E09.layout-check-disabled",
            "E09.layout",
            "E09.table",
            "E10.root",
        ];
        ALL.into_iter().find(|code| *code == text)
    }
}

/// A plugin whose code is mapped and whose plugin API fits. It is never unmapped: its threads and
/// destructors may outlive any handle.
#[derive(Clone, Copy)]
pub struct Loaded {
    entry: EntryPoint,
    fit: AbiCompatibility,
}

/// The entry point of a plugin.
#[derive(Clone, Copy)]
enum EntryPoint {
    Rust(AbiPluginRef),
    C(CPlugin),
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("fit", &self.fit).finish_non_exhaustive()
    }
}

impl Loaded {
    /// Returns how the plugin's API relates to the host's.
    pub fn fit(&self) -> AbiCompatibility {
        self.fit
    }

    /// Opens a vault.
    ///
    /// # Errors
    /// The plugin's error.
    pub fn open(&self, request: &OpenRequest, context: Context) -> PluginResult<Box<dyn Vault>> {
        match self.entry {
            EntryPoint::Rust(root) => Ok(Box::new(Client::new(abi::open(root, request, context)?))),
            EntryPoint::C(plugin) => plugin.open(request, context),
        }
    }

    /// Opens a vault for a runner, which only passes on calls and replies.
    pub(super) fn serve(
        &self,
        request: &OpenRequest,
        context: Context,
    ) -> PluginResult<Box<dyn Serve>> {
        match self.entry {
            EntryPoint::Rust(root) => Ok(Box::new(abi::open(root, request, context)?)),
            EntryPoint::C(plugin) => Ok(Box::new(Served::new(plugin.open(request, context)?))),
        }
    }
}

/// One image for each content: two images of a plugin would share locks and files without knowing
/// of each other.
static LOADED: Mutex<Option<HashMap<[u8; 32], Loaded>>> = Mutex::new(None);

/// Maps a trusted plugin's file into this process and checks that its plugin API fits. The check is
/// most of the loading cost: the same host skips it for bytes that it checked before.
///
/// # Errors
/// [`Error`], before or after code of the plugin has run.
pub fn load(trusted: &Trusted) -> Result<Loaded, Error> {
    map(trusted.path(), *trusted.sha256().as_bytes(), trusted.abi(), trusted.fit())
}

/// Loads a plugin like [`load`], for a runner: its host has sent it the bytes, and trusts them.
///
/// The caller guarantees that `path` leads to a file of this hash that passed inspection. No
/// process may change the file: cutting a mapped file short ends the process.
pub(super) fn map(
    path: &Path,
    sha256: [u8; 32],
    abi: Abi,
    known: Option<AbiCompatibility>,
) -> Result<Loaded, Error> {
    let mut cache = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let cache = cache.get_or_insert_with(HashMap::new);
    if let Some(loaded) = cache.get(&sha256) {
        return Ok(*loaded);
    }
    let loaded = load_new(path, abi, known)?;
    cache.insert(sha256, loaded);
    Ok(loaded)
}

fn load_new(path: &Path, abi: Abi, known: Option<AbiCompatibility>) -> Result<Loaded, Error> {
    let own = || path.to_path_buf();

    // RTLD_NOW: a missing symbol is an error here, not the end of the process at the first
    // call. RTLD_LOCAL: plugins do not see each other's symbols.
    // SAFETY: runs the file's constructors. The caller guarantees the file; a runner's process is
    // in its sandbox before.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
        .map_err(|fault| Error::Open { path: own(), message: reason(&fault) })?;
    // Never unmapped, however this function returns: its constructors may have started threads.
    let library = ManuallyDrop::new(library);
    match abi {
        Abi::Rust => enter(&library, path, known),
        Abi::C => enter_c(&library, path),
    }
}

/// Takes the table of a plugin of the C ABI. The check is too cheap to cache.
fn enter_c(library: &Library, path: &Path) -> Result<Loaded, Error> {
    let own = || path.to_path_buf();
    // SAFETY: the symbol is a function of this type, by the header of the C ABI; inspection
    // has found it in the file.
    let entry = unsafe { library.get::<c_abi::Entry>(c_abi::ENTRY) }
        .map_err(|_| Error::Symbol { path: own() })?;
    // SAFETY: as above.
    let (plugin, fit) =
        unsafe { c_abi::enter(*entry) }.map_err(|problem| Error::Table { path: own(), problem })?;
    Ok(Loaded { entry: EntryPoint::C(plugin), fit })
}

/// Takes the root of a plugin of the Rust ABI.
fn enter(library: &Library, path: &Path, known: Option<AbiCompatibility>) -> Result<Loaded, Error> {
    let own = || path.to_path_buf();
    // SAFETY: the symbol is the address of a static of this type, by the name that abi_stable gives
    // it. Inspection has compared magic, version and size in the file.
    let header =
        unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes()) }
            .map(|symbol| *symbol)
            .map_err(|_| Error::Symbol { path: own() })?;

    let header = header.upgrade().map_err(|fault| match fault {
        LibraryError::InvalidAbiHeader(found) => {
            Error::Header { path: own(), major: found.abi_major, minor: found.abi_minor }
        }
        _ => Error::CallingConvention { path: own() },
    })?;
    let layout = header.layout().ok_or_else(|| Error::LayoutCheckDisabled { path: own() })?;
    let fit = match known {
        Some(fit) => fit,
        None => abi_check::fit(layout)
            .map_err(|difference| Error::Layout { path: own(), difference: line(&difference) })?,
    };

    // SAFETY: the layout fits: checked above, or earlier for the same bytes by this host.
    let root = unsafe { header.init_root_module_with_unchecked_layout::<AbiPluginRef>() }
        .map_err(|fault| Error::Root { path: own(), message: start_fault(&fault) })?;
    Ok(Loaded { entry: EntryPoint::Rust(root), fit })
}

/// Returns the source of a loading error: libloading's own text says only that loading failed.
fn reason(fault: &libloading::Error) -> String {
    std::error::Error::source(fault)
        .map_or_else(|| line(&fault.to_string()), |source| line(&source.to_string()))
}

/// Returns text that may quote the file as one line of at most 1,000 characters.
fn line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(1_000).collect()
}

fn start_fault(fault: &LibraryError) -> String {
    match fault {
        LibraryError::RootModule { err: RootModuleError::Unwound, .. } => {
            "its constructor panicked".to_owned()
        }
        LibraryError::IncompatibleVersionNumber { expected_version, actual_version, .. } => {
            format!(
                "it has version {actual_version} of the contract; this host has {expected_version}"
            )
        }
        _ => "its constructor refused".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loader_error_codes_are_recognised() {
        let path = || PathBuf::from("/plugin.so");
        let message = String::new;
        let all = [
            Error::Open { path: path(), message: message() },
            Error::Symbol { path: path() },
            Error::Header { path: path(), major: 0, minor: 10 },
            Error::CallingConvention { path: path() },
            Error::LayoutCheckDisabled { path: path() },
            Error::Layout { path: path(), difference: message() },
            Error::Table { path: path(), problem: message() },
            Error::Root { path: path(), message: message() },
        ];
        for error in all {
            assert_eq!(Error::known_code(error.code()), Some(error.code()));
        }
        assert_eq!(Error::known_code("E08.example"), None);
    }
}
