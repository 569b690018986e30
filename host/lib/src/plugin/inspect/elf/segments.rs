//! The program headers of segments that are not mapped: the loader's action for each, and the check
//! that each has one reading only.

use object::read::elf::FileHeader;
use object::{Endian, Endianness, elf};

use super::image::{Image, MAX_SPAN, Segment, Taken};
use super::{Error, Result};

/// Type of the note in which compilers declare the processor features that code needs.
const PROPERTY_TYPE: u32 = 5;

/// Refuses headers that the loader reads in another way.
pub(super) fn check<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    taken: &mut Taken,
) -> Result<()> {
    stack(image)?;
    program_headers(image, taken)?;
    for (kind, what) in [
        (elf::PT_NOTE, "note"),
        (elf::PT_GNU_PROPERTY, "property"),
        (elf::PT_GNU_EH_FRAME, "table for unwinding"),
    ] {
        for segment in image.segments(kind).filter(|segment| segment.file.max(segment.memory) > 0) {
            same_place(image, segment, what)?;
            taken.add(segment.address, segment.file, what);
            if kind != elf::PT_GNU_EH_FRAME {
                properties(image, segment)?;
            }
        }
    }
    thread_locals(image)?;
    read_only_later(image)
}

/// Returns the only segment of this kind, if any: of several, the loader takes the last.
pub(super) fn only<'a, Elf: FileHeader<Endian = Endianness>>(
    image: &'a Image<'_, Elf>,
    kind: elf::ProgramType,
    what: &str,
) -> Result<Option<&'a Segment>> {
    let mut all = image.segments(kind);
    let first = all.next();
    match all.next() {
        None => Ok(first),
        Some(_) => Err(Error::not_as_loaded(format!("there are two ELF segments for the {what}"))),
    }
}

/// Refuses a segment whose memory address and file offset do not match: the loader uses the
/// address, other tools use the offset.
pub(super) fn same_place<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    segment: &Segment,
    what: &str,
) -> Result<()> {
    if segment.file == segment.memory
        && image.is_mapped(segment.offset, segment.address, segment.file)
    {
        return Ok(());
    }
    Err(Error::not_as_loaded(format!("the ELF {what} is not in memory what it is in the file")))
}

/// Refuses a library for which the loader makes the stack executable: if the header is missing,
/// glibc assumes the worst.
fn stack<Elf: FileHeader<Endian = Endianness>>(image: &Image<'_, Elf>) -> Result<()> {
    let mut stacks = image.segments(elf::PT_GNU_STACK).peekable();
    let harmless = stacks.peek().is_some() && stacks.all(|stack| !stack.flags.contains(elf::PF_X));
    if harmless { Ok(()) } else { Err(Error::ExecutableStack) }
}

/// Refuses program headers that differ in memory, where glibc reads them again.
fn program_headers<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    taken: &mut Taken,
) -> Result<()> {
    let offset = image.header.e_phoff(image.endian).into();
    let len = u64::from(image.header.e_phnum(image.endian))
        * u64::from(image.header.e_phentsize(image.endian));
    let mut place = image.place_of(offset, len)?;
    if let Some(segment) = only(image, elf::PT_PHDR, "program headers")? {
        if !image.is_mapped(offset, segment.address, len) {
            return Err(Error::not_as_loaded(
                "the ELF program headers are not in memory what they are in the file",
            ));
        }
        place = Some(segment.address);
    }
    if let Some(address) = place {
        taken.add(address, len, "program headers");
    }
    Ok(())
}

/// Refuses data that the loader copies for each thread and that is not in the file.
fn thread_locals<Elf: FileHeader<Endian = Endianness>>(image: &Image<'_, Elf>) -> Result<()> {
    let what = "thread-local data";
    let Some(segment) = only(image, elf::PT_TLS, what)? else { return Ok(()) };
    let fits = segment.file <= segment.memory
        && segment.memory <= MAX_SPAN
        && (segment.align == 0 || segment.align.is_power_of_two() && segment.align <= MAX_SPAN);
    if !fits {
        return Err(Error::malformed(format!("the ELF {what} has an impossible size")));
    }
    if segment.file > 0 && !image.is_mapped(segment.offset, segment.address, segment.file) {
        return Err(Error::not_as_loaded(format!(
            "the ELF {what} is not in memory what it is in the file"
        )));
    }
    Ok(())
}

/// Refuses a library for which the loader protects memory that is not its data: glibc uses any
/// address that the header has.
fn read_only_later<Elf: FileHeader<Endian = Endianness>>(image: &Image<'_, Elf>) -> Result<()> {
    let what = "data that is read-only later";
    let Some(segment) = only(image, elf::PT_GNU_RELRO, what)? else { return Ok(()) };
    let page = image.traits.page;
    let end = segment.address.checked_add(segment.memory);
    let inside = end.is_some_and(|end| {
        image.loads().any(|load| {
            load.flags.contains(elf::PF_W)
                && segment.address >= load.address - load.address % page
                && end <= (load.address + load.memory).next_multiple_of(page)
        })
    });
    if inside { Ok(()) } else { Err(Error::malformed(format!("the ELF {what} is not its data"))) }
}

/// Refuses a note with properties of the code that is longer than its segment: glibc trusts the
/// note's length.
fn properties<Elf: FileHeader<Endian = Endianness>>(
    image: &Image<'_, Elf>,
    segment: &Segment,
) -> Result<()> {
    // glibc skips notes with another alignment.
    if segment.align != image.word() {
        return Ok(());
    }
    let align = segment.align;
    let mut rest = image.span(segment.address, segment.file).unwrap_or_default();
    while let Some((head, _)) = rest.split_first_chunk::<12>() {
        let number = |at: usize| {
            let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            image.endian.read_u32(bytes)
        };
        let (name, description) = (u64::from(number(0)), u64::from(number(4)));
        let is_property = name == 4 && number(8) == PROPERTY_TYPE;
        let start = (12 + name).next_multiple_of(align);
        let next = (start + description).next_multiple_of(align);
        if is_property && start + description > rest.len() as u64 {
            return Err(Error::malformed("an ELF property is longer than its segment"));
        }
        match usize::try_from(next).ok().and_then(|next| rest.get(next..)) {
            Some(after) => rest = after,
            None => return Ok(()),
        }
    }
    Ok(())
}
