//! The promise in bytes, for both ABIs: every type that crosses the boundary, the numbers of calls and
//! fields, the byte forms, and the C headers, compared with what was written down. A plugin built years
//! ago relies on it. An addition at an end passes; all else fails, with the line to read.
//!
//! Only for the contract as it is: the feature `next` is there to differ.
#![cfg(all(not(feature = "next"), target_pointer_width = "64"))]

#[path = "layout/forms.rs"]
mod forms;
#[path = "layout/growth.rs"]
mod growth;
#[path = "layout/header.rs"]
mod header;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use abi_stable::std_types::UTypeId;
use abi_stable::type_layout::{TLData, TLField, TypeLayout};
use abi_stable::StableAbi;
use keystead_plugin_api::abi::AbiPluginRef;

/// Where it is set, this test writes the file instead of comparing with it.
const REGENERATE: &str = "KEYSTEAD_REGENERATE_LAYOUT";

/// Every type by the id that the compiler gives it: by name alone, two instances of one
/// generic type would be taken for the same.
#[derive(Default)]
struct Dump {
    labels: HashMap<UTypeId, String>,
    same_name: HashMap<String, usize>,
    waiting: VecDeque<&'static TypeLayout>,
}

impl Dump {
    fn label(&mut self, layout: &'static TypeLayout) -> String {
        if let Some(label) = self.labels.get(&layout.get_utypeid()) {
            return label.clone();
        }
        let parameters = layout.generics().type_params().iter().map(|get| get());
        let parameters: Vec<_> = parameters.map(|held| self.label(held)).collect();
        let mut label = layout.name().to_owned();
        if !parameters.is_empty() {
            label += &format!("<{}>", parameters.join(", "));
        }
        let count = self.same_name.entry(label.clone()).or_default();
        *count += 1;
        if *count > 1 {
            label += &format!(" #{count}");
        }
        self.labels.insert(layout.get_utypeid(), label.clone());
        self.waiting.push_back(layout);
        label
    }

    fn field(&mut self, field: TLField) -> String {
        let functions = field.function_range();
        if functions.is_empty() {
            return self.label(field.layout());
        }
        let mut signatures = Vec::new();
        for function in functions.iter() {
            let parameters: Vec<_> =
                function.param_type_layouts.iter().map(|get| self.label(get())).collect();
            let returns = function.return_type_layout().map(|get| self.label(get()));
            let safety = if function.fn_qualifs.is_unsafe() { "unsafe " } else { "" };
            let returns = returns.unwrap_or_else(|| "()".to_owned());
            signatures.push(format!("{safety}fn({}) -> {returns}", parameters.join(", ")));
        }
        format!("{} = {}", field.layout().name(), signatures.join(", "))
    }

    fn one(&mut self, layout: &'static TypeLayout) -> String {
        let (size, alignment) = (layout.size(), layout.alignment());
        let mut text = format!("{}: size {size}, alignment {alignment}", self.label(layout));
        if layout.is_nonzero() {
            text += ", never null";
        }
        let (what, fields) = match layout.data() {
            TLData::Primitive(_) => ("primitive".to_owned(), Vec::new()),
            TLData::Opaque => ("opaque".to_owned(), Vec::new()),
            TLData::Struct { fields } => ("struct".to_owned(), fields.to_vec()),
            TLData::Union { fields } => ("union".to_owned(), fields.to_vec()),
            TLData::Enum(data) => {
                let names = data.variant_names.as_str().trim_end_matches(';');
                let what = format!("enum of {names}, {:?}", data.discriminants);
                (what, data.fields.to_vec())
            }
            TLData::PrefixType(data) => {
                let what = format!("prefix type, {} in the prefix", data.first_suffix_field);
                (what, data.fields.to_vec())
            }
        };
        writeln!(text, ", {:?}, {what}", layout.repr_attr()).unwrap();
        for field in fields {
            writeln!(text, "    {}: {}", field.name(), self.field(field)).unwrap();
        }
        text
    }
}

fn dump(root: &'static TypeLayout) -> String {
    let mut dump = Dump::default();
    dump.label(root);
    let mut blocks = Vec::new();
    while let Some(layout) = dump.waiting.pop_front() {
        let block = dump.one(layout);
        blocks.push(block);
    }
    // By name: an appended type must not move the others.
    blocks.sort();
    blocks.concat()
}

#[test]
fn rust_abi_layout_grows_only_at_ends() {
    compare("layout.golden", &dump(<AbiPluginRef as StableAbi>::LAYOUT));
}

#[test]
fn rust_abi_numbers_and_encodings_grow_only_at_ends() {
    compare("numbers.golden", &forms::numbers());
}

#[test]
fn c_abi_headers_grow_only_at_ends() {
    compare("header.golden", &header::dump());
}

fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap();
    let faults = growth::faults(&format!("plugin-api/tests/{name}"), &written, found);
    assert!(faults.is_empty(), "{}\n{}", faults.join("\n"), growth::HELP);
}
