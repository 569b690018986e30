//! Writes to an unmapped address, on a separate thread while `get` waits for that thread.

use sound::Odd;

sound::plugin!("thread-segfaults", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| {
            // SAFETY: none: that is the point.
            let fault = || unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
            let _ = std::thread::spawn(fault).join();
            Ok(sound::secret())
        })
        .boxed())
});
