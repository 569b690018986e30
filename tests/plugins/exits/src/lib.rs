//! Ends the process in `get`, without a signal.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("exits", |_, context| {
    Ok(Odd::new(context).get(|_, _| std::process::exit(7)).boxed())
});
