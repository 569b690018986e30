#!/usr/bin/env python3
"""Reads a local vault without Keystead: written from docs/reference/store-format.md, not from its code.

    read_store.py FOLDER password|key-file|recovery-code < WHAT_OPENS_IT

Checks the header and every link of the chain, opens every secret, and prints each as one line
of JSON, by name. Anything that is not as the page says ends it. It needs PyNaCl, no more.
"""

import base64
import datetime
import hashlib
import hmac
import json
import sqlite3
import struct
import sys
import unicodedata

from nacl import bindings, exceptions

FORMAT = b"keystead-store 1 "
HEAD = -(2**63)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SCHEMA = [
    "CREATE TABLE header (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",
    "CREATE TABLE secret (place INTEGER PRIMARY KEY, next INTEGER NOT NULL, link BLOB NOT NULL, "
    "overview BLOB NOT NULL, value INTEGER NOT NULL)",
    "CREATE TABLE value (id INTEGER PRIMARY KEY, sealed BLOB NOT NULL)",
]


def check(condition, why):
    if not condition:
        sys.exit(f"not as it should be: {why}")


def blake(size, message, key=b""):
    return hashlib.blake2b(message, digest_size=size, key=key).digest()


def same(a, b):
    return hmac.compare_digest(a, b)


def unseal(key, belongs, sealed):
    """Returns what was sealed, or None."""
    decrypt = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt
    try:
        return decrypt(sealed[24:], belongs, sealed[:24], key)
    except exceptions.CryptoError:
        return None


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        check(self.at + size <= len(self.data), "something ends too early")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def blob(self):
        return self.take(self.number("I"))

    def text(self):
        return self.blob().decode("utf-8")

    def end(self):
        check(self.at == len(self.data), "something follows")


def simple_fold(c):
    """Python folds in full. Where that is one character it is the simple folding as well; where
    it is several, the simple one is the lower-case letter if that folds to the same, and the
    character itself if not. (Compared with CaseFolding.txt for every character.)"""
    full = c.casefold()
    if len(full) == 1:
        return full
    lower = c.lower()
    return lower if len(lower) == 1 and lower.casefold() == full else c


def folded(name, case_sensitive):
    check(all(unicodedata.category(c) != "Cn" for c in name), "a name newer than this Python")
    name = unicodedata.normalize("NFC", name)
    if case_sensitive:
        return name
    return unicodedata.normalize("NFC", "".join(map(simple_fold, name)))


def read_header(body):
    signed, checksum, tag = body[:-32], body[-32:-16], body[-16:]
    header = Reader(signed)
    check(header.take(14) == b"keystead-store", "the header's beginning")
    version = header.number("H")
    check(same(blake(16, signed), checksum), "the header's checksum")
    check(version == 1, f"version {version}")
    store, case, _tables = header.take(16), header.number("B"), header.take(2)
    check(case in (0, 1), "the rule for names")
    following, slots = header.number("I"), []
    for _ in range(header.number("B")):
        start = header.at
        slot = {"number": header.number("I"), "kind": header.number("B")}
        check(slot["number"] < following and slot["kind"] in (1, 2, 3), "a slot")
        if slot["kind"] == 1:
            slot["salt"] = header.take(16)
            slot["memory"], slot["passes"] = header.number("I"), header.number("I")
            check(8 <= slot["memory"] <= 2**21 and 1 <= slot["passes"] <= 1000, "a slot's cost")
            check(slot["memory"] * slot["passes"] <= 2**26, "a slot's cost")
        slot["created"], slot["label"] = header.number("q"), header.text()
        slot["belongs"] = store + signed[start : header.at]
        slot["sealed"] = header.take(72)
        slots.append(slot)
    header.end()
    check(len(slots) <= 64, "too many slots")
    return signed, tag, case == 1, slots


def code_bytes(text):
    digits = text.strip().upper().replace("-", "").replace(" ", "")
    digits = digits.replace("O", "0").replace("I", "1").replace("L", "1")
    check(len(digits) == 36, "the length of a recovery code")
    bits = "".join(f"{ALPHABET.index(digit):05b}" for digit in digits)
    code = int(bits[:160], 2).to_bytes(20, "big")
    expected = blake(16, b"recovery code" + code)
    check(bits[160:] == f"{int.from_bytes(expected, 'big'):0128b}"[:20], "a mistyped code")
    return code


def slot_keys(opener, given, slots):
    """Returns each slot of a sort with the key that would open it."""
    if opener == "password":
        password = unicodedata.normalize("NFC", given.decode("utf-8")).encode("utf-8")
        for slot in (slot for slot in slots if slot["kind"] == 1):
            argon2id = bindings.crypto_pwhash_ALG_ARGON2ID13
            memory, passes = slot["memory"] * 1024, slot["passes"]
            arguments = (32, password, slot["salt"], passes, memory, argon2id)
            yield slot, bindings.crypto_pwhash_alg(*arguments)
    else:
        kind, material = {
            "key-file": (2, lambda: b"key file" + given),
            "recovery-code": (3, lambda: b"recovery code" + code_bytes(given.decode("utf-8"))),
        }[opener]
        key = blake(32, FORMAT + material())
        yield from ((slot, key) for slot in slots if slot["kind"] == kind)


