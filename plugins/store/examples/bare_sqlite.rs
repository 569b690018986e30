//! Smallest possible cost of a vault in SQLite, for `cargo xtask bench`: clear text in one file.
//! The file is opened as the plugin opens its own. It overwrites and delays no more than the plugin
//! does.

use rusqlite::{Connection, params};

fn main() -> rusqlite::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let (file, verb, rest) = (&words[1], words[2].as_str(), &words[3..]);
    let mut db = Connection::open(file)?;
    match verb {
        "make" => {
            db.execute(
                "CREATE TABLE secret (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
                [],
            )?;
            let count: usize = rest[0].parse().expect("a number");
            // Names and values of all other secrets.
            let row = |index: usize| {
                (format!("SECRET_{index:07}"), format!("value-{index:07}-0123456789abcdefgh"))
            };
            write(&mut db, (0..count).map(row))
        }
        "set" => {
            // The value differs each time: SQLite does not write an unchanged page.
            let value = format!("{}{:010}", &rest[1][..22], std::process::id());
            write(&mut db, [(rest[0].clone(), value)])
        }
        _ => {
            let get = "SELECT value FROM secret WHERE name = ?1";
            let value: String = db.query_row(get, [&rest[0]], |row| row.get(0))?;
            #[allow(clippy::print_stdout, reason = "it is a program")]
            {
                print!("{value}");
            }
            Ok(())
        }
    }
}

fn write(
    db: &mut Connection,
    rows: impl IntoIterator<Item = (String, String)>,
) -> rusqlite::Result<()> {
    db.pragma_update(None, "secure_delete", "ON")?;
    db.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
    let change = db.transaction()?;
    for (name, value) in rows {
        let put = "INSERT OR REPLACE INTO secret (name, value) VALUES (?1, ?2)";
        change.prepare_cached(put)?.execute(params![name, value])?;
    }
    change.commit()
}
