//! Returns a value that is one byte too long.
#![forbid(unsafe_code)]

use sound::api::{Secret, Value, MAX_VALUE_BYTES};
use sound::Odd;

sound::plugin!("value-long", |_, context| {
    Ok(Odd::new(context)
        .get(|_, _| Ok(Secret::new(Value::bytes(vec![b'x'; MAX_VALUE_BYTES - 3]))))
        .boxed())
});
