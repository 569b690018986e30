//! Reads callgrind's output file: the cost of each function by itself and of each call.

use std::collections::HashMap;

use crate::Result;

/// A function of an object file.
#[derive(Debug, Default)]
pub(super) struct Function {
    pub(super) object: String,
    pub(super) name: String,
    /// Instructions of its own.
    pub(super) own: u64,
    /// Functions it called, by index, with all that these calls cost.
    pub(super) calls: Vec<(usize, u64)>,
}

/// What one process did.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) functions: Vec<Function>,
    total: u64,
}

impl Profile {
    /// Returns the instructions of the whole process.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Reads the dumps of one process, in their order, with one event, instructions, and
    /// positions by line.
    pub(super) fn parse<S: AsRef<str>>(dumps: &[S]) -> Result<Self> {
        let mut reader = Reader::default();
        for line in dumps.iter().flat_map(|dump| dump.as_ref().lines()) {
            reader.line(line).map_err(|reason| format!("callgrind's file, `{line}`: {reason}"))?;
        }
        if reader.profile.total == 0 {
            return Err("callgrind's file has no totals: the process did not end".into());
        }
        Ok(reader.profile)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    profile: Profile,
    /// Names given once in a process and then named by number: objects, and functions.
    objects: HashMap<String, String>,
    names: HashMap<String, String>,
    index: HashMap<(String, String), usize>,
    object: String,
    current: Option<usize>,
    called_object: Option<String>,
    called: Option<usize>,
    /// Whether the next line is the cost of a call.
    in_call: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> std::result::Result<(), &'static str> {
        if let Some(total) = line.strip_prefix("totals:") {
            self.profile.total += total.trim().parse::<u64>().map_err(|_| "not a number")?;
        } else if let Some(named) = line.strip_prefix("ob=") {
            self.object = resolved(&mut self.objects, named);
        } else if let Some(named) = line.strip_prefix("cob=") {
            self.called_object = Some(resolved(&mut self.objects, named));
        } else if let Some(named) = line.strip_prefix("fn=") {
            let name = resolved(&mut self.names, named);
            self.current = Some(self.function(self.object.clone(), name));
        } else if let Some(named) = line.strip_prefix("cfn=") {
            let name = resolved(&mut self.names, named);
            let object = self.called_object.take().unwrap_or_else(|| self.object.clone());
            self.called = Some(self.function(object, name));
        } else if line.starts_with("calls=") {
            self.in_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = match line.split_whitespace().nth(1) {
                Some(cost) => cost.parse().map_err(|_| "not a number")?,
                None => 0,
            };
            self.cost(cost)?;
        }
        Ok(())
    }

    fn cost(&mut self, cost: u64) -> std::result::Result<(), &'static str> {
        let current = self.current.ok_or("a cost of no function")?;
        let function = &mut self.profile.functions[current];
        if self.in_call {
            function.calls.push((self.called.ok_or("a call of no function")?, cost));
            self.in_call = false;
        } else {
            function.own += cost;
        }
        Ok(())
    }

    fn function(&mut self, object: String, name: String) -> usize {
        let functions = &mut self.profile.functions;
        *self.index.entry((object.clone(), name.clone())).or_insert_with(|| {
            functions.push(Function { object, name, ..Function::default() });
            functions.len() - 1
        })
    }
}

/// Returns the name behind `(7) name`, which defines it, or `(7)`, which repeats it.
fn resolved(table: &mut HashMap<String, String>, named: &str) -> String {
    match named.split_once(' ') {
        Some((number, name)) if number.starts_with('(') => {
            table.insert(number.to_owned(), name.to_owned());
            name.to_owned()
        }
        _ => table.get(named).cloned().unwrap_or_else(|| named.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_own_costs_and_calls_across_objects() {
        let text = "version: 1\nevents: Ir\nob=(1) /bin/keystead\nfl=(1) a.rs\nfn=(1) main\n16 400\n+2 20\n\
                    cob=(2) /lib/libc.so\ncfi=(2) m.c\ncfn=(2) malloc\ncalls=2 50\n* 300\n\nob=(2)\nfn=(2)\n51 300\ntotals: 720\n";
        let profile = Profile::parse(&[text]).unwrap();
        assert_eq!(profile.total(), 720);
        let [main, malloc] = &profile.functions[..] else { panic!("{profile:?}") };
        assert_eq!(
            (main.name.as_str(), main.own, main.calls.as_slice()),
            ("main", 420, [(1, 300)].as_slice())
        );
        assert_eq!((malloc.object.as_str(), malloc.own), ("/lib/libc.so", 300));
        assert!(Profile::parse(&["events: Ir\n"]).is_err());
    }

    #[test]
    fn later_dumps_of_a_process_use_the_names_of_earlier_ones() {
        let dumps = ["ob=(1) a\nfn=(1) main\n1 5\ntotals: 5\n", "ob=(1)\nfn=(1)\n1 7\ntotals: 7\n"];
        let profile = Profile::parse(&dumps).unwrap();
        assert_eq!(
            (profile.functions.len(), profile.functions[0].own, profile.total()),
            (1, 12, 12)
        );
    }
}
