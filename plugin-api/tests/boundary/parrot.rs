//! A plugin that gives back what it was given, and notes the rest in the host's log.

use std::collections::BTreeMap;
use std::time::Duration;

use keystead_plugin_api::*;

pub(crate) struct Parrot;

impl Plugin for Parrot {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        context.info(&format!("open {} as {}", request.vault, request.kind));
        for (name, value) in request.parameters.iter() {
            context.info(&format!("parameter {name} = {value:?}"));
        }
        if let Some(secret) = request.parameters.secret("token") {
            context.debug(&format!("the token has {} bytes", secret.expose().len()));
        }
        if let Some(session) = &request.session {
            context.debug(&format!(
                "a session {:?} for {:?}",
                session.secret.expose(),
                session.lifetime
            ));
        }
        if let Some(host) = &request.host {
            context.info(&format!("opened by {} {}", host.name, host.version));
        }
        if let Some(code) = request.parameters.integer("fail") {
            return Err(error(u32::try_from(code).unwrap()));
        }
        let left = request.deadline.remaining();
        assert!(left > Duration::from_secs(5) && left <= Duration::from_secs(10), "{left:?}");
        Ok(Box::new(Perch { context, secrets: BTreeMap::new() }))
    }
}

struct Perch {
    context: Context,
    secrets: BTreeMap<SecretName, Secret>,
}

/// An error of the kind with this number, with all that such an error may carry.
pub(crate) fn error(code: u32) -> Error {
    let kind = ErrorKind::from_code(code).unwrap();
    let wait = Duration::from_millis(u64::from(code) * 1_000 + 1);
    if kind == ErrorKind::Locked {
        let prompts =
            vec![Prompt::plain("user", "Who?"), Prompt::secret("password", "Password of `Work`")];
        return Error::locked(Challenge::new("step 1", prompts)).with_retry_after(wait);
    }
    Error::new(kind, format!("because of {code}")).with_retry_after(wait)
}

impl Perch {
    fn found(&mut self, name: &SecretName) -> Result<&mut Secret> {
        if let Some(code) = name.as_str().strip_prefix("error/") {
            return Err(error(code.parse().unwrap()));
        }
        self.secrets.get_mut(name).ok_or_else(Error::not_found)
    }
}

impl Vault for Perch {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if let Some(version) = &request.version {
            return Ok(Secret::new(Value::text(version.as_str())));
        }
        let found = self.found(&request.name)?;
        Ok(Secret::with_metadata(found.value.duplicate(), found.metadata.clone()))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.context
            .debug(&format!("list {:?} {} {:?}", request.cursor, request.limit, request.pattern));
        let after = request.cursor.as_deref().unwrap_or("");
        let mut rest = self.secrets.iter().filter(|(name, _)| name.as_str() > after);
        let entries: Vec<_> = rest
            .by_ref()
            .take(request.limit)
            .map(|(name, found)| {
                Entry::new(name.clone(), Some(found.value.kind()), found.metadata.clone())
            })
            .collect();
        let last = entries.last().map(|entry| entry.name.as_str().to_owned());
        Ok(Page::new(entries, rest.next().and(last)))
    }

    fn set(&mut self, request: SetRequest) -> Result<Written> {
        self.context.debug(&format!("set {:?}", request.mode));
        if let Some(code) = request.name.as_str().strip_prefix("error/") {
            return Err(error(code.parse().unwrap()));
        }
        let metadata = request.metadata.unwrap_or_default();
        self.secrets.insert(request.name, Secret::with_metadata(request.value, metadata));
        Ok(Written::new())
    }

    fn remove(&mut self, request: &RemoveRequest) -> Result<Removed> {
        self.secrets.remove(&request.name).map(|_| Removed::new()).ok_or_else(Error::not_found)
    }

    fn set_metadata(&mut self, request: SetMetadataRequest) -> Result<MetadataWritten> {
        self.found(&request.name)?.metadata = request.metadata;
        Ok(MetadataWritten::new())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        let answer = request.answer("password").map(|answer| answer.duplicate().into_bytes());
        match (request.challenge.as_str(), answer) {
            ("", _) => {
                self.context.forget_session();
                Ok(Unlocked::new())
            }
            (_, Some(secret)) => {
                let endless = request.challenge == "endless";
                let lifetime = if endless { Duration::MAX } else { Duration::from_secs(61) };
                self.context.keep_session(Session::new(secret, lifetime));
                Ok(Unlocked::new())
            }
            _ => Err(Error::permission_denied("no password")),
        }
    }

    fn lock(&mut self, request: &LockRequest) -> Result<Locked> {
        self.context.debug(&format!("lock, late: {}", request.deadline.has_passed()));
        Ok(Locked::new())
    }

    fn test(&mut self, _: &TestRequest) -> Result<TestReport> {
        self.context.warn("it could be better");
        Err(Error::unavailable("the branch is gone"))
    }

    fn unregister(&mut self, _: &UnregisterRequest) -> Result<Unregistered> {
        self.context.info("farewell");
        Ok(Unregistered::new())
    }

    fn versions(&mut self, request: &VersionsRequest) -> Result<VersionPage> {
        let all = vec![Version::new("2", Some(-5)), Version::new("1", None)];
        VersionPage::of(all, request)
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        let whistle = Action::new("whistle", "makes a sound").destructive().parameters(&[
            Parameter::required("tune", ParameterKind::Text, "which"),
            Parameter::defaulting("times", ParameterKind::Integer, "3", "how often").secret(),
        ]);
        Ok(ActionList::new(vec![whistle, Action::new("rest", "does nothing")]))
    }

    fn run_action(&mut self, request: &ActionRequest) -> Result<ActionOutcome> {
        match request.action.as_str() {
            "rest" => Ok(ActionOutcome::new("z".repeat(MAX_MESSAGE_BYTES + 1))),
            "whistle" => {
                let mut outcome = ActionOutcome::new(format!("whistled {:?}", request.parameters));
                outcome.value = Some(Value::text("a recovery code"));
                Ok(outcome)
            }
            program => {
                let mut run =
                    ExecRequest::new(program, vec!["-x".into(), "".into()], request.deadline);
                run.input = SecretBytes::new(vec![0, 1, 255]);
                run.environment = vec![("A".into(), "b=c".into()), ("D".into(), "".into())];
                let output = self.context.exec(run)?;
                let mut outcome = ActionOutcome::new(format!(
                    "{} and {} bytes",
                    output.status,
                    output.errors.len()
                ));
                outcome.value = Some(Value::Bytes(output.output));
                Ok(outcome)
            }
        }
    }
}
