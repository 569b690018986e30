//! Starts a thread that goes on logging after the vault is closed.
#![forbid(unsafe_code)]

use std::sync::Arc;

use sound::{sleep_ms, Odd};

sound::plugin!("thread-stays", |_, context| {
    let context = Arc::new(context);
    let kept = Arc::clone(&context);
    std::thread::spawn(move || loop {
        kept.debug("still here");
        sleep_ms(5);
    });
    Ok(Odd::sharing(context).boxed())
});
