//! Panics in `get`; all other calls are correct.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("panics", |_, context| {
    Ok(Odd::new(context).get(|_, _| panic!("hunter2 must not be told")).boxed())
});
