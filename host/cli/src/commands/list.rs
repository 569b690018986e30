//! `keystead list`: names, vaults, kinds and metadata; never values.

use std::borrow::Cow;
use std::time::Duration;

use keystead::ListedSecret;
use keystead::internals::metadata::Filter;
use keystead_plugin_api::{Metadata, VaultName};
use serde::Serialize;

use super::CommandContext;
use super::get::vault_name;
use crate::failure::{Exit, Failure, in_one_line};
use crate::{duration, metadata};

/// List secrets
///
/// Without a vault all vaults are listed; one that cannot be asked is a warning, and exit
/// code 5. For programs the columns are separated by tabs and have no heading; names are exact,
/// and control characters in metadata are escaped. On a terminal all is escaped, as `\u{202e}`,
/// that it would obey or nobody would see.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only names that match; `*` stands for any text, `?` for any character, and `web/` for all
    /// below it
    pattern: Option<String>,
    /// The vault to list
    #[arg(short = 'V', long, value_parser = vault_name)]
    vault: Option<VaultName>,
    /// Only secrets that expire within this time: `12h`, `30d`, `2w`
    #[arg(long, value_name = "TIME", value_parser = duration::parse_days)]
    expiring: Option<Duration>,
    /// Only secrets that have expired; with `--expiring`, these too
    #[arg(long)]
    expired: bool,
    /// Only secrets with this tag; several times: with all of them
    #[arg(long = "tag", value_name = "TAG", value_parser = tag)]
    tags: Vec<String>,
}

/// Parses a tag: a text that is not empty and has no comma.
fn tag(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("a tag is not empty".to_owned()),
        tag if tag.contains(',') => Err("a tag has no comma; give `--tag` again".to_owned()),
        tag => Ok(tag.to_owned()),
    }
}

pub(crate) fn run(args: &Args, mut scene: CommandContext<'_>) -> Result<Exit, Failure> {
    let waiting = scene.waiting(args.vault.as_ref());
    let pattern = args.pattern.as_deref().map(below);
    let pattern = pattern.as_deref();
    let mut listing = scene.host.list(pattern, args.vault.as_ref(), &mut scene.terminal)?;
    drop(waiting);
    let filter = Filter {
        now: metadata::now(),
        expiring: args.expiring,
        expired: args.expired,
        tags: args.tags.clone(),
    };
    let incomplete =
        listing.entries.iter().filter(|described| described.entry.metadata.is_incomplete()).count();
    listing.entries.retain(|described| filter.matches(&described.entry.metadata));

    let mut lines = scene.ui.lines();
    if scene.ui.is_json() {
        for described in &listing.entries {
            lines.json(&ListOutput::of(described))?;
        }
    } else {
        let rows: Vec<Vec<String>> = listing.entries.iter().map(row).collect();
        lines.table(&["NAME", "VAULT", "KIND", "METADATA"], &rows)?;
    }
    lines.finish()?;

    if incomplete > 0 {
        let secrets = if incomplete == 1 { "secret has" } else { "secrets have" };
        scene.ui.warn(&format!(
            "{incomplete} {secrets} more metadata, of a kind that this version does not know"
        ));
    }
    for (vault, error) in &listing.failed {
        scene.ui.warn(&format!("vault `{vault}` is not listed: {}", in_one_line(error)));
    }
    Ok(if listing.failed.is_empty() { Exit::Done } else { Exit::Partly })
}

/// Returns the pattern; if it ends with `/`, it matches all names below.
pub(crate) fn below(pattern: &str) -> Cow<'_, str> {
    match pattern.ends_with('/') {
        true => format!("{pattern}*").into(),
        false => pattern.into(),
    }
}

fn row(ListedSecret { vault, entry }: &ListedSecret) -> Vec<String> {
    vec![
        entry.name.to_string(),
        vault.to_string(),
        entry.kind.map_or("", |kind| kind.as_str()).to_owned(),
        in_words(&entry.metadata),
    ]
}

/// Returns metadata as `a=b c=d`.
fn in_words(metadata: &Metadata) -> String {
    let words: Vec<String> =
        metadata.iter().map(|(key, value)| format!("{key}={}", metadata::shown(value))).collect();
    words.join(" ")
}

/// A secret in a listing, as JSON.
#[derive(Serialize)]
pub(crate) struct ListOutput<'a> {
    schema: u32,
    name: &'a str,
    vault: &'a str,
    kind: Option<&'static str>,
    metadata: metadata::Json<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    read_only: Vec<&'a str>,
}

impl<'a> ListOutput<'a> {
    /// Returns the output of `list --json` and `show --json`.
    pub(crate) fn of(ListedSecret { vault, entry }: &'a ListedSecret) -> Self {
        Self {
            schema: 1,
            name: entry.name.as_str(),
            vault: vault.as_str(),
            kind: entry.kind.map(|kind| kind.as_str()),
            metadata: metadata::Json(&entry.metadata),
            read_only: metadata::read_only(&entry.metadata),
        }
    }
}
