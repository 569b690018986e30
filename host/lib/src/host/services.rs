//! The host's services for the plugin of one vault: log, programs, files and session.

use std::path::PathBuf;
use std::sync::Arc;

use keystead_plugin_api::{
    Error as Refusal, ExecOutput, ExecRequest, FileRead, FileReplaced, Level, MAX_SESSION_BYTES,
    ReadFileRequest, ReplaceFileRequest, Result as Reply, Services, Session, VaultName,
};

use super::session::Offered;
use crate::error::{story, visible};
use crate::options::Log;
use crate::plugin::exec::{self, Programs};
use crate::plugin::grant::Boundaries;
use crate::plugin::replace::Files;

/// The host's services for one vault.
#[derive(Clone)]
pub(super) struct VaultServices {
    pub(super) vault: VaultName,
    pub(super) offered: Arc<Offered>,
    pub(super) programs: Programs,
    pub(super) files: Files,
    /// Limits for granted programs; `None` if no program is granted.
    pub(super) boundaries: Option<Arc<Boundaries>>,
    pub(super) home: Option<PathBuf>,
    pub(super) log: Arc<dyn Log>,
}

impl Services for VaultServices {
    fn log(&self, level: Level, message: &str) {
        self.log.line(&self.vault, level, &visible(message));
    }

    fn exec(&self, request: ExecRequest) -> Reply<ExecOutput> {
        self.programs.permit(&request)?;
        // A plugin that could change the program would run any code outside of the sandbox.
        let boundaries = self.boundaries.as_ref().expect("a program is granted, so they are there");
        let off = boundaries.keep_plugins_off_program(&request.program);
        off.map_err(|error| Refusal::permission_denied(story(&error)))?;
        self.log(Level::Info, &exec::line(&request));
        exec::run(&request, self.home.as_deref())
    }

    fn read_file(&self, request: ReadFileRequest) -> Reply<FileRead> {
        self.files.read(&request)
    }

    fn replace_file(&self, request: ReplaceFileRequest) -> Reply<FileReplaced> {
        self.files.permit(&request.path)?;
        self.log(Level::Info, &format!("replaces the file {}", request.path));
        self.files.replace(&request)
    }

    fn keep_session(&self, session: Session) {
        let size = session.secret.len();
        if size > MAX_SESSION_BYTES {
            let message = format!(
                "the plugin's session has {size} bytes and is dropped; the most is {MAX_SESSION_BYTES}"
            );
            return self.log(Level::Info, &message);
        }
        self.offered.keep(session);
    }

    fn forget_session(&self) {
        self.offered.forget();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use keystead_plugin_api::SecretBytes;

    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Log for Lines {
        fn line(&self, vault: &VaultName, _: Level, message: &str) {
            self.0.lock().unwrap().push(format!("{vault}: {message}"));
        }
    }

    #[test]
    fn session_above_size_limit_is_dropped_and_logged() {
        let (lines, offered) = (Arc::new(Lines::default()), Arc::new(Offered::default()));
        let services = VaultServices {
            vault: VaultName::parse("work").unwrap(),
            offered: Arc::clone(&offered),
            programs: Programs::among(&[]),
            files: Files::default(),
            boundaries: None,
            home: None,
            log: Arc::clone(&lines) as Arc<dyn Log>,
        };
        let session =
            |size| Session::new(SecretBytes::new(vec![b'c'; size]), Duration::from_secs(60));
        services.keep_session(session(MAX_SESSION_BYTES));
        assert!(lines.0.lock().unwrap().is_empty());
        services.keep_session(session(MAX_SESSION_BYTES + 1));
        assert_eq!(
            *lines.0.lock().unwrap(),
            ["work: the plugin's session has 16385 bytes and is dropped; the most is 16384"]
        );
        assert_eq!(offered.take().session.unwrap().secret.len(), MAX_SESSION_BYTES);
    }
}
