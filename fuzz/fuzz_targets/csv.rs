//! A table: of a known program, of columns that are named, or no table at all.

#![no_main]

mod rows;

use keystead_exchange::csv::{self, Column, Delimiter};

/// Header rows of known programs.
const KNOWN: [&str; 4] = [
    "name,url,username,password,note\n",
    "folder,favorite,type,name,notes,fields,reprompt,login_uri,login_username,login_password,login_totp\n",
    "\"Group\",\"Title\",\"Username\",\"Password\",\"URL\",\"Notes\",\"TOTP\",\"Icon\",\"Last Modified\",\"Created\"\n",
    "Title,Url,Username,Password,OTPAuth,Favorite,Archived,Tags,Notes\r\n",
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, rest)) = input.split_first() else { return };
    let (table, typed): (Vec<u8>, &[&str]) = match which % 8 {
        known @ 0..4 => ([KNOWN[usize::from(known)].as_bytes(), rest].concat(), &[]),
        4 | 5 => (
            [b"a,b,c,d,e\n", rest].concat(),
            &["name=a", "value=b", "meta.x=c", "field.y=d", "expires=e"],
        ),
        6 => (rest.to_vec(), &["name=a", "value=b"]),
        _ => (rest.to_vec(), &[]),
    };
    let delimiter = match which / 8 % 4 {
        0 => Some(Delimiter::Comma),
        1 => Some(Delimiter::Semicolon),
        2 => Some(Delimiter::Tab),
        _ => None,
    };
    let columns: Vec<_> =
        typed.iter().map(|text| Column::parse(text).expect("a good column")).collect();
    rows::check(|| csv::read(&table[..], &columns, delimiter));
});
