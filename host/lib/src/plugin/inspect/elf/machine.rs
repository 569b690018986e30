//! The loader's view of a file's machine: its page size, its form of relocations, and its own tags
//! in the dynamic table.

use object::read::elf::FileHeader;
use object::{Endianness, elf};

use super::super::here::machine as here;
use super::Machine;

/// Properties of a machine that decide how a file is loaded.
pub(super) struct Traits {
    /// Size of the largest pages that a kernel for this machine is built with, in bytes.
    pub(super) page: u64,
    /// The only form of relocations that glibc reads here; `None` if glibc reads both.
    pub(super) form: Option<Form>,
    /// The special relocations; `None` for a machine that no plugin is loaded on.
    pub(super) relocations: Option<Relocations>,
    /// Size of a number in the hash table of System V, in bytes.
    pub(super) hash_word: usize,
    /// The machine's own tags; `None` for a machine that no plugin is loaded on.
    pub(super) tags: Option<&'static [elf::DynamicTag]>,
}

/// Location of the number that a relocation adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// At the changed address.
    Rel,
    /// In the relocation.
    Rela,
}

/// The relocations that the loader treats differently from others.
pub(super) struct Relocations {
    /// Relocations that only add the address the file is mapped at.
    pub(super) relative: &'static [u32],
    /// Calls a function of the file for the value.
    pub(super) indirect: u32,
    /// Copies from another library: occurs in programs, never in libraries.
    pub(super) copy: u32,
    /// Writes two words.
    pub(super) wide: Option<u32>,
}

/// The tags with which binutils marks the procedure table of x86-64 (`-z mark-plt`): where it
/// is, its size, and that of an entry.
pub(super) const X86_64_PLT: [elf::DynamicTag; 3] = [
    elf::DynamicTag(elf::DT_LOPROC),
    elf::DynamicTag(elf::DT_LOPROC + 1),
    elf::DynamicTag(elf::DT_LOPROC + 3),
];

const KIB: u64 = 1_024;

impl Traits {
    /// Returns the known properties of a file's machine. A file for a machine other than this is
    /// described, and never loaded.
    pub(super) fn of(machine: Machine) -> Self {
        let machine = if machine == here() { machine } else { Machine::Other(0) };
        let relocations = |relative, indirect, copy, wide: Option<elf::RelocationType>| {
            Some(Relocations { relative, indirect, copy, wide: wide.map(|kind| kind.0) })
        };
        let (page, form, relocations, tags): (_, _, _, &[elf::DynamicTag]) = match machine {
            Machine::X86_64 => (
                4 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_X86_64_RELATIVE.0, elf::R_X86_64_RELATIVE64.0],
                    elf::R_X86_64_IRELATIVE.0,
                    elf::R_X86_64_COPY.0,
                    Some(elf::R_X86_64_TLSDESC),
                ),
                &X86_64_PLT,
            ),
            Machine::Aarch64 => (
                64 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_AARCH64_RELATIVE.0],
                    elf::R_AARCH64_IRELATIVE.0,
                    elf::R_AARCH64_COPY.0,
                    Some(elf::R_AARCH64_TLSDESC),
                ),
                &[elf::DT_AARCH64_BTI_PLT, elf::DT_AARCH64_PAC_PLT, elf::DT_AARCH64_VARIANT_PCS],
            ),
            Machine::X86 => (
                4 * KIB,
                Form::Rel,
                relocations(
                    &[elf::R_386_RELATIVE.0],
                    elf::R_386_IRELATIVE.0,
                    elf::R_386_COPY.0,
                    Some(elf::R_386_TLS_DESC),
                ),
                &[],
            ),
            Machine::Arm => (
                4 * KIB,
                Form::Rel,
                relocations(
                    &[elf::R_ARM_RELATIVE.0],
                    elf::R_ARM_IRELATIVE.0,
                    elf::R_ARM_COPY.0,
                    Some(elf::R_ARM_TLS_DESC),
                ),
                &[],
            ),
            Machine::Riscv64 => (
                4 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_RISCV_RELATIVE.0],
                    elf::R_RISCV_IRELATIVE.0,
                    elf::R_RISCV_COPY.0,
                    Some(elf::R_RISCV_TLSDESC),
                ),
                &[elf::DT_RISCV_VARIANT_CC],
            ),
            Machine::S390x => (
                4 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_390_RELATIVE.0],
                    elf::R_390_IRELATIVE.0,
                    elf::R_390_COPY.0,
                    None,
                ),
                &[],
            ),
            Machine::Powerpc64le => (
                64 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_PPC64_RELATIVE.0],
                    elf::R_PPC64_IRELATIVE.0,
                    elf::R_PPC64_COPY.0,
                    None,
                ),
                &[elf::DT_PPC64_GLINK, elf::DT_PPC64_OPD, elf::DT_PPC64_OPDSZ, elf::DT_PPC64_OPT],
            ),
            Machine::Loongarch64 => (
                64 * KIB,
                Form::Rela,
                relocations(
                    &[elf::R_LARCH_RELATIVE.0],
                    elf::R_LARCH_IRELATIVE.0,
                    elf::R_LARCH_COPY.0,
                    Some(elf::R_LARCH_TLS_DESC64),
                ),
                &[],
            ),
            Machine::Other(_) => {
                return Self {
                    page: 4 * KIB,
                    form: None,
                    relocations: None,
                    hash_word: 4,
                    tags: None,
                };
            }
        };
        // glibc reads both forms on 32-bit Arm; linkers write only one there.
        let hash_word = if machine == Machine::S390x { 8 } else { 4 };
        Self { page, form: Some(form), relocations, hash_word, tags: Some(tags) }
    }
}

/// Returns the machine that a file is for.
pub(super) fn machine<Elf>(header: &Elf, endian: Endianness) -> Machine
where
    Elf: FileHeader<Endian = Endianness>,
{
    let machine = header.e_machine(endian);
    match (machine, header.is_class_64(), endian) {
        (elf::EM_X86_64, true, Endianness::Little) => Machine::X86_64,
        (elf::EM_AARCH64, true, Endianness::Little) => Machine::Aarch64,
        (elf::EM_386, false, Endianness::Little) => Machine::X86,
        (elf::EM_ARM, false, Endianness::Little) => Machine::Arm,
        (elf::EM_RISCV, true, Endianness::Little) => Machine::Riscv64,
        (elf::EM_S390, true, Endianness::Big) => Machine::S390x,
        (elf::EM_PPC64, true, Endianness::Little) => Machine::Powerpc64le,
        (elf::EM_LOONGARCH, true, Endianness::Little) => Machine::Loongarch64,
        _ => Machine::Other(u32::from(machine.0)),
    }
}
