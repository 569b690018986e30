//! Returns fewer results than a batch has requests.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("count-wrong", |_, context| {
    let odd = Odd::new(context).get_many(|_| Ok(vec![Ok(sound::secret())]));
    Ok(odd.set_many(|_| Ok(vec![Ok(())])).boxed())
});
