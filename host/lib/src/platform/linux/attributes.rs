//! Copies a file's metadata to its replacement: owner, group, mode, access list, labels and other
//! extended attributes. Metadata that cannot be kept is an error before the file is replaced.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::path::Path;

use keystead_plugin_api::{Error, Result};
use rustix::fs::{Gid, Mode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::host::BY_HOST;

/// Checksums of the content; the kernel makes new ones for the new file.
const OF_CONTENT: [&CStr; 2] = [c"security.ima", c"security.evm"];

/// Maximum number of reads of a list that grows meanwhile.
const TRIES: u32 = 5;

/// Gives a new file, which only its user can open so far, all metadata of the old file. At no
/// moment can more users open the new file than the old one.
///
/// # Errors
/// Unavailable; the text names the metadata that cannot be kept.
pub(crate) fn keep(old: &File, new: &File, path: &Path) -> Result<()> {
    let cannot = |what: &str, error: Errno| {
        Error::unavailable(format!("{BY_HOST} keep {what} of `{}`: {error}", path.display()))
    };
    let stat = |file: &File| rustix::fs::fstat(file).map_err(|error| cannot("the mode", error));
    let (from, to) = (stat(old)?, stat(new)?);
    if (from.st_uid, from.st_gid) != (to.st_uid, to.st_gid) {
        let (owner, group) = (Uid::from_raw(from.st_uid), Gid::from_raw(from.st_gid));
        rustix::fs::fchown(new, Some(owner), Some(group))
            .map_err(|error| cannot("the owner", error))?;
    }
    let names = |file: &File| names(file).map_err(|error| cannot("the attributes", error));
    let (wanted, inherited) = (names(old)?, names(new)?);
    let word = |name: &CStr| format!("the attribute `{}`", name.to_string_lossy());
    // A directory's default access list applies to every new file in it. A system label cannot be
    // without a value.
    let is_label = |name: &CStr| name.to_bytes().starts_with(b"security.");
    for name in inherited.iter().filter(|name| !wanted.contains(name) && !is_label(name)) {
        rustix::fs::fremovexattr(new, name.as_c_str())
            .map_err(|error| cannot(&word(name), error))?;
    }
    for name in &wanted {
        if OF_CONTENT.contains(&name.as_c_str()) {
            continue;
        }
        let Some(value) = value(old, name).map_err(|error| cannot(&word(name), error))? else {
            continue;
        };
        if self::value(new, name).ok().flatten().as_deref() != Some(&*value) {
            rustix::fs::fsetxattr(new, name.as_c_str(), &value, XattrFlags::empty())
                .map_err(|error| cannot(&word(name), error))?;
        }
    }

    // Last: until the new file has the old access list, its mode keeps all other users out.
    let mode = Mode::from_raw_mode(from.st_mode & 0o7777);
    rustix::fs::fchmod(new, mode).map_err(|error| cannot("the mode", error))?;
    let is = stat(new)?;
    if (is.st_uid, is.st_gid, is.st_mode) != (from.st_uid, from.st_gid, from.st_mode) {
        return Err(cannot("the mode and the owner", Errno::PERM));
    }
    Ok(())
}

/// Returns the names of a file's extended attributes; an empty list if its file system has none.
fn names(file: &File) -> std::result::Result<Vec<CString>, Errno> {
    for _ in 0..TRIES {
        let mut list = match rustix::fs::flistxattr_query(file) {
            Ok(size) => vec![0; size],
            Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        if list.is_empty() {
            return Ok(Vec::new());
        }
        match rustix::fs::flistxattr(file, &mut list[..]) {
            Ok(size) => {
                let names = list[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty());
                return Ok(names.filter_map(|name| CString::new(name).ok()).collect());
            }
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::RANGE)
}

/// Returns an attribute's value; `None` if the file lacks the attribute.
fn value(file: &File, name: &CStr) -> std::result::Result<Option<Vec<u8>>, Errno> {
    for _ in 0..TRIES {
        let size = match rustix::fs::fgetxattr_query(file, name) {
            Err(Errno::NODATA) => return Ok(None),
            size => size?,
        };
        if size == 0 {
            return Ok(Some(Vec::new()));
        }
        let mut value = vec![0; size];
        match rustix::fs::fgetxattr(file, name, &mut value[..]) {
            Ok(size) => {
                value.truncate(size);
                return Ok(Some(value));
            }
            Err(Errno::NODATA) => return Ok(None),
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::RANGE)
}
