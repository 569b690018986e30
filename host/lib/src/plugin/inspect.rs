//! What a plugin file is, from its bytes alone: no code of it runs.
//!
//! [`inspect`] describes a well-formed plugin of any platform; [`Inspected::check_here`]
//! says whether this machine can load it. Both prove that a file fits, never that it is
//! honest: who vouches for it is the business of [`pins`](super::pins).

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
pub use here::Here;
pub use manifest::{Kind, Manifest, Request, Unknown};
pub use permission::{FileAccess, Permission};
pub(crate) use permission::{is_reserved, is_variable, resolved};

/// The result of looking into a file.
type Result<T, E = Error> = std::result::Result<T, E>;

/// The constructors every Rust library has: the C runtime's `frame_dummy`, and std's, which
/// keeps the program's arguments.
const RUST_CONSTRUCTORS: usize = 2;

/// The most libraries a plugin may need: a plugin with every system library has a dozen.
const MAX_NEEDED: usize = 256;

/// The form of a file.
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
    /// Returns the form's name for people and for `--json`.
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
    /// Any other, by the number its file format gives it.
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

/// Which ABI a plugin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// The Rust boundary, by abi_stable 0.11.
    Rust,
    /// The C table, version 1.
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

/// What is not wrong, and yet worth a line to whoever decides about the file.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Finding {
    /// More functions run while the file is loaded than the two of every Rust library.
    Constructors(usize),
    /// Memory of the plugin can be written and run.
    WritableCode,
    /// The file still has its symbols.
    NotStripped,
    /// The manifest has a member that this host does not know, at this path: it is misspelt, or of a
    /// later contract.
    UnknownMember(String),
}

impl fmt::Display for Finding {
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

/// A plugin file, described. Only [`inspect`] makes one.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What the plugin says of itself.
    pub manifest: Manifest,
    /// The form of the file.
    pub format: Format,
    /// The machine it is for.
    pub machine: Machine,
    /// Which ABI it has.
    pub abi: Abi,
    /// The libraries it needs, as the file names them, in its order.
    pub needed: Vec<String>,
    /// The newest version of the GNU C library whose symbols it uses.
    pub glibc: Option<(u32, u32)>,
    /// How many functions run while it is loaded, where the format lists them: 0 for PE.
    pub constructors: usize,
    /// What is worth a line to whoever decides about it.
    pub findings: Vec<Finding>,
}

/// What a format's reader took out of a file, not yet understood.
struct Raw<'data> {
    format: Format,
    machine: Machine,
    endian: Endianness,
    /// 4 or 8.
    pointer_bytes: usize,
    /// The manifest's header, its JSON, and what may follow it in the section.
    block: &'data [u8],
    rust_entry: Option<entry::Entry<'data>>,
    c_entry: Option<entry::Entry<'data>>,
    needed: Vec<String>,
    glibc: Option<(u32, u32)>,
    constructors: usize,
    findings: Vec<Finding>,
}

/// Describes a plugin file from its bytes.
///
/// # Errors
/// Whatever is wrong with the file on every machine: [`Error`] lists it.
pub fn inspect(bytes: &[u8]) -> Result<Inspected> {
    let mut raw = match bytes {
        [0x7f, b'E', b'L', b'F', ..] => elf::read(bytes)?,
        [b'M', b'Z', ..] => pe::read(bytes)?,
        _ if macho::is_thin(bytes) => macho::read(bytes)?,
        _ if macho::is_universal(bytes) => return Err(Error::Universal),
        _ => return Err(Error::NotLibrary { found: text::kind_of(bytes) }),
    };
    let (abi, json) = manifest::block(raw.block, raw.endian)?;
    let (manifest, passed_over) = Manifest::parse_whole(json)?;
    entry::check(abi, &raw)?;
    if raw.constructors > RUST_CONSTRUCTORS {
        raw.findings.push(Finding::Constructors(raw.constructors));
    }
    raw.findings.extend(passed_over.into_iter().map(Finding::UnknownMember));
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
