//! docs/reference/cli.md: every command with its arguments, as one page.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

/// Maximum number of characters in a line, as in the other pages.
const WIDTH: usize = 96;

/// Returns the page.
pub(super) fn page(mut tree: Command) -> String {
    tree.build();
    let mut page = String::from(
        "# Commands\n\nWritten from the command tree, as `--help` and the manual pages are; a test \
         compares them. The\n[guides](../README.md#guides) say what each command is for.\n",
    );
    command(&mut page, &tree, "keystead");
    page
}

fn command(page: &mut String, command: &Command, path: &str) {
    let is_root = command.get_name() == path;
    page.push_str(&format!("\n{} `{path}`\n", if is_root { "##" } else { "###" }));
    paragraphs(page, command.get_long_about().or_else(|| command.get_about()));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    page.push_str(&format!("\n```text\n{usage}\n```\n"));
    let aliases: Vec<String> =
        command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        page.push_str(&format!("\nAlso: {}\n", aliases.join(", ")));
    }

    let shown = || command.get_arguments().filter(|argument| !argument.is_hide_set());
    // Global options are printed only once.
    let own = |argument: &&Arg| {
        let is_help = matches!(
            argument.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong
        );
        !is_help && (is_root || !argument.is_global_set())
    };
    let mut arguments: Vec<&Arg> = shown().filter(own).collect();
    arguments.sort_by_key(|argument| !argument.is_positional());
    if !arguments.is_empty() {
        page.push('\n');
    }
    for argument in arguments {
        item(page, argument);
    }
    if is_root {
        paragraphs(page, command.get_after_long_help().or_else(|| command.get_after_help()));
    }
    let nested = command.get_subcommands().filter(|nested| !nested.is_hide_set());
    for nested in nested.filter(|nested| nested.get_name() != "help") {
        self::command(page, nested, &format!("{path} {}", nested.get_name()));
    }
}

fn item(page: &mut String, argument: &Arg) {
    let mut names: Vec<String> = Vec::new();
    let takes_value = argument.get_action().takes_values();
    let values: Vec<&str> = argument
        .get_value_names()
        .unwrap_or_default()
        .iter()
        .map(clap::builder::Str::as_str)
        .collect();
    let value = values.join(" ");
    names.extend(argument.get_short().map(|short| format!("`-{short}`")));
    names.extend(argument.get_long().map(|long| match takes_value {
        true => format!("`--{long} {value}`"),
        false => format!("`--{long}`"),
    }));
    if argument.is_positional() {
        names.push(format!("`{value}`"));
    }
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let help = help.map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let mut text = format!("{}: {}", names.join(", "), escaped(&help));
    if takes_value && !argument.is_hide_possible_values_set() {
        let possible: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| format!("`{}`", value.get_name()))
            .collect();
        if !possible.is_empty() {
            text.push_str(&format!(" ({})", possible.join(", ")));
        }
    }
    for (at, line) in wrapped(&text, WIDTH - 2).iter().enumerate() {
        page.push_str(&format!("{}{line}\n", if at == 0 { "- " } else { "  " }));
    }
}

fn paragraphs(page: &mut String, text: Option<&StyledStr>) {
    let text = text.map(ToString::to_string).unwrap_or_default();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        page.push('\n');
        for line in wrapped(&escaped(paragraph), WIDTH) {
            page.push_str(&line);
            page.push('\n');
        }
    }
}

/// Returns text with `<` escaped outside backticks, so that it is not read as HTML.
fn escaped(text: &str) -> String {
    let pieces = text.split('`').enumerate().map(|(at, piece)| match at % 2 {
        0 => piece.replace('<', "\\<"),
        _ => piece.to_owned(),
    });
    pieces.collect::<Vec<_>>().join("`")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
