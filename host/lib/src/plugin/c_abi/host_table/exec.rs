//! Programs that the host runs for a plugin of the C ABI.
//!
//! # Safety
//! As for the module above.

use std::ffi::c_void;
use std::time::Duration;

use keystead_plugin_api::{
    Deadline, Error, MAX_EXEC_ARGUMENT_BYTES, MAX_EXEC_ARGUMENTS, Result, SecretBytes,
};

use super::super::reply::MAX_VALUE;
use super::super::table::*;
use super::{checked, contained, host_of};

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
        let request = unsafe { exec_request(request) }?;
        vault.services.exec(request)
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
        // SAFETY: the plugin's own function with the plugin's own pointer; what it is given
        // lives until `answer` ends.
        unsafe { take(own, &given) };
    }
    status
}

/// # Safety
/// As for the module.
unsafe fn exec_request(request: *const ExecRequest) -> Result<keystead_plugin_api::ExecRequest> {
    let invalid = |fault: Error| Error::invalid(fault.message());
    // SAFETY: the module's promise.
    let request: ExecRequest = unsafe { grown(request) }.map_err(invalid)?;
    // SAFETY: the module's promise.
    let program = unsafe { request.program.text("a program", MAX_EXEC_ARGUMENT_BYTES) };
    let program = program.map_err(invalid)?;
    let mut arguments = Vec::new();
    if request.argument_count > MAX_EXEC_ARGUMENTS {
        return Err(Error::invalid(format!("more than {MAX_EXEC_ARGUMENTS} arguments")));
    }
    for at in 0..request.argument_count {
        // SAFETY: the module's promise: there are so many.
        let argument = unsafe { checked(request.arguments.wrapping_add(at)) };
        let argument = argument.ok_or_else(|| Error::invalid("an argument is missing"))?;
        // SAFETY: the module's promise.
        let argument = unsafe { argument.text("an argument", MAX_EXEC_ARGUMENT_BYTES) };
        arguments.push(argument.map_err(invalid)?.to_owned());
    }
    let mut environment = Vec::new();
    if request.variable_count > MAX_EXEC_ARGUMENTS {
        return Err(Error::invalid(format!("more than {MAX_EXEC_ARGUMENTS} variables")));
    }
    for at in 0..request.variable_count {
        // SAFETY: the module's promise: there are so many.
        let variable = unsafe { checked::<Variable>(request.variables.wrapping_add(at)) };
        let variable = variable.ok_or_else(|| Error::invalid("a variable is missing"))?;
        // SAFETY: the module's promise.
        let name = unsafe { variable.name.text("a variable's name", MAX_EXEC_ARGUMENT_BYTES) };
        // SAFETY: the module's promise.
        let value = unsafe { variable.value.text("a variable's value", MAX_EXEC_ARGUMENT_BYTES) };
        environment.push((name.map_err(invalid)?.to_owned(), value.map_err(invalid)?.to_owned()));
    }
    let deadline = Deadline::after(Duration::from_millis(request.deadline_millis));
    let mut plain = keystead_plugin_api::ExecRequest::new(program, arguments, deadline);
    plain.environment = environment;
    // SAFETY: the module's promise.
    let input = unsafe { request.input.read("a program's input", MAX_VALUE) };
    plain.input = SecretBytes::copy_of(input.map_err(invalid)?);
    Ok(plain)
}
