//! Programs that the host runs for a plugin of the C ABI.
//!
//! # Safety
//! As for the module above.

use std::ffi::c_void;

use keystead_plugin_api::Error;

use super::super::table::*;
use super::{asked, contained, host_of};

pub(super) unsafe extern "C" fn exec(
    context: u64,
    request: *const ExecRequest,
    take: Option<Take>,
    own: *mut c_void,
) -> u32 {
    let answer = contained(|| {
        let none = || Error::invalid("the context has ended");
        let vault = host_of(context).ok_or_else(none)?;
        // SAFETY: the module's promise.
        vault.services.exec(unsafe { asked(request) }?)
    });
    let answer = answer.unwrap_or_else(|| Err(Error::internal("the host panicked")));
    let size = size::<ExecOutput>();
    let (status, given) = match &answer {
        Ok(output) => {
            let (text, errors) = (Bytes::of(output.output.expose()), output.errors.as_bytes());
            let errors = Bytes::of(errors);
            let status = output.status;
            (0, ExecOutput { size, status, output: text, errors, message: Bytes::NONE })
        }
        Err(error) => {
            let message = Bytes::of(error.message().as_bytes());
            let (output, errors) = (Bytes::NONE, Bytes::NONE);
            (error.number(), ExecOutput { size, status: 0, output, errors, message })
        }
    };
    if let Some(take) = take {
        // SAFETY: the plugin's own function with the plugin's own pointer; its arguments live until
        // `answer` ends.
        unsafe { take(own, &given) };
    }
    status
}
