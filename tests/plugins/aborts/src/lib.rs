//! Aborts the process in `get`.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("aborts", |_, context| {
    Ok(Odd::new(context).get(|_, _| std::process::abort()).boxed())
});
