//! The host's functions for files that it replaces for a plugin, and for granted permissions.
//!
//! # Safety
//! As for [the module above](super).

use std::ffi::c_void;

use keystead_plugin_api::{Error, ErrorKind, Result, SecretBytes};

use super::super::table::*;
use super::{asked, contained, host_of};

/// The most bytes of a permission: a path, and a few words.
const MAX_PERMISSION_BYTES: usize = 4_096 + 64;

/// The host's answer about a file.
#[derive(Default)]
struct Told {
    content: Option<SecretBytes>,
    version: Option<String>,
}

pub(super) unsafe extern "C" fn read(
    context: u64,
    request: *const ReadFileRequest,
    take: Option<TakeFile>,
    own: *mut c_void,
) -> u32 {
    let answer = contained(|| {
        let vault = host_of(context).ok_or_else(|| Error::invalid("the context has ended"))?;
        // SAFETY: the module's safety section.
        let read = vault.services.read_file(unsafe { asked(request) }?)?;
        Ok(read.file.map_or_else(Told::default, |file| Told {
            content: Some(file.content),
            version: Some(file.version),
        }))
    });
    // SAFETY: the plugin's own function with the plugin's own pointer.
    unsafe { give(answer, take, own) }
}

pub(super) unsafe extern "C" fn replace(
    context: u64,
    request: *const ReplaceFileRequest,
    take: Option<TakeFile>,
    own: *mut c_void,
) -> u32 {
    let answer = contained(|| {
        let vault = host_of(context).ok_or_else(|| Error::invalid("the context has ended"))?;
        // SAFETY: the module's safety section.
        let replaced = vault.services.replace_file(unsafe { asked(request) }?)?;
        Ok(Told { content: None, version: Some(replaced.version) })
    });
    // SAFETY: the plugin's own function with the plugin's own pointer.
    unsafe { give(answer, take, own) }
}

pub(super) unsafe extern "C" fn is_granted(context: u64, permission: Bytes) -> u32 {
    let granted = contained(|| {
        // SAFETY: the module's safety section.
        let permission = unsafe { permission.text("a permission", MAX_PERMISSION_BYTES) };
        let Ok(permission) = permission else { return false };
        match host_of(context).map(|vault| vault.services.is_granted(permission)) {
            Some(Ok(is_granted)) => is_granted,
            Some(Err(error)) => error.kind() != ErrorKind::Invalid,
            None => true,
        }
    });
    // Without an answer, no permission counts as missing.
    u32::from(granted.unwrap_or(true))
}

/// Gives an answer to the plugin and returns its status.
///
/// # Safety
/// `take` is the plugin's own function, and takes `own`.
unsafe fn give(answer: Option<Result<Told>>, take: Option<TakeFile>, own: *mut c_void) -> u32 {
    let answer = answer.unwrap_or_else(|| Err(Error::internal("the host panicked")));
    let size = size::<FileTold>();
    let (status, given) = match &answer {
        Ok(told) => {
            let content = told.content.as_ref();
            let content = content.map_or(Bytes::NONE, |content| Bytes::of(content.expose()));
            let version = Bytes::optional(told.version.as_deref());
            let present = if told.version.is_some() { with::FILE } else { 0 };
            (0, FileTold { size, present, content, version, ..FileTold::default() })
        }
        Err(error) => {
            let message = Bytes::of(error.message().as_bytes());
            (error.number(), FileTold { size, message, ..FileTold::default() })
        }
    };
    if let Some(take) = take {
        // SAFETY: the caller's obligation; the given struct is valid until `answer` ends.
        unsafe { take(own, &given) };
    }
    status
}
