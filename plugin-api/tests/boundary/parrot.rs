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
        return Error::locked(Challenge::new("step 1", prompts)).retry_after(wait);
    }
    Error::new(kind, format!("because of {code}")).retry_after(wait)
}

impl Perch {
    fn found(&mut self, request: &GetRequest) -> Result<&mut Secret> {
        if let Some(code) = request.name.as_str().strip_prefix("error/") {
            return Err(error(code.parse().unwrap()));
        }
        self.secrets.get_mut(&request.name).ok_or_else(Error::not_found)
    }
}

impl Vault for Perch {
    fn get(&mut self, request: &GetRequest) -> Result<Secret> {
        if let Some(version) = &request.version {
            return Ok(Secret::new(Value::text(version.as_str())));
        }
        let found = self.found(request)?;
        Ok(Secret::with_metadata(found.value.duplicate(), found.metadata.clone()))
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        self.context
            .debug(&format!("list {:?} {} {:?}", request.after, request.limit, request.filter));
        let after = request.after.as_deref().unwrap_or("");
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

    fn set(&mut self, request: SetRequest) -> Result<()> {
        self.context.debug(&format!("set {:?}", request.mode));
        if let Some(code) = request.name.as_str().strip_prefix("error/") {
            return Err(error(code.parse().unwrap()));
        }
        let metadata = request.metadata.unwrap_or_default();
        self.secrets.insert(request.name, Secret::with_metadata(request.value, metadata));
        Ok(())
    }

    fn remove(&mut self, request: &GetRequest) -> Result<()> {
        self.secrets.remove(&request.name).map(drop).ok_or_else(Error::not_found)
    }

    fn set_metadata(&mut self, request: &GetRequest, metadata: Metadata) -> Result<()> {
        self.found(request)?.metadata = metadata;
        Ok(())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Option<Session>> {
        let answer = request.answer("password").map(|answer| answer.duplicate().into_bytes());
        match (request.challenge.as_str(), answer) {
            ("", _) => Ok(None),
            (_, Some(secret)) => Ok(Some(Session { secret, lifetime: Duration::from_secs(61) })),
            _ => Err(Error::denied("no password")),
        }
    }

    fn lock(&mut self, deadline: Deadline) -> Result<()> {
        self.context.debug(&format!("lock, late: {}", deadline.has_passed()));
        Ok(())
    }

    fn test(&mut self, _: Deadline) -> Result<()> {
        self.context.warn("it could be better");
        Err(Error::unavailable("the branch is gone"))
    }

    fn unregister(&mut self, _: Deadline) -> Result<()> {
        self.context.info("farewell");
        Ok(())
    }

    fn versions(&mut self, _: &GetRequest) -> Result<Vec<Version>> {
        Ok(vec![Version::new("2", Some(-5)), Version::new("1", None)])
    }

    fn actions(&mut self, _: Deadline) -> Result<Vec<Action>> {
        let mut whistle = Action::new("whistle", "makes a sound");
        whistle.destructive = true;
        whistle.parameters = vec![
            Parameter::required("tune", ParameterKind::Text, "which"),
            Parameter {
                secret: true,
                default: "3".into(),
                ..Parameter::optional("times", ParameterKind::Integer, "how often")
            },
        ];
        Ok(vec![whistle, Action::new("rest", "does nothing")])
    }

    fn act(&mut self, request: &ActRequest) -> Result<Outcome> {
        match request.action.as_str() {
            "rest" => Ok(Outcome::new("z".repeat(MAX_MESSAGE_BYTES + 1))),
            "whistle" => {
                let mut outcome = Outcome::new(format!("whistled {:?}", request.parameters));
                outcome.value = Some(Value::text("a recovery code"));
                Ok(outcome)
            }
            program => {
                let mut run =
                    ExecRequest::new(program, vec!["-x".into(), "".into()], request.deadline);
                run.input = SecretBytes::new(vec![0, 1, 255]);
                run.environment = vec![("A".into(), "b=c".into()), ("D".into(), "".into())];
                let output = self.context.exec(run)?;
                let mut outcome =
                    Outcome::new(format!("{} and {} bytes", output.status, output.errors.len()));
                outcome.value = Some(Value::Bytes(output.output));
                Ok(outcome)
            }
        }
    }
}
