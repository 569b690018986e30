//! Never comes back from its constructor, which runs while it is loaded.

use sound::Odd;

#[used]
#[link_section = ".init_array"]
static CONSTRUCTOR: extern "C" fn() = constructor;

extern "C" fn constructor() {
    loop {
        std::thread::park();
    }
}

sound::plugin!("constructor-hangs", |_, context| Ok(Odd::new(context).boxed()));
