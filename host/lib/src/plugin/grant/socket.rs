//! The sockets that a plugin may connect to, resolved like every grant, and open.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::Error;
use super::boundary::Boundaries;
use crate::fs::object::{Object, Target, look_up};
use crate::platform::sandbox::session_buses;
use crate::plugin::inspect::Permission;

/// Sockets whose clients can start programs as root, or as a user who may use root's services.
const SYSTEM: [&str; 3] =
    ["/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket", "/run/systemd/private"];

/// A granted socket, and the object at its path.
#[derive(Debug)]
pub(crate) struct GrantedSocket {
    name: String,
    target: Target,
}

impl GrantedSocket {
    /// Returns the path as it was granted.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the target's path if it differs from the granted path.
    pub(crate) fn elsewhere(&self) -> Option<PathBuf> {
        self.target.path().ok().filter(|path| path != Path::new(&self.name))
    }

    /// Returns the object at the path: a socket.
    pub(crate) fn object(&self) -> Option<&Object> {
        self.target.object.as_ref()
    }
}

/// Opens the sockets that these permissions are for.
pub(super) fn resolve_sockets(
    permissions: &[Permission],
    boundaries: &Boundaries,
) -> Result<Vec<GrantedSocket>, Error> {
    let has_bus = permissions.contains(&Permission::Dbus);
    let mut sockets = Vec::new();
    for permission in permissions {
        let Permission::Socket { template } = permission else { continue };
        let path = Path::new(template);
        let target = look_up(path, &mut |link| boundaries.follow(path, link))?;
        let refused = |problem: String| Error::Socket { path: path.to_owned(), problem };
        boundaries.keep_off_own(path, &target).map_err(|error| match error {
            Error::OwnDir { own, .. } => {
                refused(format!("is Keystead's own: it lies in {}", own.display()))
            }
            other => other,
        })?;
        boundaries.keep_plugins_off_target(path, &target)?;
        if !has_bus && is_bus(&target) {
            let why = "is one where clients can have programs run as you: the permission for that \
                       is `dbus`";
            return Err(refused(why.to_owned()));
        }
        if let Some(object) = &target.object {
            let found = object.found().map_err(|error| super::boundary::io(path, error))?;
            if found != FileType::Socket {
                return Err(refused(format!("is {} and no socket", crate::fs::word(found))));
            }
            target.check_who_could_make_it(path)?;
        }
        sockets.push(GrantedSocket { name: template.clone(), target });
    }
    Ok(sockets)
}

/// Returns whether this is the socket of a bus or of a service manager, under whatever name.
fn is_bus(target: &Target) -> bool {
    let user = rustix::process::geteuid().as_raw();
    let managers = ["bus", "systemd/private"].map(|name| format!("/run/user/{user}/{name}"));
    let known = SYSTEM.iter().map(PathBuf::from).chain(managers.iter().map(PathBuf::from));
    known.chain(session_buses()).any(|bus: PathBuf| match &target.object {
        Some(object) => object.is_at(&bus),
        None => target.path().is_ok_and(|path| path == bus),
    })
}
