//! Whether a plugin that is well-formed can be loaded on this machine.

use std::collections::BTreeSet;

use super::{Error, Format, Inspected, Machine, Permission, Result, elf, text};

/// The libraries that are part of every glibc system, and that every Rust plugin may need.
pub(crate) const ELF_BASE: &[&str] = &[
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
];

/// The libraries that Rust's std for Windows needs, beside `api-ms-win-…`.
const PE_BASE: &[&str] = &[
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ntdll.dll",
    "ucrtbase.dll",
    "userenv.dll",
    "vcruntime140.dll",
    "ws2_32.dll",
];

/// Directories that macOS protects itself.
const MACHO_BASE: &[&str] = &["/System/Library/", "/usr/lib/"];

/// This machine, this system and this host, and the granted libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPlatform {
    /// Format of the files that are loaded here.
    pub format: Format,
    /// This machine.
    pub machine: Machine,
    /// Version of the GNU C library here; `None` if there is none or its version is unreadable. The
    /// loader then decides.
    pub glibc: Option<(u32, u32)>,
    /// Version of the host's plugin API.
    pub api: semver::Version,
    /// Libraries granted beyond those of every system, by the names under which files need them.
    pub granted_libraries: BTreeSet<String>,
}

impl LocalPlatform {
    /// Returns the platform of this process, with no library granted.
    ///
    /// Reads the C library's file: call it to inspect a plugin, not on every vault call.
    pub fn current() -> Self {
        let api = keystead_plugin_api::manifest::API_VERSION;
        Self {
            format: if cfg!(windows) {
                Format::Pe
            } else if cfg!(target_vendor = "apple") {
                Format::MachO
            } else {
                Format::Elf
            },
            machine: machine(),
            glibc: running_glibc(),
            api: semver::Version::parse(api).expect("cargo accepts nothing else as a version"),
            granted_libraries: BTreeSet::new(),
        }
    }

    /// Grants the libraries among these permissions.
    pub fn granting<'a>(mut self, permissions: impl IntoIterator<Item = &'a Permission>) -> Self {
        self.granted_libraries.extend(permissions.into_iter().filter_map(|permission| {
            match permission {
                Permission::Library(name) => Some(name.clone()),
                _ => None,
            }
        }));
        self
    }
}

impl Inspected {
    /// Checks conditions of this machine: format, machine, C library and version of the plugin API.
    /// Every library that the plugin needs must be the system's, or requested by its manifest and
    /// granted.
    ///
    /// Accepts a plugin for a newer minor version of the plugin API: the layout check decides
    /// whether it fits.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn check_here(&self, here: &LocalPlatform) -> Result<()> {
        if self.format != here.format {
            return Err(Error::OtherPlatform { found: self.format, here: here.format });
        }
        if self.machine != here.machine {
            return Err(Error::OtherMachine { found: self.machine, here: here.machine });
        }
        let api = &self.manifest.api;
        if api.major != here.api.major || api.major == 0 {
            return Err(Error::Api { found: api.clone(), here: here.api.clone() });
        }
        if let (Some(needs), Some(has)) = (self.glibc, here.glibc)
            && needs > has
        {
            return Err(Error::Glibc { needs, has });
        }
        for library in self.extra_libraries() {
            let asked = Permission::Library(library.to_owned());
            if !self.manifest.permissions.contains(&asked) {
                return Err(Error::LibraryNotAsked { library: text::shown(library) });
            }
            if !here.granted_libraries.contains(library) {
                return Err(Error::LibraryNotGranted { library: text::shown(library) });
            }
        }
        Ok(())
    }

    /// Returns the libraries the plugin needs that are not part of every system of its kind.
    pub fn extra_libraries(&self) -> impl Iterator<Item = &str> {
        let format = self.format;
        self.needed.iter().map(String::as_str).filter(move |name| !is_base(format, name))
    }
}

/// Returns the machine that this host is built for.
pub(super) fn machine() -> Machine {
    match std::env::consts::ARCH {
        "x86_64" if cfg!(target_pointer_width = "64") => Machine::X86_64,
        "aarch64" if cfg!(target_endian = "little") => Machine::Aarch64,
        "x86" => Machine::X86,
        "arm" if cfg!(target_endian = "little") => Machine::Arm,
        "riscv64" => Machine::Riscv64,
        "s390x" => Machine::S390x,
        "powerpc64" if cfg!(target_endian = "little") => Machine::Powerpc64le,
        "loongarch64" => Machine::Loongarch64,
        _ => Machine::Other(0),
    }
}

fn is_base(format: Format, name: &str) -> bool {
    match format {
        Format::Elf => ELF_BASE.contains(&name),
        Format::Pe => {
            let name = name.to_ascii_lowercase();
            PE_BASE.contains(&name.as_str()) || name.starts_with("api-ms-win-")
        }
        Format::MachO => {
            MACHO_BASE.iter().any(|dir| name.starts_with(dir)) && !name.contains("/../")
        }
    }
}

/// Returns the version of the glibc this process runs with: the newest version of symbols
/// that the file mapped as `libc.so.6` defines.
fn running_glibc() -> Option<(u32, u32)> {
    let maps = fs_err::read_to_string("/proc/self/maps").ok()?;
    let path = maps.lines().find_map(|line| {
        let path = &line[line.find('/')?..];
        path.ends_with("/libc.so.6").then_some(path)
    })?;
    let bytes = fs_err::read(path).ok()?;
    elf::defined_versions(&bytes).iter().filter_map(|name| elf::glibc_version(name)).max()
}
