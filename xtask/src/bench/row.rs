//! What is measured: commands, each a whole process, and what came out.

use std::ffi::OsString;

use super::home::Home;

/// Whose command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A program that does nothing but what everyone has to do.
    Floor,
    Ours,
    Peer,
}

/// What a command is compared in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Race {
    /// Read one secret, where there is one.
    One,
    /// Read one secret, where there are many.
    Many,
    /// Write one secret.
    Write,
    /// Touch all secrets.
    Bulk,
}

impl Race {
    pub(super) const ALL: [Self; 4] = [Self::One, Self::Many, Self::Write, Self::Bulk];

    /// Returns what the race is called.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::One => "Read a secret, the only one there",
            Self::Many => "Read one secret of many",
            Self::Write => "Write a secret, onto the disk",
            Self::Bulk => "All secrets at once",
        }
    }
}

/// How often a command is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runs {
    /// As often as there is time for, after others that fill the caches.
    Many,
    /// Once: it cannot be repeated, or not soon.
    Once,
}

/// What is found out beside the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Also {
    /// The instructions of all processes that the command starts.
    Instructions,
    /// The most memory that these processes had.
    Memory,
    /// Nothing: a cage keeps valgrind from its own files and calls.
    Nothing,
}

/// One command to be measured.
pub(super) struct Row {
    pub(super) race: Race,
    pub(super) whose: Whose,
    pub(super) name: String,
    pub(super) home: Home,
    pub(super) words: Vec<OsString>,
    /// What it must answer.
    pub(super) answer: Option<String>,
    /// A command that is run before each run and not measured.
    pub(super) before: Option<Vec<OsString>>,
    pub(super) runs: Runs,
    pub(super) also: Also,
}

impl Row {
    /// Returns a row that reads one secret.
    pub(super) fn read(race: Race, whose: Whose, name: impl Into<String>, home: &Home) -> Self {
        Self {
            race,
            whose,
            name: name.into(),
            home: home.clone(),
            words: Vec::new(),
            answer: None,
            before: None,
            runs: Runs::Many,
            also: Also::Instructions,
        }
    }

    /// Returns the row of a plugin in a cage, if it is in one: its instructions are not counted.
    pub(super) fn caged(mut self, is_caged: bool) -> Self {
        if is_caged {
            self.also = Also::Nothing;
        }
        self
    }

    /// Returns the row with its command.
    pub(super) fn words<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.words = words.into_iter().map(Into::into).collect();
        self
    }

    /// Returns the row with what its command must answer.
    pub(super) fn answers(mut self, answer: String) -> Self {
        self.answer = Some(answer);
        self
    }

    /// Returns the command as a person would type it in the home it runs in.
    pub(super) fn typed(&self) -> String {
        let home = self.home.at("").display().to_string();
        let shown = |word: &OsString| {
            let word = word.to_string_lossy().replace(home.trim_end_matches('/'), "~");
            if word.contains([' ', '(', '$']) { format!("'{word}'") } else { word }
        };
        let variables = self.home.variables.iter();
        let mut typed: Vec<String> =
            variables.map(|(name, value)| format!("{name}={}", shown(value))).collect();
        for (index, word) in self.words.iter().enumerate() {
            // Programs by their names: where they lie differs from machine to machine.
            let program = (index == 0).then(|| std::path::Path::new(word).file_name()).flatten();
            typed.push(program.map_or_else(|| shown(word), |name| name.display().to_string()));
        }
        if let Some(before) = &self.before {
            let before: Vec<String> = before.iter().map(shown).collect();
            typed.push(format!("  # before each: {}", before.join(" ")));
        }
        typed.join(" ")
    }
}

/// What a row came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) race: Race,
    pub(super) whose: Whose,
    pub(super) name: String,
    pub(super) typed: String,
    /// In milliseconds.
    pub(super) median: f64,
    pub(super) fastest: f64,
    pub(super) runs: usize,
    pub(super) instructions: Option<u64>,
    /// In bytes.
    pub(super) memory: Option<u64>,
}

impl Measured {
    /// Returns the instructions as a table shows them.
    pub(super) fn instructions(&self) -> String {
        self.instructions.map_or("–".into(), |count| format!("{:.3} M", count as f64 / 1e6))
    }

    /// Returns the memory as a table shows it.
    pub(super) fn memory(&self) -> String {
        self.memory.map_or("–".into(), |bytes| format!("{:.1} MiB", bytes as f64 / 1_048_576.0))
    }
}

/// Returns milliseconds with as many digits as mean something.
pub(super) fn duration(milliseconds: f64) -> String {
    match milliseconds {
        short if short < 10.0 => format!("{short:.2} ms"),
        middle if middle < 100.0 => format!("{middle:.1} ms"),
        long if long < 1_000.0 => format!("{long:.0} ms"),
        seconds if seconds < 10_000.0 => format!("{:.2} s", seconds / 1e3),
        longer => format!("{:.1} s", longer / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed_in_its_home() {
        let folder = tempfile::tempdir().unwrap();
        let mut home = Home::new(folder.path().join("h"), "/bin".into()).unwrap();
        home.variables.push(("SOCKET", home.at("bus").into()));
        let key = home.at("key").into_os_string();
        let row = Row::read(Race::One, Whose::Peer, "age", &home).words([
            OsString::from("/usr/bin/age"),
            "-i".into(),
            key,
            "a b".into(),
        ]);
        assert_eq!(row.typed(), "SOCKET=~/bus age -i ~/key 'a b'");
    }

    #[test]
    fn durations_have_three_digits_that_mean_something() {
        let shown = [0.612, 35.04, 470.4, 1_293.0, 12_345.6].map(duration);
        assert_eq!(shown, ["0.61 ms", "35.0 ms", "470 ms", "1.29 s", "12.3 s"]);
    }
}
