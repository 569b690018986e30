//! Checks whether a plugin's types have the host's layout. The check runs in both directions, as a
//! plugin can be older or newer, and reports a difference in one line.

use std::panic;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::{
    AbiInstability, AbiInstabilityError, AbiInstabilityErrors, CheckingGlobals, ExpectedFound,
    check_layout_compatibility_with_globals as check,
};
use abi_stable::type_layout::{TLFieldOrFunction, TypeLayout};
use keystead_plugin_api::abi::AbiPluginRef;

/// How a plugin's API relates to the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbiCompatibility {
    /// Both are the same.
    Exact,
    /// The plugin has parts that the host does not know; the host does not use them.
    PluginNewer,
    /// The plugin lacks parts that the host knows; the host does without them.
    PluginOlder,
}

impl AbiCompatibility {
    /// Returns the name used in verdicts and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::PluginNewer => "plugin-newer",
            Self::PluginOlder => "plugin-older",
        }
    }

    /// Returns the compatibility with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Exact, Self::PluginNewer, Self::PluginOlder]
            .into_iter()
            .find(|fit| fit.as_str() == name)
    }
}

/// Compares a plugin's root with the host's.
///
/// # Errors
/// One line with the path from the root to the difference, and both sizes or types.
pub(super) fn fit(plugin: &'static TypeLayout) -> Result<AbiCompatibility, String> {
    fit_of(<AbiPluginRef as StableAbi>::LAYOUT, plugin)
}

pub(super) fn fit_of(
    host: &'static TypeLayout,
    plugin: &'static TypeLayout,
) -> Result<AbiCompatibility, String> {
    // Fresh globals each time: the default ones keep state, and the result then depends on the
    // plugin that was loaded first. Stock abi_stable checks one direction only and so refuses every
    // plugin that is older than its host.
    let one_way = |this, other| {
        panic::catch_unwind(|| check(this, other, &CheckingGlobals::new()))
            .map_err(|_| "its layout description cannot be read".to_owned())
    };
    match (one_way(host, plugin)?, one_way(plugin, host)?) {
        (Ok(()), Ok(())) => Ok(AbiCompatibility::Exact),
        (Ok(()), Err(_)) => Ok(AbiCompatibility::PluginNewer),
        (Err(_), Ok(())) => Ok(AbiCompatibility::PluginOlder),
        (Err(difference), Err(_)) => Err(one_line(&difference)),
    }
}

/// Reduces a report of hundreds of lines to the difference that causes the others.
fn one_line(report: &AbiInstabilityErrors) -> String {
    let Some(cause) = cause(report) else {
        return "the layouts differ".to_owned();
    };
    let mut path = vec!["plugin".to_owned()];
    path.extend(cause.stack_trace.iter().map(|step| step_name(&step.expected)));
    // Internal layers mean nothing to a reader.
    path.retain(|step| !matches!(step.as_str(), "0" | "ptr" | "__field_0" | "field_0"));
    path.dedup();
    format!("{} > {}", path.join(" > "), difference(cause))
}

/// Returns the difference that causes the others.
fn cause(report: &AbiInstabilityErrors) -> Option<&AbiInstabilityError> {
    let depth = |error: &&AbiInstabilityError| error.stack_trace.len();
    let all = || report.errors.iter();
    // Another version differs in every type: the root shows it best.
    let versions =
        all().filter(|e| has(e, |fault| matches!(fault, AbiInstability::PackageVersion(_))));
    // The deepest difference is the cause of those above it. Two sizes are the clearest; more
    // fields than the plugin has are no fault by themselves.
    let sizes = all().filter(|error| size(error).is_some());
    let others =
        all().filter(|e| has(e, |fault| !matches!(fault, AbiInstability::FieldCountMismatch(_))));
    versions
        .min_by_key(depth)
        .or_else(|| sizes.max_by_key(depth))
        .or_else(|| others.max_by_key(depth))
        .or_else(|| all().max_by_key(depth))
}

fn has(error: &AbiInstabilityError, wanted: impl Fn(&AbiInstability) -> bool) -> bool {
    error.errs.iter().any(wanted)
}

fn size(error: &AbiInstabilityError) -> Option<&ExpectedFound<usize>> {
    error.errs.iter().find_map(|fault| match fault {
        AbiInstability::Size(sizes) => Some(sizes),
        _ => None,
    })
}

fn step_name(step: &TLFieldOrFunction) -> String {
    match step {
        TLFieldOrFunction::Field(field) => match field.name() {
            "__returns" => "returns".to_owned(),
            name => name.to_owned(),
        },
        TLFieldOrFunction::Function(function) => function.name.to_string(),
    }
}

fn difference(error: &AbiInstabilityError) -> String {
    let owner = error.stack_trace.last().map(|step| match &step.expected {
        TLFieldOrFunction::Field(field) => field.layout().name(),
        TLFieldOrFunction::Function(_) => "function",
    });
    let owner = owner.map_or_else(|| "root: ".to_owned(), |name| format!("{name}: "));
    if let Some(sizes) = size(error) {
        return format!("{owner}{}", pair("size", sizes));
    }
    let telling = |fault: &&AbiInstability| !matches!(fault, AbiInstability::FieldCountMismatch(_));
    let Some(first) = error.errs.iter().find(telling).or_else(|| error.errs.first()) else {
        return format!("{owner}differs");
    };
    let what = match first {
        AbiInstability::Alignment(sizes) => pair("alignment", sizes),
        AbiInstability::FieldCountMismatch(counts) => pair("number of fields", counts),
        AbiInstability::TooManyVariants(counts) => pair("number of variants", counts),
        AbiInstability::MismatchedPrefixSize(counts) => pair("fields of the prefix", counts),
        AbiInstability::NonZeroness(sides) => pair("never null", sides),
        AbiInstability::Name(names) => {
            format!("type: host {}, plugin {}", names.expected.name(), names.found.name())
        }
        AbiInstability::Package(names) => pair("package", names),
        AbiInstability::PackageVersion(versions) => {
            format!("version: host {}, plugin {}", versions.expected, versions.found)
        }
        AbiInstability::MismatchedPrimitive(sides) => {
            format!("type: host {:?}, plugin {:?}", sides.expected, sides.found)
        }
        AbiInstability::UnexpectedField(fields) => {
            format!("field: host `{}`, plugin `{}`", fields.expected.name(), fields.found.name())
        }
        AbiInstability::TLDataDiscriminant(sides) => {
            format!("kind of type: host {:?}, plugin {:?}", sides.expected, sides.found)
        }
        AbiInstability::FnQualifierMismatch(_) => "one of the functions is unsafe".to_owned(),
        other => {
            let name = format!("{other:?}");
            let end = name.find(['(', ' ', '{']).unwrap_or(name.len());
            name[..end].to_owned()
        }
    };
    format!("{owner}{what}")
}

fn pair<T: std::fmt::Display>(what: &str, sides: &ExpectedFound<T>) -> String {
    format!("{what}: host {}, plugin {}", sides.expected, sides.found)
}

#[cfg(test)]
#[allow(unsafe_code)] // the accessors that abi_stable generates
mod tests;
