//! Inspects a plugin file by its bytes alone: no code of the file runs.
//!
//! [`inspect`] describes a well-formed plugin of any platform; [`Inspected::check_here`] checks
//! whether this machine can load it. Both show that a file fits, never that it is honest:
//! [`pins`](super::pins) records trust.

mod elf;
mod entry;
mod error;
mod here;
mod macho;
mod manifest;
mod pe;
mod permission;
mod text;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

use std::fmt;

use object::Endianness;

pub use error::Error;
pub(crate) use here::ELF_BASE;
pub use here::LocalPlatform;
pub use manifest::{ParsedKind, ParsedManifest, Request, Unknown};
pub use permission::{FileAccess, Permission};
pub(crate) use permission::{is_reserved, is_variable, resolved};

/// The result of an inspection.
type Result<T, E = Error> = std::result::Result<T, E>;

/// The constructors every Rust library has: the C runtime's `frame_dummy`, and std's, which
/// keeps the program's arguments.
const RUST_CONSTRUCTORS: usize = 2;

/// Maximum number of needed libraries: a plugin with every system library has a dozen.
const MAX_NEEDED: usize = 256;

/// Format of a plugin file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Linux and most other Unix systems.
    Elf,
    /// Windows.
    Pe,
    /// macOS.
    MachO,
}

impl Format {
    /// Returns the format's name for users and for `--json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elf => "ELF",
            Self::Pe => "PE",
            Self::MachO => "Mach-O",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The machine a file is for: instruction set, word size and byte order together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm, little-endian.
    Aarch64,
    /// 32-bit x86.
    X86,
    /// 32-bit Arm, little-endian.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// IBM Z.
    S390x,
    /// 64-bit POWER, little-endian.
    Powerpc64le,
    /// 64-bit LoongArch.
    Loongarch64,
    /// Any other machine, by the number that its file format gives it.
    Other(u32),
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "aarch64",
            Self::X86 => "x86",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
            Self::S390x => "s390x",
            Self::Powerpc64le => "powerpc64le",
            Self::Loongarch64 => "loongarch64",
            Self::Other(number) => return write!(f, "machine {number:#x}"),
        })
    }
}

/// ABI of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// The Rust ABI, by abi_stable 0.11.
    Rust,
    /// The C ABI, version 1.
    C,
}

impl Abi {
    /// Returns the ABI's name, as the manifest's header has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "abi_stable-0.11",
            Self::C => "c-1",
        }
    }

    /// Returns the ABI of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Rust, Self::C].into_iter().find(|abi| abi.as_str() == name)
    }
}

impl fmt::Display for Abi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A property of a file that is no error, but worth a report before the user trusts the file.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InspectionNote {
    /// More functions run while the file is loaded than the two of every Rust library.
    Constructors(usize),
    /// The plugin has memory that is writable and executable.
    WritableCode,
    /// The file still has its symbols.
    NotStripped,
    /// The manifest has a member at this path that this host does not know: a misspelling, or part
    /// of a later plugin API.
    UnknownMember(String),
}

impl fmt::Display for InspectionNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constructors(count) => {
                write!(
                    f,
                    "runs {count} functions while it is loaded; {RUST_CONSTRUCTORS} are usual"
                )
            }
            Self::WritableCode => f.write_str("has memory that can be both written and run"),
            Self::NotStripped => f.write_str("is not stripped: larger than it has to be"),
            Self::UnknownMember(path) => write!(
                f,
                "its manifest has the member `{path}`, which this host does not know and passes over"
            ),
        }
    }
}

/// The description of a plugin file. Only [`inspect`] creates it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The plugin's self-description.
    pub manifest: ParsedManifest,
    /// The file's format.
    pub format: Format,
    /// The machine that the file is for.
    pub machine: Machine,
    /// The plugin's ABI.
    pub abi: Abi,
    /// Libraries that the plugin needs, as the file names them, in the file's order.
    pub needed: Vec<String>,
    /// Newest version of the GNU C library whose symbols the file uses; `None` without any.
    pub glibc: Option<(u32, u32)>,
    /// Number of functions that run during loading, if the format lists them: 0 for PE.
    pub constructors: usize,
    /// Notes for the user who decides about the file.
    pub findings: Vec<InspectionNote>,
}

/// The parts of a file that a format's reader extracted, not yet interpreted.
struct Raw<'data> {
    format: Format,
    machine: Machine,
    endian: Endianness,
    /// Size of a pointer, in bytes: 4 or 8.
    pointer_bytes: usize,
    /// The manifest's header, its JSON, and what may follow it in the section.
    block: &'data [u8],
    rust_entry: Option<entry::Entry<'data>>,
    c_entry: Option<entry::Entry<'data>>,
    needed: Vec<String>,
    glibc: Option<(u32, u32)>,
    constructors: usize,
    findings: Vec<InspectionNote>,
}

/// Describes a plugin file from its bytes.
///
/// # Errors
/// [`Error`], for everything that is wrong with the file on every machine.
pub fn inspect(bytes: &[u8]) -> Result<Inspected> {
    let mut raw = match bytes {
        [0x7f, b'E', b'L', b'F', ..] => elf::read(bytes)?,
        [b'M', b'Z', ..] => pe::read(bytes)?,
        _ if macho::is_thin(bytes) => macho::read(bytes)?,
        _ if macho::is_universal(bytes) => return Err(Error::Universal),
        _ => return Err(Error::NotLibrary { found: text::kind_of(bytes) }),
    };
    let (abi, json) = manifest::block(raw.block, raw.endian)?;
    let (manifest, passed_over) = ParsedManifest::parse_whole(json)?;
    entry::check(abi, &raw)?;
    if raw.constructors > RUST_CONSTRUCTORS {
        raw.findings.push(InspectionNote::Constructors(raw.constructors));
    }
    raw.findings.extend(passed_over.into_iter().map(InspectionNote::UnknownMember));
    Ok(Inspected {
        manifest,
        format: raw.format,
        machine: raw.machine,
        abi,
        needed: raw.needed,
        glibc: raw.glibc,
        constructors: raw.constructors,
        findings: raw.findings,
    })
}

/// Refuses a file that ends before `needs`.
fn within(bytes: &[u8], needs: u64) -> Result<()> {
    let has = bytes.len() as u64;
    if needs > has { Err(Error::Truncated { has, needs }) } else { Ok(()) }
}
