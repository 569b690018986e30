//! Never returns from its constructor, which runs during loading.

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
