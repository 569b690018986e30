//! Writes to an unmapped address in `get`.

use sound::Odd;

sound::plugin!("segfaults", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| {
            // SAFETY: none: that is the point.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
            Ok(sound::secret())
        })
        .boxed())
});
