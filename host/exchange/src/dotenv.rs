//! Environment files: `KEY=VALUE`, as shells and the many readers of `.env` agree on. Texts only,
//! without metadata.
//!
//! Nothing is expanded: `$NAME` and `$(...)` stay unchanged.

mod material;
mod quote;
mod read;
mod write;

use std::io::Read;

use keystead_plugin_api::{MAX_VALUE_BYTES, Metadata, SecretName, Value};

use super::window::{More, Window};
use super::{BadRow, Error, Position, Row, Rows, foreign};
use read::Parsed;

pub use write::{Keys, key, write, write_bare};

/// Maximum size in bytes of an entry: a text of the maximum size, each byte escaped, and a read
/// buffer's size for the key.
pub const MAX_ENTRY: usize = 2 * MAX_VALUE_BYTES + 64 * 1024;

/// The secrets of an environment file.
pub struct Dotenv<R> {
    window: Window<R>,
    line: u64,
    over: bool,
}

impl<R: Read> Dotenv<R> {
    /// Returns the secrets of this stream, which is read on demand.
    pub fn new(from: R) -> Self {
        Self { window: Window::new(from, MAX_ENTRY), line: 0, over: false }
    }

    /// Moves past these bytes, which may have several lines.
    fn take(&mut self, len: usize) {
        let breaks = self.window.rest()[..len].iter().filter(|&&byte| byte == b'\n').count();
        self.line += breaks as u64;
        self.window.take(len);
    }

    fn row(&mut self) -> Result<Option<Result<Row, BadRow>>, Error> {
        if self.line == 0 {
            self.window.skip_mark().map_err(Error::Read)?;
            foreign::check(self.window.rest())?;
            self.line = 1;
        }
        let mut ended = false;
        loop {
            let at = Position::Line(self.line);
            let bad = |why: &str| Some(Err(BadRow { at: at.clone(), why: why.to_owned() }));
            let row = match read::entry(self.window.rest(), ended) {
                Parsed::End => return Ok(None),
                Parsed::NeedsMore => match self.window.more().map_err(Error::Read)? {
                    More::Came => continue,
                    More::Ended => {
                        ended = true;
                        continue;
                    }
                    // A comment may be of any length.
                    More::Full if read::is_comment(self.window.rest()) => None,
                    More::Full => bad("its quote is never closed, or the value is too large"),
                },
                Parsed::Blank => None,
                Parsed::Bad(why) => bad(why),
                Parsed::BadLines { len, why } => {
                    self.take(len);
                    bad(why)
                }
                Parsed::Entry { len, key, value } => {
                    self.take(len);
                    Some(as_row(at, &key, value))
                }
            };
            self.window.skip_line().map_err(Error::Read)?;
            self.line += 1;
            if row.is_some() {
                return Ok(row);
            }
        }
    }
}

impl<R: Read> Rows for Dotenv<R> {
    fn is_keyed(&self) -> bool {
        true
    }
}

impl<R: Read> Iterator for Dotenv<R> {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let row = self.row().transpose();
        self.over = !matches!(row, Some(Ok(_)));
        row
    }
}

