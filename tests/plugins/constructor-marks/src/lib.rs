//! Writes a mark to a file and standard error in its constructor; otherwise a correct plugin.

use sound::Odd;

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    // A build without this variable writes no mark.
    if let Some(path) = option_env!("KEYSTEAD_TEST_MARK") {
        let _ = std::fs::write(path, "run");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"constructed\n");
    }
}

sound::plugin!("constructor-marks", |_, context| Ok(Odd::new(context).boxed()));
