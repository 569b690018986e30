//! The unencrypted XML export of KeePass 2 and KeePassXC: groups of entries, each of named texts.

use std::io::Read;

use keystead_plugin_api::{SecretBytes, SecretText};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zeroize::Zeroizing;

use super::csv::entity;
use super::distinct::{Distinct, title};
use super::item::Item;
use super::left_out::{LeftOut, Thing};
use super::{BadRow, Error, Position, Row, Rows, foreign, input};

pub(super) const FORM: &str = "an XML export of KeePass";

/// Maximum depth of elements: each nested group adds a level.
const MAX_LEVELS: usize = 64;

/// Maximum number of entries.
const MAX_ENTRIES: usize = 1_000_000;

const TRASH: Thing = Thing("entry of the recycle bin", "entries of the recycle bin");
const OLD: Thing = Thing("earlier version of an entry", "earlier versions of entries");
const ATTACHMENTS: Thing = Thing("attachment", "attachments");
const PLUGINS: Thing = Thing("value of a plugin", "values of plugins");

/// Reads an export.
///
/// # Errors
/// [`Error::Read`], [`Error::Foreign`], or [`Error::NotOfForm`] where the text is longer than 64 MiB,
/// no XML, or no such export.
pub fn read(file: impl Read) -> Result<KeePassEntries, Error> {
    let bytes = input::whole(file, FORM)?;
    foreign::check(bytes.expose())?;
    let text = SecretText::from_bytes(bytes).map_err(|_| wrong("it is not UTF-8"))?;
    let text = text.expose().trim_start_matches('\u{feff}');
    let mut reader = Reader::from_str(text);
    let mut walk = Walk::default();
    loop {
        // The error repeats no text, only the line.
        let broken = |line: usize| wrong(&format!("line {line}: it is not XML"));
        let line =
            |at: u64| 1 + text.as_bytes()[..at as usize].iter().filter(|&&b| b == b'\n').count();
        let event = reader.read_event().map_err(|_| broken(line(reader.error_position())))?;
        match event {
            Event::Eof => break,
            Event::Start(start) => walk.start(&start)?,
            Event::Empty(start) => {
                walk.start(&start)?;
                walk.end();
            }
            Event::End(_) => walk.end(),
            Event::Text(piece) => walk.text(&piece),
            Event::CData(piece) => walk.text(&piece),
            Event::GeneralRef(name) => {
                match std::str::from_utf8(&name).ok().and_then(entity::character) {
                    Some(c) => walk.put(c.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => return Err(broken(line(reader.buffer_position()))),
                }
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !walk.path.is_empty() {
        return Err(wrong("it is cut off"));
    }
    if !walk.is_export {
        return Err(wrong("it has no `KeePassFile`"));
    }
    Ok(KeePassEntries { rows: walk.rows.into_iter(), left_out: walk.left_out })
}

fn wrong(why: &str) -> Error {
    Error::NotOfForm { form: FORM, why: why.to_owned() }
}

/// The entries of an export.
#[derive(Debug)]
pub struct KeePassEntries {
    rows: std::vec::IntoIter<Result<Row, BadRow>>,
    left_out: LeftOut,
}

impl Rows for KeePassEntries {
    fn left_out(&self) -> Vec<String> {
        self.left_out.lines().collect()
    }
}

impl Iterator for KeePassEntries {
    type Item = Result<Result<Row, BadRow>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rows.next().map(Ok)
    }
}

/// A group whose element is open.
#[derive(Debug, Default)]
struct Group {
    name: String,
    is_trash: bool,
}

/// An entry whose element is open.
#[derive(Debug, Default)]
struct Entry {
    item: Item,
    name: Option<SecretText>,
    key: Option<SecretText>,
    expires: Option<SecretText>,
    does_expire: bool,
    attachments: u64,
}

/// State of the reader.
#[derive(Debug, Default)]
struct Walk {
    path: Vec<Vec<u8>>,
    /// Content of the innermost element so far.
    content: Zeroizing<Vec<u8>>,
    groups: Vec<Group>,
    entry: Option<Entry>,
    trash: Option<String>,
    is_export: bool,
    count: u64,
    rows: Vec<Result<Row, BadRow>>,
    names: Distinct,
    left_out: LeftOut,
}

impl Walk {
    fn start(&mut self, start: &BytesStart<'_>) -> Result<(), Error> {
        if self.path.len() == MAX_LEVELS {
            return Err(wrong("it is nested too deep"));
        }
        let name = start.name().as_ref().to_vec();
        self.content = Zeroizing::default();
        let is_old = self.is_within(b"History");
        match name.as_slice() {
            b"KeePassFile" if self.path.is_empty() => self.is_export = true,
            b"Group" => self.groups.push(Group::default()),
            b"Entry" if is_old => self.left_out.count(OLD, 1),
            b"Entry" => {
                self.count += 1;
                if self.count as usize > MAX_ENTRIES {
                    return Err(wrong(&format!("it has more than {MAX_ENTRIES} entries")));
                }
                self.entry = Some(Entry::default());
            }
            b"Value" if !is_old && is_protected(start) => {
                if let Some(entry) = &mut self.entry {
                    entry.item.fail("it has a value that is still encrypted".into());
                }
            }
            _ => {}
        }
        self.path.push(name);
        Ok(())
    }

    fn is_within(&self, name: &[u8]) -> bool {
        self.path.iter().any(|element| element == name)
    }

    /// Adds a piece of text, with line feeds as line ends, as in XML.
    fn text(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(at) = rest.iter().position(|&byte| byte == b'\r') {
            self.put(&rest[..at]);
            self.put(b"\n");
            rest = rest[at + 1..].strip_prefix(b"\n").unwrap_or(&rest[at + 1..]);
        }
        self.put(rest);
    }

    fn put(&mut self, piece: &[u8]) {
        let needed = self.content.len() + piece.len();
        if needed > self.content.capacity() {
            // A buffer that grows by itself leaves a copy in memory.
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(64) * 2));
            larger.extend_from_slice(&self.content);
            self.content = larger;
        }
        self.content.extend_from_slice(piece);
    }

    fn end(&mut self) {
        let Some(name) = self.path.pop() else { return };
        let content = SecretBytes::new(std::mem::take(&mut *self.content));
        let content = SecretText::from_bytes(content).expect("pieces of a text, and characters");
        let parent = self.path.last().map_or(&b""[..], Vec::as_slice);
        let grandparent = self.path.len().checked_sub(2).map_or(&b""[..], |at| &self.path[at]);
        if self.path.iter().any(|element| element == b"History") {
            return;
        }
        match (grandparent, parent, name.as_slice()) {
            (_, b"Meta", b"RecycleBinUUID") => self.trash = Some(content.expose().to_owned()),
            (_, b"Group", b"Name") => {
                if let Some(group) = self.groups.last_mut() {
                    group.name = content.expose().to_owned();
                }
            }
            (_, b"Group", b"UUID") => {
                let is_trash = self.trash.as_deref() == Some(content.expose());
                if let Some(group) = self.groups.last_mut() {
                    group.is_trash = is_trash;
                }
            }
            (_, _, b"Group") => drop(self.groups.pop()),
            (_, _, b"Entry") => self.row(),
            (grandparent, parent, name) => {
                if let Some(entry) = &mut self.entry {
                    entry.member(grandparent, parent, name, content, &mut self.left_out);
                }
            }
        }
    }

    /// Adds the row of the entry that ends here, unless it is in the recycle bin.
    fn row(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        if self.groups.iter().any(|group| group.is_trash) {
            return self.left_out.count(TRASH, 1);
        }
        self.left_out.count(ATTACHMENTS, entry.attachments);
        if let Some(expires) = entry.expires.filter(|_| entry.does_expire) {
            entry.item.time("expires", expires.expose());
        }
        let name = entry.name.as_ref().map_or("", SecretText::expose);
        let at = Position::Item(self.count, title(name));
        // The first group is the database itself.
        let groups = self.groups.iter().skip(1).map(|group| group.name.as_str());
        let parts: Vec<&str> = groups.chain([name]).collect();
        self.rows.push(match self.names.name(&parts) {
            Ok(name) => entry.item.into_row(at, name, &mut self.left_out),
            Err(why) => Err(BadRow { at, why }),
        });
    }
}

impl Entry {
    /// Adds the content of an element.
    fn member(
        &mut self,
        grandparent: &[u8],
        parent: &[u8],
        name: &[u8],
        content: SecretText,
        left_out: &mut LeftOut,
    ) {
        match (grandparent, parent, name) {
            (_, b"String", b"Key") => self.key = Some(content),
            (_, b"String", b"Value") => {
                let key = self.key.take();
                let key = key.as_ref().map_or("", SecretText::expose);
                match key {
                    "Title" => self.name = Some(content),
                    "UserName" => self.item.field("user", Some(content)),
                    "Password" => self.item.field("password", Some(content)),
                    "URL" => self.item.url(Some(content)),
                    "Notes" => self.item.field("notes", Some(content)),
                    "otp" => self.item.field("totp", Some(content)),
                    key => self.item.field(key, Some(content)),
                }
            }
            (_, b"Entry", b"Tags") => self.item.tags(content.expose().split([';', ','])),
            (_, b"Entry", b"Binary") => self.attachments += 1,
            (_, b"CustomData", b"Item") => left_out.count(PLUGINS, 1),
            (b"Entry", b"Times", b"CreationTime") => self.item.time("created", content.expose()),
            (b"Entry", b"Times", b"LastModificationTime") => {
                self.item.time("updated", content.expose());
            }
            (b"Entry", b"Times", b"ExpiryTime") => self.expires = Some(content),
            (b"Entry", b"Times", b"Expires") => self.does_expire = content.expose() == "True",
            _ => {}
        }
    }
}

/// Returns whether a value is encrypted, as in the inner text of a database.
fn is_protected(value: &BytesStart<'_>) -> bool {
    value.attributes().flatten().any(|attribute| {
        attribute.key.as_ref() == b"Protected" && attribute.value.eq_ignore_ascii_case(b"true")
    })
}

#[cfg(test)]
mod tests {
    use snapbox::{assert_data_eq, str};

    use super::super::shown::{changed, shown};
    use super::*;

    /// In the format of `keepass.xml` of pass-import's tests.
    const EXPORT: &str = r#"<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<KeePassFile>
  <Meta><Generator>KeePass</Generator><RecycleBinUUID>bin==</RecycleBinUUID></Meta>
  <Root><Group><UUID>root==</UUID><Name>Database</Name>
    <Entry><UUID>1==</UUID><Tags>a;b</Tags>
      <Times><CreationTime>2017-01-01T00:00:00Z</CreationTime><LastModificationTime>2018-01-01T00:00:00Z</LastModificationTime>
        <ExpiryTime>2030-01-01T00:00:00Z</ExpiryTime><Expires>True</Expires></Times>
      <String><Key>Notes</Key><Value /></String>
      <String><Key>Password</Key><Value ProtectInMemory="True">canary&lt;&amp;&#x41;<![CDATA[<]]></Value></String>
      <String><Key>Title</Key><Value>shop</Value></String>
      <String><Key>URL</Key><Value>https://shop.example/</Value></String>
      <String><Key>UserName</Key><Value>bob</Value></String>
      <AutoType><Enabled>True</Enabled></AutoType>
      <History><Entry><String><Key>Password</Key><Value>canary old</Value></String></Entry></History>
    </Entry>
    <Group><UUID>g==</UUID><Name>Work</Name>
      <Group><UUID>h==</UUID><Name>Web</Name>
        <Entry>
          <String><Key>Title</Key><Value>bank</Value></String>
          <String><Key>pin</Key><Value>canary 1</Value></String>
          <String><Key>otp</Key><Value>otpauth://totp/x?secret=canary</Value></String>
          <String><Key>Notes</Key><Value>two
lines</Value></String>
          <Binary><Key>scan.pdf</Key><Value Ref="0" /></Binary>
        </Entry>
        <Entry><String><Key>Title</Key><Value>locked</Value></String>
          <String><Key>Password</Key><Value Protected="True">Y2FuYXJ5</Value></String></Entry>
      </Group>
    </Group>
    <Group><UUID>bin==</UUID><Name>Recycle Bin</Name>
      <Entry><String><Key>Password</Key><Value>canary gone</Value></String></Entry>
    </Group>
  </Group></Root>
</KeePassFile>"#;

    #[test]
    fn entries_are_named_by_groups_and_keep_all_fields() {
        let mut entries = read(EXPORT.as_bytes()).unwrap();
        assert_data_eq!(
            shown(&mut entries).unwrap(),
            str![[r#"
item 1, `shop`: shop
  "bob" / "canary<&A<"
  [created] 2017-01-01T00:00:00Z
  [expires] 2030-01-01T00:00:00Z
  [tags] a,b
  [updated] 2018-01-01T00:00:00Z
  [url] https://shop.example/
item 2, `bank`: Work/Web/bank
  pin: "canary 1"
  totp: "otpauth://totp/x?secret=canary"
  notes: "two/nlines"
item 3, `locked`: BAD: it has a value that is still encrypted

"#]]
        );
        assert_eq!(
            entries.left_out(),
            ["1 earlier version of an entry", "1 attachment", "1 entry of the recycle bin"]
        );
    }

    #[test]
    fn text_that_is_no_export_is_refused_without_repeating_it() {
        for (text, why) in [
            ("canary", "it has no `KeePassFile`"),
            ("<canary/>", "it has no `KeePassFile`"),
            ("<KeePassFile>\n<a></canary>", "line 2: it is not XML"),
            ("<KeePassFile>\n<a>&canary;", "line 2: it is not XML"),
            ("<KeePassFile><a>", "it is cut off"),
            (&"<a>".repeat(100), "it is nested too deep"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("this is not {FORM}: {why}"), "{text}");
        }
    }

    #[test]
    fn no_change_of_an_export_makes_it_panic() {
        changed(EXPORT.as_bytes(), |bytes| {
            if let Ok(entries) = read(bytes) {
                entries.for_each(drop);
            }
        });
    }
}