def read_chain(file, link_key):
    """Returns the rows of every secret, once they are known to be all."""
    rows = file.execute("SELECT place, next, link, overview, value FROM secret ORDER BY place")
    rows = rows.fetchall()
    check(rows and rows[0][0] == HEAD and rows[0][3:] == (b"", 0), "the head of the chain")
    for row, following in zip(rows, rows[1:] + rows[:1]):
        link = blake(16, struct.pack("<qq", row[0], row[1]), link_key)
        check(same(link, row[2]), "a link")
        check(row[1] == following[0], "a secret is missing")
    return rows[1:]


def read_metadata(reader):
    metadata = {}
    for _ in range(reader.number("I")):
        key, kind = reader.text(), reader.number("B")
        check(key not in metadata and kind > 0, "metadata")
        if kind >= 5:
            content, texts = Reader(reader.blob()), []
            while kind == 5 and content.at < len(content.data):
                texts.append(content.text())
            if kind == 5:
                metadata[key] = texts
        elif kind == 1:
            metadata[key] = reader.text()
        elif kind == 4:
            metadata[key] = {"timestamp": moment(reader.number("q"))}
        else:
            metadata[key] = reader.number("q") if kind == 2 else reader.number("B") == 1
    return metadata


def moment(milliseconds):
    since = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=milliseconds)
    return since.isoformat(timespec="milliseconds").rstrip("0").rstrip(".") + "Z"


def read_value(kind, reader):
    if kind == 1:
        return {"text": reader.text()}
    if kind == 2:
        return {"base64": base64.b64encode(reader.blob()).decode()}
    if kind == 3:
        return {"user": reader.text(), "password": reader.text()}
    check(kind == 4, f"kind {kind}")
    entries = {}
    for _ in range(reader.number("I")):
        key = reader.text()
        check(key not in entries, "a key twice")
        entries[key] = read_value(reader.number("I"), reader)
    return {"map": entries}


def read_secret(file, keys, row, case_sensitive):
    place, _, _, overview, number = row
    where = struct.pack("<q", place)
    opened = unseal(keys["overview"], where, overview)
    check(opened is not None, "an overview")
    reader = Reader(opened)
    version, kind, name = reader.take(8), reader.number("I"), reader.text()
    metadata = read_metadata(reader)
    reader.end()
    hashed = blake(8, folded(name, case_sensitive).encode("utf-8"), keys["place"])
    check(max(struct.unpack("<q", hashed)[0], HEAD + 1) == place, f"the place of {name}")
    sealed = file.execute("SELECT sealed FROM value WHERE id = ?", (number,)).fetchone()
    check(sealed is not None, "a value is missing")
    opened = unseal(keys["value"], where + version, sealed[0])
    check(opened is not None, "a value")
    reader = Reader(opened)
    check(reader.number("I") == kind, "two kinds")
    value = read_value(kind, reader)
    reader.end()
    names = {1: "text", 2: "bytes", 3: "credential", 4: "map"}
    return {"name": name, "kind": names[kind], "metadata": metadata, "value": value}


def main(folder, opener):
    given = sys.stdin.buffer.read()
    file = sqlite3.connect(f"{folder}/store.db")
    found = [sql for (sql,) in file.execute("SELECT sql FROM sqlite_schema")]
    check(found == SCHEMA, "the schema")
    for setting, expected in [("page_size", 4096), ("auto_vacuum", 2), ("encoding", "UTF-8"),
                              ("application_id", 0x4B535452), ("user_version", 1)]:
        value = file.execute(f"PRAGMA {setting}").fetchone()[0]
        check(value == expected, f"{setting} is {value}")
    [(body,)] = file.execute("SELECT body FROM header").fetchall()
    signed, tag, case_sensitive, slots = read_header(body)
    opened = (unseal(key, slot["belongs"], slot["sealed"])
              for slot, key in slot_keys(opener, given, slots))
    data_key = next((key for key in opened if key is not None), None)
    check(data_key is not None, f"no slot is opened by this {opener}")
    purposes = ["header", "place", "link", "overview", "value"]
    keys = {purpose: blake(32, FORMAT + purpose.encode(), data_key) for purpose in purposes}
    check(same(blake(16, signed, keys["header"]), tag), "the header's tag")
    rows = read_chain(file, keys["link"])
    secrets = [read_secret(file, keys, row, case_sensitive) for row in rows]
    for secret in sorted(secrets, key=lambda secret: secret["name"]):
        print(json.dumps(secret, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
