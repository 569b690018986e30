//! Accepts every answer, and stays locked.
#![forbid(unsafe_code)]

use sound::api::{Challenge, Error, Prompt};
use sound::Odd;

sound::plugin!("locked-for-ever", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| Err(Error::locked(Challenge::new("c", vec![Prompt::secret("pin", "PIN")]))))
        .boxed())
});
