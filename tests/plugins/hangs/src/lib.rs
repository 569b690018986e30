//! Never returns from `get`.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("hangs", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| loop {
            std::thread::park();
        })
        .boxed())
});
