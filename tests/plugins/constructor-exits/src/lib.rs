//! Ends the process in its constructor, which runs during loading.

use sound::Odd;

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    std::process::exit(7)
}

sound::plugin!("constructor-exits", |_, context| Ok(Odd::new(context).boxed()));
