//! Waits in the way of its parameter: see `Waits::challenge` and `open`. Logs the
//! number of answers.
#![forbid(unsafe_code)]

use std::time::Duration;

use sound::api::manifest::{Capability, PermissionRequest};
use sound::api::{
    export_plugin, Challenge, Context, Error, GetRequest, ListRequest, OpenRequest, Page,
    Parameter, ParameterKind, Plugin, Prompt, Result, Secret, UnlockRequest, Unlocked, Vault,
};

export_plugin! {
    plugin: Waits,
    manifest: sound::manifest("waits").kinds(&[sound::kind()
        .can(&[Capability::Unlock])
        .parameters(&[
            Parameter::required("how", ParameterKind::Text, "how it waits"),
            Parameter::optional("file", ParameterKind::Path, "where `open` counts itself"),
        ])
        .permissions(&[PermissionRequest::required("files:{file}:rw")])]),
}

struct Waits {
    how: String,
    context: Context,
    /// Number of `unlock` calls.
    calls: usize,
    open: bool,
}

impl Plugin for Waits {
    fn open(request: OpenRequest, context: Context) -> Result<Box<dyn Vault>> {
        let how = request.parameters.text("how").unwrap_or_default().to_owned();
        // Each process counts itself: the first two are throttled.
        if let ("busy", Some(file)) = (&*how, request.parameters.text("file")) {
            let fault = |error: std::io::Error| Error::invalid(error.to_string());
            let count = std::fs::read(file).map_err(fault)?.len();
            if count < 2 {
                std::fs::write(file, vec![b'.'; count + 1]).map_err(fault)?;
                return Err(slow_down());
            }
        }
        let open = how == "busy";
        Ok(Box::new(Self { how, context, calls: 0, open }))
    }
}

fn slow_down() -> Error {
    Error::unavailable("slow down").with_retry_after(Duration::from_millis(1))
}

impl Waits {
    fn challenge(&self) -> Challenge {
        let second = Duration::from_secs(1);
        let hour = Duration::from_secs(3_600);
        let prompts = || vec![Prompt::plain("code", "Code")];
        let waits =
            |id: &str| Challenge::new(id, prompts()).message("look").url("https://a.example/");
        match &*self.how {
            // Prompts once, and then waits twice.
            "code" => waits("code").poll(second, hour),
            // Prompts again after each answer.
            "anew" => waits(&format!("code {}", self.calls)).poll(second, hour),
            // Ends before the first interval is over.
            "short" => Challenge::new("short", Vec::new()).poll(hour, second),
            // Sets no end.
            "endless" => Challenge::new("endless", Vec::new()).poll(second, Duration::ZERO),
            _ => Challenge::new("throttled", prompts()),
        }
    }

    fn answer(&self) -> Result<()> {
        match self.open {
            true => Ok(()),
            false => Err(Error::locked(self.challenge())),
        }
    }
}

impl Vault for Waits {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        self.answer().map(|()| sound::secret())
    }

    fn list(&mut self, _: &ListRequest) -> Result<Page> {
        self.answer().map(|()| Page::default())
    }

    fn unlock(&mut self, request: &UnlockRequest) -> Result<Unlocked> {
        self.calls += 1;
        self.context.info(&format!("unlock with {} answers", request.answers.len()));
        match &*self.how {
            "code" | "throttled" => self.open = self.calls == 3,
            "anew" => {}
            _ => self.open = true,
        }
        if self.how == "throttled" && !self.open {
            return Err(slow_down());
        }
        self.answer().map(|()| Unlocked::new())
    }
}
