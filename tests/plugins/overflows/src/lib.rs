//! Calls itself in `get` until the stack ends.
#![forbid(unsafe_code)]

use sound::Odd;

#[allow(unconditional_recursion)]
fn deeper(level: u64) -> u64 {
    let frame = std::hint::black_box([level; 64]);
    deeper(frame[0] + 1) + frame[63]
}

sound::plugin!("overflows", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| {
            std::hint::black_box(deeper(0));
            Ok(sound::secret())
        })
        .boxed())
});
