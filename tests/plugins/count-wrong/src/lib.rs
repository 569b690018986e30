//! Answers for fewer secrets than it was asked for.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("count-wrong", |_, context| {
    Ok(Odd::new(context).get_many(|_| Ok(vec![Ok(sound::secret())])).boxed())
});
