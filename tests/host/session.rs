//! Sessions from vaults that a host keeps.

use std::sync::{Arc, Mutex};

use keystead::Placement;
use keystead::agent::{CachedSession, Error, Patience, PromptLock, SessionCache, SessionKey};
use keystead::api::{Session, VaultName};
use keystead::{Host, IfUnlocked, NonInteractive, SearchScope, UnlockOutcome};

use super::unlocking::{PASSWORD, Script, ask, locked_as};
use super::{options, scene, write};
use crate::scene::Scene;

/// A session cache in memory that records its calls.
#[derive(Default)]
struct Fake {
    held: Mutex<Vec<(SessionKey, u64, Session)>>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn note(&self, line: String) {
        self.asked.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl SessionCache for Fake {
    fn any(&self) -> bool {
        !self.held.lock().unwrap().is_empty()
    }

    fn get(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        patience: Patience,
    ) -> Result<Option<CachedSession>, Error> {
        self.note(format!("get for {vault}, {patience:?}"));
        let held = self.held.lock().unwrap();
        let found = held.iter().find(|(held, ..)| held == key);
        Ok(found.map(|(_, serial, session)| {
            let secret = session.secret.duplicate();
            CachedSession { session: Session::new(secret, session.lifetime), serial: *serial }
        }))
    }

    fn refused(&self, _: &SessionKey, serial: u64) {
        self.note(format!("refused {serial}"));
    }

    fn renew(&self, _: &SessionKey, serial: u64, _: &Session) -> Result<Option<u64>, Error> {
        self.note(format!("renew {serial}"));
        Ok(None)
    }

    fn keep_login(
        &self,
        key: &SessionKey,
        vault: &VaultName,
        session: &Session,
    ) -> Result<Option<u64>, Error> {
        self.note(format!("keep for {vault}"));
        let secret = session.secret.duplicate();
        let copy = Session::new(secret, session.lifetime);
        self.held.lock().unwrap().push((key.clone(), 7, copy));
        Ok(Some(7))
    }

    fn asking(&self, _: &SessionKey) -> Option<PromptLock> {
        self.note("turn".to_owned());
        Some(PromptLock::default())
    }
}

/// Returns a host over the scene's directories with this session cache.
fn host(scene: &Scene, sessions: &Arc<Fake>) -> Host {
    let mut options = options(scene);
    options.sessions = Arc::clone(sessions) as Arc<dyn SessionCache>;
    Host::new(options)
}

fn get(host: &Host, vault: &VaultName) -> &'static str {
    let name = keystead::api::SecretName::parse("nothing").unwrap();
    host.get(&name, &SearchScope::Vault(vault.clone()), &mut NonInteractive).unwrap_err().code()
}

#[test]
fn login_without_prompt_is_kept_only_with_keep_login() {
    let scene = scene();
    let from = format!("file:{}", scene.path().join("password").display());
    let unlock = [("password", from.as_str())];
    let fake = Arc::new(Fake::default());
    let plain = locked_as(&scene, "plain", &unlock, |_| {});
    assert_eq!(get(&host(&scene, &fake), &plain), "E12.no-such-secret");
    assert_eq!(fake.take(), [""; 0]);

    let keeps = locked_as(&scene, "keeps", &unlock, |new| new.keep_login = true);
    assert_eq!(get(&host(&scene, &fake), &keeps), "E12.no-such-secret");
    assert_eq!(fake.take(), ["turn", "keep for keeps"]);
    // The next process uses the session, without a login or a prompt lock.
    assert_eq!(get(&host(&scene, &fake), &keeps), "E12.no-such-secret");
    assert_eq!(fake.take(), ["get for keeps, Long"]);
    scene.end();
}

#[test]
fn session_of_prompted_login_is_not_kept_by_get() {
    let scene = scene();
    let fake = Arc::new(Fake::default());
    let keeps = locked_as(&scene, "keeps", &[], |new| new.keep_login = true);
    let host = host(&scene, &fake);
    let code = ask(&host, &keeps, &mut Script::typing(&[PASSWORD])).unwrap_err();
    assert_eq!(code.code(), "E12.no-such-secret");
    assert_eq!(fake.take(), ["turn"]);
    // The caller of `unlock` gets the session; the host itself keeps none.
    let unlocking = host.unlock(&keeps, IfUnlocked::Yes, &mut Script::typing(&[PASSWORD])).unwrap();
    assert!(matches!(unlocking, UnlockOutcome::Unlocked(unlocked) if unlocked.vault == keeps));
    assert!(fake.take().iter().all(|line| line == "turn"));
    scene.end();
}

#[test]
fn login_is_not_reused_after_reference_content_changes() {
    let scene = scene();
    let answer = scene.path().join("answer");
    let from = format!("file:{}", answer.display());
    let fake = Arc::new(Fake::default());
    let keeps = locked_as(&scene, "keeps", &[("password", &from)], |new| new.keep_login = true);
    write(&answer, PASSWORD);
    assert_eq!(get(&host(&scene, &fake), &keeps), "E12.no-such-secret");
    assert_eq!(fake.take(), ["turn", "keep for keeps"]);
    write(&answer, "another account");
    assert_eq!(get(&host(&scene, &fake), &keeps), "E12.denied");
    std::fs::remove_file(&answer).unwrap();
    assert_eq!(get(&host(&scene, &fake), &keeps), "E01.unresolved");
    // With a missing registered answer the host keeps no session, whatever unlocks the vault.
    let mut here = Script::default();
    here.given.push(("password", format!("file:{}", scene.path().join("password").display())));
    ask(&host(&scene, &fake), &keeps, &mut here).unwrap_err();
    assert!(fake.take().iter().all(|line| !line.starts_with("keep")));
    write(&answer, PASSWORD);
    assert_eq!(get(&host(&scene, &fake), &keeps), "E12.no-such-secret");
    assert_eq!(fake.take(), ["get for keeps, Long"]);
    scene.end();
}

#[test]
fn open_vault_logs_in_with_current_reference_content() {
    let scene = scene();
    let answer = scene.path().join("answer");
    let from = format!("file:{}", answer.display());
    let fake = Arc::new(Fake::default());
    let keeps = locked_as(&scene, "keeps", &[("password", &from)], |new| new.keep_login = true);
    let host = host(&scene, &fake);
    write(&answer, "wrong");
    assert_eq!(get(&host, &keeps), "E12.denied");
    write(&answer, PASSWORD);
    assert_eq!(get(&host, &keeps), "E12.no-such-secret");
    let kept: Vec<_> = fake.take().into_iter().filter(|line| line.starts_with("keep")).collect();
    assert_eq!(kept, ["keep for keeps"]);
    scene.end();
}

#[test]
fn session_from_single_call_answer_is_not_kept_by_get() {
    let scene = scene();
    let fake = Arc::new(Fake::default());
    let password = format!("file:{}", scene.path().join("password").display());
    for (name, unlock) in [("plain", &[][..]), ("answered", &[("password", &*password)])] {
        let keeps = locked_as(&scene, name, unlock, |new| new.keep_login = true);
        let mut here = Script::default();
        here.given.push(("password", password.clone()));
        let error = ask(&host(&scene, &fake), &keeps, &mut here).unwrap_err();
        assert_eq!((error.code(), fake.take()), ("E12.no-such-secret", vec!["turn".to_owned()]));
    }
    scene.end();
}

#[test]
fn vaults_with_same_login_share_session_key() {
    let scene = scene();
    let from = format!("file:{}", scene.path().join("password").display());
    let unlock = [("password", from.as_str())];
    let fake = Arc::new(Fake::default());
    let of_one_file = |name| {
        locked_as(&scene, name, &unlock, |new| {
            new.keep_login = true;
            new.parameters.insert("file".into(), "here/one/secrets".into());
            new.placement = Some(Placement::InProcess);
        })
    };
    let (one, two) = (of_one_file("one"), of_one_file("two"));
    let apart = locked_as(&scene, "apart", &unlock, |new| new.keep_login = true);
    for vault in [&one, &two, &apart] {
        assert_eq!(get(&host(&scene, &fake), vault), "E12.no-such-secret");
    }
    let asked = fake.take();
    let kept: Vec<_> = asked.iter().filter(|line| line.starts_with("keep")).collect();
    assert_eq!(kept, ["keep for one", "keep for apart"]);
    scene.end();
}
