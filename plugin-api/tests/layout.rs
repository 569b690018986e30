//! The promise in bytes: every type that crosses the boundary, as it is laid out here, and the
//! numbers of calls and fields, compared with what was written down. A plugin built years ago relies on it.
//!
//! Only for the contract as it is: the feature `next` is there to differ.
#![cfg(all(not(feature = "next"), target_pointer_width = "64"))]

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;

use abi_stable::std_types::UTypeId;
use abi_stable::type_layout::{TLData, TLField, TypeLayout};
use abi_stable::StableAbi;
use keystead_plugin_api::abi::wire::RECORDS;
use keystead_plugin_api::abi::{AbiPluginRef, Method, Service};

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

/// Returns the numbers of calls and services, and of the fields of each record.
fn numbers() -> String {
    let mut text = String::new();
    let mut list = |what: &str, names: &mut dyn Iterator<Item = (u32, &'static str)>| {
        writeln!(text, "{what}").unwrap();
        names.for_each(|(number, name)| writeln!(text, "    {number} {name}").unwrap());
    };
    let codes = || 0..1_000;
    let calls = codes().filter_map(|code| Some((code, Method::from_code(code)?.as_str())));
    list("calls", &mut { calls });
    let services = codes().filter_map(|code| Some((code, Service::from_code(code)?.as_str())));
    list("services", &mut { services });
    for (name, fields) in RECORDS {
        list(name, &mut fields.iter().map(|(number, name)| (u32::from(*number), *name)));
    }
    text
}

#[test]
fn layout_of_the_boundary_is_the_one_that_was_written_down() {
    compare("layout.golden", &dump(<AbiPluginRef as StableAbi>::LAYOUT));
}

#[test]
fn numbers_of_calls_and_fields_are_those_that_were_written_down() {
    compare("numbers.golden", &numbers());
}

fn compare(golden: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(golden);
    if std::env::var_os(REGENERATE).is_some() {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    let first = golden.lines().zip(found.lines()).position(|(old, new)| old != new);
    let line = first.unwrap_or_else(|| golden.lines().count().min(found.lines().count()));
    assert!(
        golden == found,
        "the boundary has changed, first in line {} of {}:\n  was: {}\n  is:  {}\n\
         Every plugin that is out there was built against what was. Fields may be appended to \
         prefix types (behind the last one) and to records (with new numbers), and calls, services \
         and types may be added; anything else breaks them, and needs a new major version.\n\
         If the change is meant: write a decision record in docs/decisions, then run\n  \
         {REGENERATE}=1 cargo test -p keystead-plugin-api --test layout\nand commit both.",
        line + 1,
        path.display(),
        golden.lines().nth(line).unwrap_or("(nothing)"),
        found.lines().nth(line).unwrap_or("(nothing)"),
    );
}
