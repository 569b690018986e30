//! The manifest as JSON, made by the compiler: the file carries plain bytes, and no code
//! of the plugin has to run for the host to read them.

use super::{Kind, Manifest, PermissionRequest, API_VERSION};
use crate::parameters::Parameter;

/// Counts, and where there is room also writes: one pass to learn the length, one to fill
/// an array of it.
struct Writer<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Writer<N> {
    const fn raw(mut self, text: &str) -> Self {
        let text = text.as_bytes();
        let mut i = 0;
        while i < text.len() {
            if self.len < N {
                self.bytes[self.len] = text[i];
            }
            self.len += 1;
            i += 1;
        }
        self
    }

    const fn byte(mut self, byte: u8) -> Self {
        if self.len < N {
            self.bytes[self.len] = byte;
        }
        self.len += 1;
        self
    }

    const fn string(self, text: &str) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let text = text.as_bytes();
        let mut out = self.byte(b'"');
        let mut i = 0;
        while i < text.len() {
            let byte = text[i];
            out = match byte {
                b'"' | b'\\' => out.byte(b'\\').byte(byte),
                0..=0x1f => {
                    out.raw("\\u00").byte(HEX[(byte >> 4) as usize]).byte(HEX[(byte & 15) as usize])
                }
                _ => out.byte(byte),
            };
            i += 1;
        }
        out.byte(b'"')
    }

    const fn member(self, name: &str, text: &str) -> Self {
        self.raw(",").string(name).raw(":").string(text)
    }

    const fn boolean(self, name: &str, yes: bool) -> Self {
        self.raw(",").string(name).raw(if yes { ":true" } else { ":false" })
    }

    const fn parameter(self, parameter: &Parameter) -> Self {
        let mut out = self
            .raw("{\"name\":")
            .string(parameter.name)
            .member("kind", parameter.kind.as_str())
            .member("description", parameter.description)
            .boolean("required", parameter.required)
            .boolean("secret", parameter.secret);
        if parameter.beside_login {
            out = out.boolean("login", false);
        }
        out.member("default", parameter.default).raw("}")
    }

    const fn kind(self, kind: &Kind) -> Self {
        let mut out = self
            .raw("{\"name\":")
            .string(kind.name)
            .member("description", kind.description)
            .member("names", kind.names.as_str())
            .raw(",\"capabilities\":[");
        let mut i = 0;
        while i < kind.capabilities.len() {
            out = out.separator(i).string(kind.capabilities[i].as_str());
            i += 1;
        }
        out = out.raw("],\"values\":[");
        i = 0;
        while i < kind.values.len() {
            out = out.separator(i).string(kind.values[i].as_str());
            i += 1;
        }
        out = out.raw("],\"parameters\":[");
        i = 0;
        while i < kind.parameters.len() {
            out = out.separator(i).parameter(&kind.parameters[i]);
            i += 1;
        }
        out = out.raw("],\"permissions\":[");
        i = 0;
        while i < kind.permissions.len() {
            out = out.separator(i).permission(&kind.permissions[i]);
            i += 1;
        }
        out.raw("]}")
    }

    /// A plain text where that says all.
    const fn permission(self, request: &PermissionRequest) -> Self {
        if !request.optional && request.why.is_empty() {
            return self.string(request.permission);
        }
        self.raw("{\"permission\":")
            .string(request.permission)
            .boolean("optional", request.optional)
            .member("why", request.why)
            .raw("}")
    }

    const fn separator(self, index: usize) -> Self {
        if index == 0 {
            self
        } else {
            self.raw(",")
        }
    }

    const fn manifest(self, manifest: &Manifest) -> Self {
        let mut out = self
            .raw("{\"schema\":1")
            .member("id", manifest.id)
            .member("version", manifest.version)
            .member("api", API_VERSION)
            .member("description", manifest.description)
            .member("vendor", manifest.vendor)
            .member("license", manifest.license)
            .member("homepage", manifest.homepage)
            .raw(",\"kinds\":[");
        let mut i = 0;
        while i < manifest.kinds.len() {
            out = out.separator(i).kind(&manifest.kinds[i]);
            i += 1;
        }
        out = out.raw("],\"permissions\":[");
        i = 0;
        while i < manifest.permissions.len() {
            out = out.separator(i).string(manifest.permissions[i]);
            i += 1;
        }
        out.raw("]}")
    }
}

impl Manifest {
    /// Returns how many bytes [`Manifest::json`] has.
    pub const fn json_len(&self) -> usize {
        Writer::<0> { bytes: [], len: 0 }.manifest(self).len
    }

    /// Returns the manifest as JSON.
    ///
    /// # Panics
    /// When `N` is not [`Manifest::json_len`]: in a `const`, at compile time.
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        let out = Writer { bytes: [0; N], len: 0 }.manifest(self);
        assert!(out.len == N, "N must be json_len()");
        out.bytes
    }
}