fn as_row(at: Position, key: &str, value: Value) -> Result<Row, BadRow> {
    let checked = SecretName::parse(key).and_then(|name| value.encoded_len().map(|_| name));
    match checked {
        Ok(name) => Ok(Row { at, name, value, metadata: Metadata::new() }),
        Err(fault) => Err(BadRow { at, why: fault.message().to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use keystead_plugin_api::MAX_SECRET_NAME_BYTES;
    use proptest::prelude::*;

    use super::*;

    fn found(text: &[u8]) -> Vec<String> {
        let rows = Dotenv::new(text).map(Result::unwrap);
        rows.map(|row| match row {
            Ok(Row { at: Position::Line(line), name, value: Value::Text(text), .. }) => {
                format!("{line} {name}={}", text.expose())
            }
            Ok(row) => panic!("{row:?}"),
            Err(bad) => format!("{}! {}", bad.at, bad.why),
        })
        .collect()
    }

    #[test]
    fn common_dotenv_syntax_is_parsed() {
        let text = "\u{feff}# a comment\nA=one\r\nexport B=two words  # said\n\tC = 'x # y'\n\
                    D=\n\nE=\"\"\nF=a#b\nG='a\\n\"$X'# no\nH=\"a\\n\\\"\\\\\\$X $Y\\x\"\n\
                    I='two\nlines' # end\nJ=\"two\r\nlines\\\nless\"\nexport=K\nL= # only\nM=it's\n\
                    N.o-p=$(id) `id`\nQ=z";
        assert_eq!(
            found(text.as_bytes()),
            [
                "2 A=one",
                "3 B=two words",
                "4 C=x # y",
                "5 D=",
                "7 E=",
                "8 F=a#b",
                "line 9! there is more behind the closing quote",
                "10 H=a\n\"\\$X $Y\\x",
                "11 I=two\nlines",
                "13 J=two\r\nlinesless",
                "16 export=K",
                "17 L=",
                "18 M=it's",
                "19 N.o-p=$(id) `id`",
                "20 Q=z",
            ]
        );
    }

    #[test]
    fn quotes_are_decoded_as_their_readers_do() {
        let text = b"A=`it's \\n \"x\"\ny` # no\nB=$'a\\n\\t\\'\\x41\\101\\u00e4\\\\\\e'\n\
                     C='it'\\''s'\nD=\"a\"'b'\\\"\nE=$'\\cx'\nF=$\"x\"\nG='a'b\nH=`x\nI=$HOME\nJ=$'\\0'";
        assert_eq!(
            found(text),
            [
                "1 A=it's \\n \"x\"\ny",
                "3 B=a\n\t'AA\u{e4}\\\u{1b}",
                "4 C=it's",
                "5 D=ab\"",
                "line 6! an escape between `$'` and `'` is not read",
                "line 7! `$\"...\"` is not read: leave the `$` out, or use single quotes",
                "line 8! there is more behind the closing quote",
                "line 9! its quote is never closed",
                "10 I=$HOME",
                "line 11! an escape between `$'` and `'` is not read",
            ]
        );
    }

    #[test]
    fn key_material_lines_are_one_invalid_row() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let why = "its value has several lines without quotes: put it in quotes";
        let alone = "key material without quotes: put it in quotes behind a key";
        let open = "its quote is never closed";
        let three = "three quotes are not read: use one";
        let name = "what stands before the `=` looks like key material, not like a key";
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{body}\n{body}\nYWI=\n-----END PRIVATE KEY-----");
        for (text, reason) in [
            (format!("K={pem}"), why),
            (format!("export K = {pem}"), why),
            (pem.replace('\n', "\r\n"), alone),
            (format!("K=\"{pem}"), open),
            (format!("K=-----BEGIN X-----\n{body}\n{body}=="), why),
            (format!("K={body}\n{body}\nAbc="), why),
            (format!("K={body}\n  {body}\n  Abc="), why),
            (format!("K={body}\nAQ=="), why),
            (format!("{body}\n{body}\nAQAB"), alone),
            (format!("{body}=="), alone),
            ("Zm9vYmE=".into(), alone),
            ("AQ==".into(), alone),
            (format!("K=\"\"\"\n{body}\nX=1\n\"\"\""), three),
            ("K='''a'''".into(), three),
            ("x7Kp2Qz9LmA4tR8v_x=1".into(), name),
        ] {
            let next = 3 + text.matches('\n').count();
            assert_eq!(
                found(format!("A=1\n{text}\nZ=2\n").as_bytes()),
                ["1 A=1".to_owned(), format!("line 2! {reason}"), format!("{next} Z=2")],
                "{text}"
            );
        }
        let text = format!(
            "K='{pem}'\nL={body}==\nPORT=\nFOO=\noauth2ClientSecretProduction=x\nM={body}\nPORT=1"
        );
        let found = found(text.as_bytes());
        assert!(found.len() == 7 && !found.iter().any(|row| row.contains('!')), "{found:?}");
    }

    #[test]
    fn broken_lines_are_reported_without_their_content() {
        let text =
            b"canary\nexport canary\n=canary\nca nary=1\nA=\xff\nB='canary\nC=1\nD=\"canary\nE=2";
        assert_eq!(
            found(text),
            [
                "line 1! there is no `=` behind a key",
                "line 2! there is no `=` behind a key",
                "line 3! there is no key before the `=`",
                "line 4! there is no `=` behind a key",
                "line 5! it is not UTF-8",
                "line 6! its quote is never closed",
                "7 C=1",
                "line 8! its quote is never closed",
                "9 E=2",
            ]
        );
    }

    #[test]
    fn value_over_limit_is_reported_as_single_broken_row() {
        let value = "x".repeat(MAX_VALUE_BYTES - 4);
        let text = format!("A='{value}'\nB={value}x\nC='{value}{value}{value}'\nD=1\n");
        let rows: Vec<_> = Dotenv::new(text.as_bytes()).map(Result::unwrap).collect();
        assert!(rows[0].is_ok());
        let why = |at: usize| rows[at].as_ref().unwrap_err().why.as_str();
        assert!(why(1).starts_with("the value has 16777217 bytes"));
        assert_eq!(why(2), "its quote is never closed, or the value is too large");
        assert_eq!(rows[3].as_ref().unwrap().at, Position::Line(4));
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn comment_longer_than_value_limit_is_accepted() {
        let text = format!("#{}\nA=1", "x".repeat(MAX_ENTRY));
        assert_eq!(found(text.as_bytes()), ["2 A=1"]);
    }

    #[test]
    fn key_longer_than_secret_name_limit_is_broken_row() {
        let text = format!("{}=1", "K".repeat(MAX_SECRET_NAME_BYTES + 1));
        assert_eq!(
            found(text.as_bytes()),
            ["line 1! a secret's name has 1025 bytes; the most is 1024"]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_or_loop(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[A-C= '\"\\\\$#\r\n]{0,200}",
        ) {
            prop_assert!(Dotenv::new(&bytes[..]).count() <= bytes.len());
            prop_assert!(Dotenv::new(text.as_bytes()).count() <= text.len());
        }

        #[test]
        fn written_values_round_trip(values in proptest::collection::vec("[^\0]*|[a '\"\\\\$`#\r\n!]*", 1..9)) {
            let mut bytes = Vec::new();
            for value in &values {
                bytes.extend_from_slice(&write("KEY", &Value::text(value.as_str())).unwrap());
            }
            let rows = Dotenv::new(&bytes[..]).map(|row| row.unwrap().unwrap().value);
            let read: Vec<Value> = rows.collect();
            let given: Vec<Value> = values.into_iter().map(Value::text).collect();
            prop_assert_eq!(read, given);
        }
    }
}
