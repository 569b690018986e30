//! A plugin whose author used all that its version of plugin-api has: built with and
//! without the feature `next`, it is the newer and the older one of a pair.
#![forbid(unsafe_code)]

mod vault;

sound::plugin!("skew", |_, context| Ok(Box::new(vault::Skewed::new(context))));
