//! An XML export of KeePass, or what pretends to be one: whatever the text, each row is a secret of its
//! own name or is broken with a short reason, and a second run gives the same.

#![no_main]

mod change;
mod rows;

use keystead_exchange::keepass;

const GOOD: &str = "<KeePassFile><Meta><RecycleBinUUID>b</RecycleBinUUID></Meta><Root><Group><Name>D</Name>\
    <Entry><Tags>a;b</Tags><Times><ExpiryTime>2030-01-01T00:00:00Z</ExpiryTime><Expires>True</Expires></Times>\
    <String><Key>Title</Key><Value>shop</Value></String>\
    <String><Key>Password</Key><Value ProtectInMemory=\"True\">x&lt;&#x41;<![CDATA[<]]></Value></String>\
    <History><Entry/></History></Entry><Group><UUID>b</UUID><Entry/></Group></Group></Root></KeePassFile>";

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let text = match which % 2 {
        0 => change::apply(GOOD.as_bytes().to_vec(), rest),
        _ => rest.to_vec(),
    };
    rows::check(|| keepass::read(&text[..]));
});
