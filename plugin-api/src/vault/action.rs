//! Actions that only one vault has.

use super::Deadline;
use crate::parameters::{OwnedParameter, Parameter, Parameters};
use crate::value::Value;

/// Something only this vault can do, such as changing its password.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its id: lower-case letters, digits and dashes.
    pub id: String,
    /// What it does, in one line.
    pub description: String,
    /// What it may or must be told.
    pub parameters: Vec<OwnedParameter>,
    /// Whether something is lost by it: the host asks first.
    pub destructive: bool,
}

impl Action {
    /// Returns an action that loses nothing and needs no parameters.
    pub fn new(id: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            description: description.into(),
            parameters: Vec::new(),
            destructive: false,
        }
    }

    /// Returns the action with these parameters.
    pub fn parameters(mut self, parameters: &[Parameter]) -> Self {
        self.parameters = parameters.iter().copied().map(OwnedParameter::from).collect();
        self
    }

    /// Returns the action as one by which something is lost: the host asks first.
    pub fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }
}

/// Runs an action.
#[non_exhaustive]
#[derive(Debug)]
pub struct ActionRequest {
    /// The action's id.
    pub action: String,
    /// Its parameters, checked against its schema.
    pub parameters: Parameters,
    /// Until when.
    pub deadline: Deadline,
}

impl ActionRequest {
    /// Runs this action.
    pub fn new(action: impl Into<String>, parameters: Parameters, deadline: Deadline) -> Self {
        Self { action: action.into(), parameters, deadline }
    }
}

/// What an action has to say.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub struct ActionOutcome {
    /// A sentence for people, or several lines of them; not secret.
    pub message: String,
    /// Something secret that is shown once, such as a recovery code.
    pub value: Option<Value>,
}

impl ActionOutcome {
    /// Returns a sentence.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), value: None }
    }
}

/// What a vault can do beyond the contract.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActionList {
    /// Each action.
    pub actions: Vec<Action>,
}

impl ActionList {
    /// Returns these actions.
    pub fn new(actions: Vec<Action>) -> Self {
        Self { actions }
    }
}
