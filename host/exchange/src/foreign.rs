//! Detects unsupported files by their first bytes, and suggests a remedy.

use super::Error;

/// Checks that a file's first bytes are not those of an unsupported type. A zip is an error as
/// well: readers of zips do not call this.
pub(super) fn check(head: &[u8]) -> Result<(), Error> {
    match find(head) {
        Some((what, remedy)) => Err(Error::Foreign { what, remedy }),
        None => Ok(()),
    }
}

/// Remedy for a text in another encoding.
const UTF_16: &str = "convert it: `iconv -f UTF-16 -t UTF-8 FILE > NEW`, and import that";

/// Description of a text that is not UTF-8, and its remedy.
pub(super) const WINDOWS_1252: (&str, &str) = (
    "a text that is not UTF-8, most likely Windows-1252",
    "convert it: `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`, and import that",
);

const UNPACK: &str = "unpack it, and import the file in it";

const EXPORT: &str = "export it as CSV from the program that wrote it, and import that";

/// First bytes, the type of file that has them, and the remedy.
const STARTS: &[(&[u8], &str, &str)] = &[
    (b"\xff\xfe\0\0", "a text in UTF-32", "convert it: `iconv -f UTF-32 -t UTF-8 FILE > NEW`"),
    (b"\xff\xfe", "a text in UTF-16", UTF_16),
    (b"\xfe\xff", "a text in UTF-16", UTF_16),
    (b"\x1f\x8b", "packed with gzip", "unpack it: `gunzip --keep FILE`, and import the result"),
    (b"BZh", "packed with bzip2", "unpack it: `bunzip2 --keep FILE`, and import the result"),
    (b"\xfd7zXZ\0", "packed with xz", "unpack it: `unxz --keep FILE`, and import the result"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "unpack it: `unzstd FILE`, and import the result"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"-----BEGIN PGP MESSAGE-----", "encrypted with OpenPGP", GPG),
    (b"\x85\x01", "encrypted with OpenPGP", GPG),
    (b"\x85\x02", "encrypted with OpenPGP", GPG),
    (b"\x84\x5e\x03", "encrypted with OpenPGP", GPG),
    (b"\xc1\x5e\x03", "encrypted with OpenPGP", GPG),
    (b"\x8c\x0d\x04", "encrypted with OpenPGP", GPG),
    (b"age-encryption.org/v1", "encrypted with age", AGE),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "encrypted with age", AGE),
    (
        b"$ANSIBLE_VAULT;",
        "encrypted with Ansible Vault",
        "decrypt it: `ansible-vault view FILE | keystead import - --from FORMAT`",
    ),
    (b"Salted__", "encrypted with OpenSSL", "decrypt it with `openssl enc -d`, and import that"),
    (b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5", "a KeePass database", KEEPASS),
    (b"\x03\xd9\xa2\x9a\x65\xfb\x4b\xb5", "a KeePass 1 database", KEEPASS),
    (b"SQLite format 3\0", "a SQLite database", EXPORT),
    (b"%PDF-", "a PDF", EXPORT),
];

const GPG: &str = "decrypt it: `gpg --decrypt FILE | keystead import - --from FORMAT`";

const AGE: &str = "decrypt it: `age --decrypt FILE | keystead import - --from FORMAT`";

const KEEPASS: &str = "export it in KeePass as `KeePass XML (2.x)`, import that, and delete it";

fn find(head: &[u8]) -> Option<(&'static str, &'static str)> {
    if let Some((_, what, remedy)) = STARTS.iter().find(|(start, ..)| head.starts_with(start)) {
        return Some((what, remedy));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let holds = |name: &[u8]| head.windows(name.len()).any(|found| found == name);
        return Some(match holds(b"[Content_Types].xml") || holds(b"xl/") {
            true => ("a spreadsheet", "save it as CSV in UTF-8, and import that"),
            false => ("a zip archive", "unpack it with `unzip FILE`, and import the file in it"),
        });
    }
    let text = head.trim_ascii_start();
    let is_page = [&b"<!doctype html"[..], b"<html"].iter().any(|start| {
        text.get(..start.len()).is_some_and(|found| found.eq_ignore_ascii_case(start))
    });
    if is_page {
        return Some(("an HTML page", EXPORT));
    }
    // UTF-16 without its mark: every other byte of the first characters, which are ASCII, is zero.
    let zeros = |from: usize| head.iter().skip(from).step_by(2).take(4).all(|&byte| byte == 0);
    let others = |from: usize| head.iter().skip(from).step_by(2).take(4).all(|&byte| byte != 0);
    let is_wide = head.len() >= 8 && (zeros(0) && others(1) || zeros(1) && others(0));
    is_wide.then_some(("a text in UTF-16", UTF_16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_files_are_named_by_first_bytes() {
        for (head, what) in [
            (&b"\xff\xfen\0a\0"[..], "a text in UTF-16"),
            (b"\xfe\xff\0n\0a", "a text in UTF-16"),
            (b"n\0a\0m\0e\0,\0", "a text in UTF-16"),
            (b"\0n\0a\0m\0e\0,", "a text in UTF-16"),
            (b"PK\x03\x04\x14\0data.json", "a zip archive"),
            (b"PK\x03\x04\x14\0[Content_Types].xml", "a spreadsheet"),
            (b"\x1f\x8b\x08", "packed with gzip"),
            (b"-----BEGIN PGP MESSAGE-----\n", "encrypted with OpenPGP"),
            (b"age-encryption.org/v1\n", "encrypted with age"),
            (b"\x03\xd9\xa2\x9a\x67\xfb\x4b\xb5", "a KeePass database"),
            (b"SQLite format 3\0", "a SQLite database"),
            (b"\n<!DOCTYPE HTML>", "an HTML page"),
        ] {
            assert_eq!(find(head).map(|(what, _)| what), Some(what), "{head:?}");
        }
        for text in ["", "name,url\n", "A=b", "{}", "\u{feff}name", "-----BEGIN PRIVATE KEY-----"] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
        }
    }
}
