//! Why a file is not a plugin, or not one for this machine.

use super::{Format, Machine};

/// Why a file is not a plugin (from [`inspect`](super::inspect)), or not one that can be
/// loaded here (from [`Inspected::check_here`](super::Inspected::check_here)).
///
/// Text in it that comes from the file is cut short and has no control characters.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is not a shared library.
    #[error("the file is not a shared library: it is {found}")]
    NotLibrary {
        /// Kind of file that it resembles.
        found: &'static str,
    },
    /// A macOS file for several machines; the host loads only files for a single one.
    #[error("the file is a universal binary: split it with `lipo -thin`")]
    Universal,
    /// The file is shorter than its own headers say: cut off while it was copied.
    #[error("the file is cut off: it has {has} bytes and needs at least {needs}")]
    Truncated {
        /// Number of bytes in the file.
        has: u64,
        /// Number of bytes that the file needs at least.
        needs: u64,
    },
    /// The file's headers contradict themselves: damaged or made to mislead.
    #[error("the file is malformed: {what}")]
    Malformed {
        /// The header and its fault.
        what: String,
    },
    /// The file can be read in two ways, and the system's loader uses the other one: it would not
    /// load what was inspected.
    #[error("the system's loader would read the file in another way: {what}")]
    NotAsLoaded {
        /// Where the two readings differ.
        what: String,
    },
    /// The file requests more from the system's loader than to be mapped and linked.
    #[error("the library asks the system's loader for what no plugin may have: {what}")]
    LoaderRequest {
        /// The entry or the flags.
        what: String,
    },
    /// A shared library without a manifest: no plugin.
    #[error("the library has no manifest: it is not a plugin")]
    NoManifest,
    /// The manifest is not JSON of the expected form.
    #[error("the manifest is not JSON as expected: {what}")]
    ManifestNotJson {
        /// The parser's error, with line and column.
        what: String,
    },
    /// The manifest is readable, but has an invalid member.
    #[error("the manifest is not valid: {what}")]
    BadManifest {
        /// The member and its fault.
        what: String,
    },
    /// The library has a manifest, but lacks the symbol of its entry.
    #[error("the library does not export `{symbol}`")]
    NoEntry {
        /// The symbol that is missing or of another type.
        symbol: &'static str,
    },
    /// The entry symbol is too small for its content.
    #[error("the symbol `{symbol}` has {has} bytes instead of {needs}")]
    ShortEntry {
        /// The symbol.
        symbol: &'static str,
        /// Bytes at the symbol.
        has: u64,
        /// Bytes that are needed.
        needs: u64,
    },
    /// The data at the entry symbol is not a header of abi_stable.
    #[error("the symbol `{symbol}` is not a header of abi_stable")]
    WrongMagic {
        /// The symbol.
        symbol: &'static str,
    },
    /// The file names directories for the search of its libraries: a user who can write there could
    /// add code.
    #[error("the library brings its own search path: {what}")]
    SearchPath {
        /// The entry: `RUNPATH`, `RPATH`, or a needed library with a path.
        what: String,
    },
    /// Loading the file changes its code (`TEXTREL`).
    #[error("the library has relocations in its code: it was built without `-fPIC`")]
    TextRelocations,
    /// The file requests an executable stack.
    #[error("the library asks for an executable stack")]
    ExecutableStack,
    /// The plugin was built for another operating system.
    #[error("the plugin is a {found} file and this system loads {here} files")]
    OtherPlatform {
        /// The file's format.
        found: Format,
        /// The format that is loaded here.
        here: Format,
    },
    /// The plugin was built for another machine.
    #[error("the plugin is for {found} and this machine is {here}")]
    OtherMachine {
        /// The file's machine.
        found: Machine,
        /// This machine.
        here: Machine,
    },
    /// The manifest's form is newer than this host.
    #[error("the manifest has version {found} and this host reads version {here}")]
    ManifestVersion {
        /// The manifest's version.
        found: u32,
        /// The newest version that the host reads.
        here: u32,
    },
    /// The plugin has an ABI that this host does not know.
    #[error("the plugin has the ABI `{found}`; this host knows `abi_stable-0.11` and `c-1`")]
    UnknownAbi {
        /// The name in the manifest's header.
        found: String,
    },
    /// The plugin was built with another version of abi_stable.
    #[error("the plugin is built with abi_stable {major}.{minor}; this host needs 0.11")]
    AbiStable {
        /// The major version in the file.
        major: u32,
        /// The minor version in the file.
        minor: u32,
    },
    /// The plugin was built against another major version of the plugin API.
    #[error("the plugin is built for plugin API {found}; this host has {here}")]
    Api {
        /// The plugin's version.
        found: semver::Version,
        /// This host's version.
        here: semver::Version,
    },
    /// The plugin uses symbols of a newer C library than this system has.
    #[error("the plugin needs glibc {}.{}; this system has {}.{}", .needs.0, .needs.1, .has.0, .has.1)]
    Glibc {
        /// The newest version the plugin uses.
        needs: (u32, u32),
        /// The version that runs here.
        has: (u32, u32),
    },
    /// A permission that this host does not know.
    #[error("this host does not know the permission `{permission}`")]
    UnknownPermission {
        /// The permission as written.
        permission: String,
    },
    /// The file needs a library that its manifest does not request.
    #[error("the plugin needs the library `{library}` and its manifest does not ask for it")]
    LibraryNotAsked {
        /// The library.
        library: String,
    },
    /// The file needs a library that was requested but not granted.
    #[error("the plugin needs the library `{library}`, which was not granted")]
    LibraryNotGranted {
        /// The library.
        library: String,
    },
}

impl Error {
    /// Returns the stable code of this kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLibrary { .. } => "E05.not-a-library",
            Self::Universal => "E05.universal",
            Self::Truncated { .. } => "E05.truncated",
            Self::Malformed { .. } => "E05.malformed",
            Self::NotAsLoaded { .. } => "E05.not-as-loaded",
            Self::LoaderRequest { .. } => "E05.loader-request",
            Self::NoManifest => "E05.no-manifest",
            Self::ManifestNotJson { .. } => "E05.manifest-not-json",
            Self::BadManifest { .. } => "E05.bad-manifest",
            Self::NoEntry { .. } => "E05.no-entry",
            Self::ShortEntry { .. } => "E05.short-entry",
            Self::WrongMagic { .. } => "E05.wrong-magic",
            Self::SearchPath { .. } => "E05.search-path",
            Self::TextRelocations => "E05.text-relocations",
            Self::ExecutableStack => "E05.executable-stack",
            Self::OtherPlatform { .. } => "E05.other-platform",
            Self::OtherMachine { .. } => "E05.other-machine",
            Self::ManifestVersion { .. } => "E06.manifest-version",
            Self::UnknownAbi { .. } => "E06.unknown-abi",
            Self::AbiStable { .. } => "E06.abi-stable",
            Self::Api { .. } => "E06.api",
            Self::Glibc { .. } => "E06.glibc",
            Self::UnknownPermission { .. } => "E07.unknown-permission",
            Self::LibraryNotAsked { .. } => "E07.library-not-asked",
            Self::LibraryNotGranted { .. } => "E07.library-not-granted",
        }
    }

    pub(super) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    pub(super) fn not_as_loaded(what: impl Into<String>) -> Self {
        Self::NotAsLoaded { what: what.into() }
    }

    pub(super) fn loader_request(what: impl Into<String>) -> Self {
        Self::LoaderRequest { what: what.into() }
    }

    pub(super) fn bad_manifest(what: impl Into<String>) -> Self {
        Self::BadManifest { what: what.into() }
    }
}
