//! Writes to standard output and standard error, and logs control sequences for terminals.
#![forbid(unsafe_code)]

use sound::Odd;

sound::plugin!("chatters", |_, context| {
    Ok(Odd::new(context)
        .get(|context, _| {
            println!("printed by the plugin");
            eprintln!("printed by the plugin\u{1b}[2J");
            context.warn("logged by the plugin\u{1b}[2J\r\nkeystead: forged \u{202e}line");
            context.warn(&"x".repeat(100_000));
            Ok(sound::secret())
        })
        .boxed())
});
