//! `--unlock`: unlock references on the command line.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use keystead::internals::ids::privilege;
use keystead::reference::Reference;
use keystead::trust::Privilege;

use crate::commands::get::listed;
use crate::commands::vault::standing;
use crate::failure::Failure;

/// Unlock references of `--unlock`, and the prompts of vaults so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unlock(Rc<RefCell<Named>>);

#[derive(Debug, Default)]
struct Named {
    typed: BTreeMap<String, Reference>,
    asked: BTreeSet<String>,
}

impl Unlock {
    /// Parses the arguments of the form `FIELD=REFERENCE`.
    ///
    /// # Errors
    /// An argument has another form; its text is not repeated, since it may be a secret.
    pub(crate) fn new(typed: Vec<String>) -> Result<Self, Failure> {
        if !typed.is_empty() && privilege() != Privilege::Ordinary {
            return Err(Failure::usage(
                "`--unlock` is not for a program that has more rights than its user",
            ));
        }
        let typed = standing(typed)?;
        Ok(Self(Rc::new(RefCell::new(Named { typed, asked: BTreeSet::new() }))))
    }

    /// Takes the references out, for a command that passes them on and opens no vault with them.
    pub(crate) fn take(&self) -> BTreeMap<String, Reference> {
        std::mem::take(&mut self.0.borrow_mut().typed)
    }

    /// Returns the reference that answers a prompt, with its relative path resolved against `dir`.
    pub(crate) fn answer(
        &self,
        prompt: &str,
        dir: Option<&Path>,
        home: Option<&Path>,
    ) -> Option<Reference> {
        let mut named = self.0.borrow_mut();
        named.asked.insert(prompt.to_owned());
        let reference = named.typed.get(prompt)?.clone();
        // If the path cannot be made absolute, reading it returns the error.
        match dir {
            Some(dir) => reference.clone().anchored(dir, home).or(Some(reference)),
            None => Some(reference),
        }
    }

    /// As [`Unlock::answer`], for a source other than a vault: no vault gets the answer as well.
    pub(crate) fn answer_once(
        &self,
        prompt: &str,
        dir: Option<&Path>,
        home: Option<&Path>,
    ) -> Option<Reference> {
        let answer = self.answer(prompt, dir, home);
        self.0.borrow_mut().typed.remove(prompt);
        answer
    }

    /// Returns a warning for each reference that no prompt used: most likely it is misspelt.
    pub(crate) fn unasked(&self) -> Vec<String> {
        let named = self.0.borrow();
        let asked: Vec<&str> = named.asked.iter().map(String::as_str).collect();
        let instead = match asked[..] {
            [] => "nothing was asked for".to_owned(),
            _ => format!("what was asked for is {}", listed(&asked).replace(" or ", " and ")),
        };
        let unasked = named.typed.keys().filter(|field| !named.asked.contains(*field));
        unasked
            .map(|field| format!("{} of `--unlock` answered nothing: {instead}", listed(&[field])))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_use_unlock_answer_is_not_given_twice() {
        let unlock = Unlock::new(vec!["password=env:A".into()]).unwrap();
        assert!(unlock.answer_once("password", None, None).is_some());
        assert_eq!(unlock.answer("password", None, None), None);
        assert!(unlock.unasked().is_empty());
    }

    #[test]
    fn unused_unlock_option_is_reported_with_prompt_names() {
        let unlock = Unlock::new(vec!["pasword=env:A".into(), "code=file:b".into()]).unwrap();
        assert_eq!(
            unlock.unasked()[0],
            "`code` of `--unlock` answered nothing: nothing was asked for"
        );
        assert_eq!(unlock.answer("password", None, None), None);
        let code = unlock.answer("code", Some(Path::new("/here")), None);
        assert_eq!(code, Some(Reference::parse("file:/here/b").unwrap()));
        assert_eq!(
            unlock.unasked(),
            [
                "`pasword` of `--unlock` answered nothing: what was asked for is `code` and `password`"
            ]
        );
        assert_eq!(unlock.take().len(), 2);
        assert!(unlock.unasked().is_empty());
    }
}
