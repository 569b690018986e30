//! Answers, and ends the process shortly afterwards, between two calls.
#![forbid(unsafe_code)]

use sound::{sleep_ms, Odd};

sound::plugin!("exits-later", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| {
            std::thread::spawn(|| {
                sleep_ms(20);
                std::process::exit(7)
            });
            Ok(sound::secret())
        })
        .boxed())
});
