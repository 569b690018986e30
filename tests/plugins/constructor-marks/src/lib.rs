//! Leaves a mark on the disk, or in the log where it cannot, when it is loaded, and is sound.

use sound::Odd;

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    // Where it is not said when it is built, nothing is marked.
    if let Some(path) = option_env!("KEYSTEAD_TEST_MARK") {
        let _ = std::fs::write(path, "run");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"constructed\n");
    }
}

sound::plugin!("constructor-marks", |_, context| Ok(Odd::new(context).boxed()));
