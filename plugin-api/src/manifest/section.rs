//! The bytes around the manifest in a plugin file: an ELF note `.note.keystead`, a Mach-O
//! section `__DATA,__keystead`, a PE section `.keystd`.
//!
//! All three hold the same block: [`Header`], then the manifest as JSON. In ELF a note
//! header of owner `Keystead` and type 1 stands before it, so that it is found through
//! the program headers of a stripped file as well.

/// The first bytes of the block.
pub const MAGIC: [u8; 8] = *b"KEYSTEAD";

/// The version of the block's form that this crate writes.
pub const MANIFEST_VERSION: u32 = 1;

/// What the plugin's entry point is: the Rust boundary, by the version of abi_stable it
/// is made with.
pub const ABI_RUST: [u8; 16] = *b"abi_stable-0.11\0";

/// What the plugin's entry point is: the C table.
pub const ABI_C: [u8; 16] = *b"c-1\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// The ELF note's owner, with its final NUL and padding to four bytes.
pub const NOTE_OWNER: [u8; 12] = *b"Keystead\0\0\0\0";

/// The ELF note's type.
pub const NOTE_TYPE: u32 = 1;

/// The ELF section's name.
pub const ELF_SECTION: &str = ".note.keystead";

/// The PE section's name: eight bytes are all there are.
pub const PE_SECTION: &str = ".keystd";

/// The Mach-O segment and section.
pub const MACHO_SECTION: (&str, &str) = ("__DATA", "__keystead");

/// The most bytes a manifest may have: 64 KiB is a hundred parameters with a paragraph each.
pub const MAX_JSON_BYTES: usize = 64 * 1024;

/// What stands before the JSON: 32 bytes, numbers in the byte order of the target.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`MANIFEST_VERSION`].
    pub version: u32,
    /// How many bytes of JSON follow.
    pub json_len: u32,
    /// [`ABI_RUST`] or [`ABI_C`].
    pub abi: [u8; 16],
}

/// The block as it lies in the file.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Block<const N: usize> {
    #[cfg(not(any(windows, target_vendor = "apple")))]
    note: NoteHeader,
    header: Header,
    json: [u8; N],
}

/// An ELF note header with its owner.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[cfg(not(any(windows, target_vendor = "apple")))]
struct NoteHeader {
    owner_len: u32,
    content_len: u32,
    kind: u32,
    owner: [u8; 12],
}

impl<const N: usize> Block<N> {
    /// Returns the block for this JSON. Used by [`export_plugin!`](crate::export_plugin).
    pub const fn new(json: [u8; N]) -> Self {
        assert!(N <= MAX_JSON_BYTES, "a manifest has at most 64 KiB");
        Self {
            #[cfg(not(any(windows, target_vendor = "apple")))]
            note: NoteHeader {
                owner_len: 9,
                content_len: (std::mem::size_of::<Header>() + N) as u32,
                kind: NOTE_TYPE,
                owner: NOTE_OWNER,
            },
            header: Header {
                magic: MAGIC,
                version: MANIFEST_VERSION,
                json_len: N as u32,
                abi: ABI_RUST,
            },
            json,
        }
    }
}
