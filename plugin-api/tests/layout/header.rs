//! The C headers as a C compiler sees them: each struct with the places, sizes and declarations of its
//! fields, each number, each type and function.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{:?}:\n{}", command, String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

fn compiler() -> Command {
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-x", "c", "-I"]).arg(include());
    cc
}

/// One declaration of a header.
enum Declaration {
    Struct {
        name: String,
        fields: Vec<String>,
    },
    Numbers(Vec<String>),
    /// A type, a function: all of it.
    Other(String),
}

/// Returns what the headers declare, after macros are replaced. Structs of `keystead_value.h` are the
/// author's own, and no part of the ABI.
fn declarations() -> Vec<Declaration> {
    let preprocessed = run(compiler().arg("-E").arg(include().join("keystead_value.h")));
    let mut found = Vec::new();
    for (file, text) in of_files(&preprocessed) {
        for text in split(&text) {
            let body = text.find('{').map(|at| (at + 1, text.rfind('}').unwrap()));
            let inner = body.map_or("", |(from, to)| &text[from..to]);
            found.push(if text.starts_with("static inline") {
                Declaration::Other(normal(&text[..text.find('{').unwrap()]))
            } else if text.starts_with("enum") {
                // A comma stands within parentheses as well: only names are looked for.
                let is_name = |name: &String| name.starts_with("KEYSTEAD_");
                let members = inner.split(',').map(|it| normal(it.split('=').next().unwrap()));
                Declaration::Numbers(members.filter(is_name).collect())
            } else if body.is_none() {
                Declaration::Other(normal(&text))
            } else if file.ends_with("keystead_value.h") {
                continue;
            } else {
                let name = normal(&text[text.rfind('}').unwrap() + 1..]);
                let fields = inner.split(';').map(normal).filter(|field| !field.is_empty());
                Declaration::Struct { name, fields: fields.collect() }
            });
        }
    }
    found
}

/// Returns the text of each of our headers, by the lines in which the compiler says whose it is.
fn of_files(preprocessed: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut own = false;
    for line in preprocessed.lines() {
        if let Some(mark) = line.strip_prefix("# ") {
            let file = mark.split('"').nth(1).unwrap_or_default();
            own = file.contains("keystead_");
            if own && files.last().map_or(true, |(last, _)| last != file) {
                files.push((file.to_owned(), String::new()));
            }
        } else if own {
            let (_, text) = files.last_mut().unwrap();
            text.push_str(line);
            text.push('\n');
        }
    }
    files
}

/// Splits a text into its declarations, without their semicolons.
fn split(text: &str) -> Vec<String> {
    let (mut found, mut own, mut depth) = (Vec::new(), String::new(), 0);
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let is_function = own.trim_start().starts_with("static inline");
        let ends = depth == 0 && (c == ';' || (c == '}' && is_function));
        if !(ends && c == ';') {
            own.push(c);
        }
        if ends {
            let whole = own.trim();
            if !whole.is_empty() {
                found.push(whole.to_owned());
            }
            own.clear();
        }
    }
    found
}

/// Returns a declaration with its blanks where they are needed alone: compilers differ in the rest.
fn normal(text: &str) -> String {
    let mut normal = String::new();
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let last = normal.chars().last();
        let between_words = blank && last.map_or(false, is_word) && is_word(c);
        let before_pointer = c == '*' && last.map_or(false, is_word);
        if between_words || before_pointer || last == Some(',') {
            normal.push(' ');
        }
        blank = false;
        normal.push(c);
    }
    normal
}

/// Returns the name that a field's declaration gives it.
fn name_of(field: &str) -> &str {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let end = match field.find("(*") {
        Some(at) => return field[at + 2..].split(|c| !is_word(c)).next().unwrap(),
        None => field.len(),
    };
    &field[field[..end].rfind(|c| !is_word(c)).map_or(0, |at| at + 1)..end]
}

/// Returns what C says of these expressions, each a number.
fn in_c(expressions: &[String]) -> Vec<i64> {
    let lines: String = expressions
        .iter()
        .map(|it| format!("    printf(\"%lld\\n\", (long long)({it}));\n"))
        .collect();
    let source = format!(
        "#include <stdio.h>\n#include \"keystead_value.h\"\nint main(void) {{\n{lines}    return 0;\n}}\n"
    );
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let (file, program) = (dir.join("header.c"), dir.join("header"));
    std::fs::write(&file, source).unwrap();
    run(compiler().arg(&file).arg("-o").arg(&program));
    run(&mut Command::new(&program)).lines().map(|line| line.parse().unwrap()).collect()
}

/// Returns all of it.
pub(crate) fn dump() -> String {
    let declarations = declarations();
    let mut expressions = vec!["KEYSTEAD_MAGIC".to_owned()];
    for declaration in &declarations {
        match declaration {
            Declaration::Struct { name, fields } => {
                expressions.push(format!("sizeof({name})"));
                for field in fields.iter().map(|field| name_of(field)) {
                    expressions.push(format!("offsetof({name}, {field})"));
                    expressions.push(format!("sizeof((({name} *)0)->{field})"));
                }
            }
            Declaration::Numbers(names) => expressions.extend(names.iter().cloned()),
            Declaration::Other(_) => {}
        }
    }
    let mut numbers = in_c(&expressions).into_iter();
    let mut number = || numbers.next().unwrap();
    let mut text = format!("magic: {:#x}\n", number());
    let mut others = Vec::new();
    for declaration in &declarations {
        match declaration {
            Declaration::Struct { name, fields } => {
                let grows = fields.iter().any(|field| field == "uint32_t size");
                let grows = if grows { ", grows at its end" } else { "" };
                writeln!(text, "struct {name}: size {}{grows}", number()).unwrap();
                for field in fields {
                    writeln!(text, "    {}+{} {field}", number(), number()).unwrap();
                }
            }
            Declaration::Numbers(names) => {
                writeln!(text, "numbers of {}: grows", names[0]).unwrap();
                names.iter().for_each(|name| writeln!(text, "    {} {name}", number()).unwrap());
            }
            // Parts of helpers, which no author calls.
            Declaration::Other(whole) if whole.contains("_raw(") => {}
            Declaration::Other(whole) => others.push(whole),
        }
    }
    writeln!(text, "types and functions: grows").unwrap();
    others.iter().for_each(|whole| writeln!(text, "    {whole}").unwrap());
    assert!(
        text.contains("struct keystead_plugin: ") && text.contains("    0 KEYSTEAD_OK\n"),
        "{text}"
    );
    text
}
