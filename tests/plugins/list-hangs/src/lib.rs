//! Never returns from `list`.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("list-hangs", |_, context| {
    Ok(Odd::new(context)
        .list(|_, _| loop {
            std::thread::park();
        })
        .boxed())
});
