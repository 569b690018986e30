//! Writes the good inputs that fuzzing starts from into `corpus/`: they are made, not kept.
//!
//! No fuzz target, though `cargo fuzz run seed` runs it: so it shares the targets' build.

#[allow(dead_code)] // The tests use more of it.
#[path = "../host/src/plugin/inspect/fixture.rs"]
mod fixture;

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let inspect = corpus.join("inspect");
    fs::create_dir_all(&inspect)?;
    fs::write(inspect.join("elf"), fixture::Elf::default().build())?;
    fs::write(inspect.join("pe"), fixture::pe())?;
    fs::write(inspect.join("macho"), fixture::macho())?;
    fs::write(inspect.join("json"), fixture::json())?;
    fs::write(inspect.join("permission"), "files:/srv/{path}:rw")?;
    Ok(())
}
