//! Takes more and more memory in `get`, and uses it.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("hungry", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| {
            let mut taken = Vec::new();
            loop {
                taken.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&taken);
            }
        })
        .boxed())
});
