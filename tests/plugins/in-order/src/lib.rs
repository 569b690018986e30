//! A correct plugin.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("in-order", |_, context| Ok(Odd::new(context).boxed()));
