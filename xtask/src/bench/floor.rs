//! The least a program of this kind can cost: built here from a few lines, to be measured
//! beside the real thing with the same tools.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::process::captured;

const HELLO: &str = r#"fn main() { println!("hello"); }"#;

/// Opens the library it is given, as the host does, and calls nothing in it.
const DLOPEN: &str = r#"
use std::{env, ffi::{c_char, c_int, c_void, CString}, os::unix::ffi::OsStringExt};
extern "C" { fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void; }
fn main() {
    let file = CString::new(env::args_os().nth(1).expect("a library").into_vec()).expect("no NUL");
    // RTLD_NOW, which implies nothing global.
    let opened = unsafe { dlopen(file.as_ptr(), 2) };
    assert!(!opened.is_null());
    println!("hello");
}
"#;

/// The programs to measure beside.
pub(super) struct Floors {
    pub(super) hello: OsString,
    pub(super) dlopen: OsString,
}

/// Builds both into a folder.
pub(super) fn build(folder: &Path) -> Result<Floors> {
    let built = |name: &str, source: &str| -> Result<OsString> {
        let text = folder.join(format!("{name}.rs"));
        fs_err::write(&text, source)?;
        let program = folder.join(name);
        let mut rustc = Command::new("rustc");
        rustc
            .args(["--edition=2021", "-Copt-level=3", "-Cstrip=symbols", "-o"])
            .arg(&program)
            .arg(&text);
        match captured(&mut rustc) {
            (true, _) => Ok(program.into_os_string()),
            (false, output) => Err(output.into()),
        }
    };
    Ok(Floors { hello: built("hello", HELLO)?, dlopen: built("dlopen", DLOPEN)? })
}
