//! Opening files and connecting, with errors that name the permission that is missing. In a sandbox the
//! system says no more than "permission denied", or that there is no such file.

use std::env;
use std::fs::{File, OpenOptions};
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorDetail, ErrorKind, Result};
use crate::plugin::Context;
use crate::vault::Deadline;

impl Context {
    /// Returns whether a permission is granted to this vault, as a manifest writes it with its
    /// parameters put in, such as `network` or `files:/srv/x:r`. `true` where nothing holds the plugin
    /// back, and where the host has no answer; `false` for what is no permission, or none that the host
    /// knows. A path is absolute, and `..` in it takes back the part before it.
    pub fn is_granted(&self, permission: &str) -> bool {
        match self.services().is_granted(permission) {
            Ok(is_granted) => is_granted,
            Err(error) => error.kind() != ErrorKind::Invalid,
        }
    }

    /// Opens a file to be read.
    ///
    /// # Errors
    /// As for [`Context::io_error`].
    pub fn open_to_read(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        File::open(path).map_err(|error| {
            let permission = format!("files:{}:r", absolute(path).display());
            self.io_error(&format!("cannot read `{}`", path.display()), &permission, &error)
        })
    }

    /// Opens a file to be written, as the options say.
    ///
    /// # Errors
    /// As for [`Context::io_error`].
    pub fn open_to_write(&self, path: impl AsRef<Path>, options: &OpenOptions) -> Result<File> {
        let path = path.as_ref();
        options.open(path).map_err(|error| {
            let permission = format!("files:{}:rw", absolute(path).display());
            self.io_error(&format!("cannot write `{}`", path.display()), &permission, &error)
        })
    }

    /// Connects to a server over TCP: to the first of its addresses that answers.
    ///
    /// # Errors
    /// As for [`Context::io_error`]; [`ErrorKind::TimedOut`] at the deadline.
    pub fn connect(&self, host: &str, port: u16, deadline: Deadline) -> Result<TcpStream> {
        let what = format!("cannot connect to {}:{}", host, port);
        let failed = |error: &io::Error| self.io_error(&what, "network", error);
        let addresses = (host, port).to_socket_addrs().map_err(|error| failed(&error))?;
        let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        for address in addresses {
            let left = deadline.remaining();
            if left.as_millis() == 0 {
                return Err(Error::timed_out());
            }
            match TcpStream::connect_timeout(&address, left) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(failed(&last))
    }

    /// Connects to the Unix socket of a permission `socket:PATH`. What a library of yours connects to
    /// needs nothing of this: it calls `connect` as it always does.
    ///
    /// # Errors
    /// As for [`Context::io_error`].
    #[cfg(unix)]
    pub fn connect_to_socket(
        &self,
        path: impl AsRef<Path>,
    ) -> Result<std::os::unix::net::UnixStream> {
        let path = path.as_ref();
        std::os::unix::net::UnixStream::connect(path).map_err(|error| {
            let permission = format!("socket:{}", absolute(path).display());
            self.io_error(&format!("cannot connect to `{}`", path.display()), &permission, &error)
        })
    }

    /// Returns the error of an operation that needs a permission: for what a library of yours opens
    /// or connects. `what` is a lower-case fragment, such as "cannot read `/srv/x`".
    ///
    /// It is [`ErrorDetail::NotGranted`] and names the permission where that is not granted,
    /// [`ErrorKind::PermissionDenied`] where the system refuses all the same,
    /// [`ErrorKind::TimedOut`], and else [`ErrorKind::Unavailable`].
    pub fn io_error(&self, what: &str, permission: &str, error: &io::Error) -> Error {
        if !self.is_granted(permission) {
            let message = format!("{}: `{}` is not granted", what, permission);
            return Error::detailed(ErrorDetail::NotGranted, message);
        }
        let kind = match error.kind() {
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::TimedOut => ErrorKind::TimedOut,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("{}: {}", what, error))
    }
}

/// Returns a path that a permission can name: below the current directory, unless it is absolute.
fn absolute(path: &Path) -> PathBuf {
    match env::current_dir() {
        Ok(current) => current.join(path),
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{Level, Services};
    use std::time::Duration;

    /// A host that grants one permission.
    struct Grants(&'static str);

    impl Services for Grants {
        fn log(&self, _: Level, _: &str) {}

        fn is_granted(&self, permission: &str) -> Result<bool> {
            match permission {
                "" => Err(Error::invalid("no permission")),
                permission => Ok(permission == self.0),
            }
        }
    }

    #[test]
    fn access_error_names_missing_permission() {
        let context = Context::new(Box::new(Grants("files:/none/here:r")));
        let error = context.open_to_read("/none/here").unwrap_err();
        assert_eq!((error.kind(), error.detail()), (ErrorKind::Unavailable, None));
        assert!(error.message().starts_with("cannot read `/none/here`: No such file"), "{}", error);
        let options = OpenOptions::new().write(true).clone();
        for (error, message) in [
            (
                context.open_to_read("/none/x").unwrap_err(),
                "cannot read `/none/x`: `files:/none/x:r` is not granted",
            ),
            (
                context.open_to_write("/none/here", &options).unwrap_err(),
                "cannot write `/none/here`: `files:/none/here:rw` is not granted",
            ),
            (
                context
                    .connect("127.0.0.1", 1, Deadline::after(Duration::from_secs(5)))
                    .unwrap_err(),
                "cannot connect to 127.0.0.1:1: `network` is not granted",
            ),
        ] {
            assert_eq!(error.detail(), Some(ErrorDetail::NotGranted));
            assert_eq!(error.message(), message);
        }
        // What is no permission is not granted; what the host cannot say is not said.
        assert!(!context.is_granted("") && Context::silent().is_granted("network"));
        let own = env::current_dir().unwrap();
        let error = context.open_to_read("none/x").unwrap_err();
        let expected = format!("`files:{}:r` is not granted", own.join("none/x").display());
        assert!(error.message().ends_with(&expected), "{}", error);
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = Context::silent().io_error("cannot x", "network", &error);
        assert_eq!((error.kind(), error.detail()), (ErrorKind::PermissionDenied, None));
    }
}
