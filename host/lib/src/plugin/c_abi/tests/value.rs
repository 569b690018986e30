//! Values in C: taken apart without reads behind their end, and maps put together.

use std::process::Command;

use keystead_plugin_api::{Map, Value, ValueKind};

use super::header::{compile, told};

/// Compiles a program with the headers and returns what it prints.
fn run(source: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("program");
    let checked = ["-std=c99", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    compile("cc", "c", source, &checked, &program);
    String::from_utf8(told(&mut Command::new(&program)).stdout).unwrap()
}

#[test]
fn c_value_is_never_read_past_its_end() {
    // Of each form: how many parts there are.
    let parts = r#"
#include <stdio.h>
#include <stdlib.h>
#include "keystead_value.h"
static int parts(const char *data, size_t size) {
    char *own = size ? malloc(size) : NULL; /* so that one byte behind it is seen */
    keystead_bytes value, part;
    uint32_t number;
    int count = 0;
    value.data = own;
    value.size = size;
    keystead_copy(own, keystead_text(NULL));
    if (size) memcpy(own, data, size);
    while (keystead_part(&value, &part)) count += 1 + (part.size == 0) * 10;
    if (keystead_number(&value, &number)) count += 100;
    free(own);
    return count;
}
int main(void) {
    printf("%d %d %d %d %d %d\n", parts("", 0), parts("\1\0\0\0x", 5), parts("\2\0\0\0x", 5),
           parts("\0\0\0\0\1\0\0\0x", 9), parts("\xff\xff\xff\xff", 4), parts("\1\0\0", 3));
    return 0;
}
"#;
    assert_eq!(run(parts), "0 1 100 12 100 0\n");
}

/// Start of every program here: prints a value's byte form as numbers.
const SHOW: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include "keystead_value.h"
static inline void show(keystead_bytes value) {
    size_t at;
    for (at = 0; at < value.size; at++) printf("%u ", (unsigned)(unsigned char)value.data[at]);
    printf("\n");
}
#define TEXT(text) keystead_text(text)
"#;

fn form(line: &str) -> Vec<u8> {
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

#[test]
fn map_written_in_c_decodes_equal() {
    let source = r#"
static keystead_bytes whole(void) {
    keystead_bytes form = {"\1\0\0\0\1", 5};
    return form;
}
static void fill(keystead_writer *writer, char *buffer, size_t room) {
    keystead_writer_begin(writer, buffer, room);
    keystead_writer_text(writer, TEXT("text"), TEXT("a"));
    keystead_writer_text(writer, TEXT(""), TEXT(""));
    keystead_writer_begin_map(writer, TEXT("inner"));
    keystead_writer_json(writer, TEXT("port"), TEXT("5432"));
    keystead_writer_begin_map(writer, TEXT("none"));
    keystead_writer_end_map(writer);
    keystead_writer_end_map(writer);
    keystead_writer_credential(writer, TEXT("login"), TEXT("user"), TEXT("password"));
    keystead_writer_bytes(writer, TEXT("bytes"), TEXT("b"));
    keystead_writer_value(writer, TEXT("as it is"), KEYSTEAD_VALUE_TEXT, whole());
}
int main(void) {
    keystead_writer writer;
    keystead_bytes value;
    size_t room, needed;
    char *buffer;
    fill(&writer, NULL, 0);
    if (keystead_writer_end(&writer, &value) || writer.failed) return 1;
    needed = writer.size;
    for (room = 0; room < needed; room++) { /* each one too small, and nothing behind it written */
        buffer = malloc(room ? room : 1);
        fill(&writer, buffer, room);
        if (keystead_writer_end(&writer, &value) || writer.failed || writer.size != needed) return 2;
        free(buffer);
    }
    buffer = malloc(needed);
    fill(&writer, buffer, needed);
    if (!keystead_writer_end(&writer, &value)) return 3;
    show(value);
    free(buffer);
    return 0;
}
"#;
    let form = form(&run(&format!("{SHOW}{source}")));
    let mut inner = Map::new();
    inner.insert("port", Value::json("5432").unwrap());
    inner.insert("none", Value::Map(Map::new()));
    let mut map = Map::new();
    map.insert("text", Value::text("a"));
    map.insert("", Value::text(""));
    map.insert("inner", Value::Map(inner));
    map.insert("login", Value::credential("user", "password"));
    map.insert("bytes", Value::bytes(b"b".to_vec()));
    map.insert("as it is", Value::text("\u{1}"));
    assert_eq!(Value::decode(ValueKind::Map.code(), &form).unwrap(), Value::Map(map));
}

#[test]
fn documented_c_writer_example_decodes_to_its_map() {
    let form = form(&run(include_str!("writer.c")));
    let (mut server, mut map) = (Map::new(), Map::new());
    server.insert("port", Value::json("5432").unwrap());
    map.insert("user", Value::text("me"));
    map.insert("server", Value::Map(server));
    assert_eq!(Value::decode(ValueKind::Map.code(), &form).unwrap(), Value::Map(map));
}

#[test]
fn map_above_limit_fails_in_c() {
    let source = r#"
static int ended(keystead_writer *writer) {
    keystead_bytes value;
    return keystead_writer_end(writer, &value) * 10 + (int)writer->failed;
}
int main(void) {
    static char buffer[1 << 20];
    keystead_writer writer;
    keystead_bytes large;
    int at;
    /* 16 levels, and one more. */
    for (at = 15; at <= 16; at++) {
        int level;
        keystead_writer_begin(&writer, buffer, sizeof buffer);
        for (level = 0; level < at; level++) keystead_writer_begin_map(&writer, TEXT("k"));
        for (level = 0; level < at; level++) keystead_writer_end_map(&writer);
        printf("%d ", ended(&writer));
    }
    /* 10,000 members, and one more. */
    for (at = 10000; at <= 10001; at++) {
        int member;
        keystead_writer_begin(&writer, buffer, sizeof buffer);
        for (member = 0; member < at; member++)
            keystead_writer_text(&writer, TEXT("k"), TEXT(""));
        printf("%d ", ended(&writer));
    }
    /* Larger than any value: nothing of it is read. */
    large.data = buffer;
    large.size = (size_t)-1;
    keystead_writer_begin(&writer, buffer, sizeof buffer);
    keystead_writer_bytes(&writer, TEXT("k"), large);
    printf("%d ", ended(&writer));
    keystead_writer_begin(&writer, buffer, sizeof buffer);
    keystead_writer_value(&writer, TEXT("k"), KEYSTEAD_VALUE_BYTES, large);
    printf("%d ", ended(&writer));
    /* A map that does not end, and ends that end none. */
    keystead_writer_begin(&writer, buffer, sizeof buffer);
    keystead_writer_begin_map(&writer, TEXT("k"));
    printf("%d ", ended(&writer));
    keystead_writer_begin(&writer, buffer, sizeof buffer);
    keystead_writer_end_map(&writer);
    keystead_writer_text(&writer, TEXT("k"), TEXT("late"));
    printf("%d ", ended(&writer));
    keystead_writer_begin(&writer, NULL, 64);
    printf("%d\n", ended(&writer));
    return 0;
}
"#;
    assert_eq!(run(&format!("{SHOW}{source}")), "10 1 10 1 1 1 1 1 0\n");
}

#[test]
fn c_helpers_accept_empty_values() {
    let source = r#"
int main(void) {
    keystead_parameter one, other;
    const keystead_parameter *all[2];
    keystead_bytes none = TEXT(""), long_ = TEXT("ab");
    char to[1] = {'x'};
    memset(&one, 0, sizeof one);
    other = one;
    one.name = TEXT("a");
    all[0] = &one;
    all[1] = &other;
    printf("%d%d%d ", keystead_find(all, 2, "a") == &one, keystead_find(all, 2, "") == &other,
           keystead_find(NULL, 0, "a") == NULL);
    printf("%d%d%d%d ", keystead_is(none, ""), keystead_is(none, "a"), keystead_is(TEXT(NULL), ""),
           keystead_is(long_, "ab"));
    printf("%d%d%d ", keystead_compare(none, none) == 0, keystead_compare(none, long_) < 0,
           keystead_compare(long_, TEXT("a")) > 0);
    printf("%d%d %c\n", none.data == NULL, keystead_copy(to, none) == to, to[0]);
    return 0;
}
"#;
    assert_eq!(run(&format!("{SHOW}{source}")), "111 1011 111 11 x\n");
}
