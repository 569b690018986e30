//! A vault behind a C table as a plain [`Vault`].

use std::ptr;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::merged;
use keystead_plugin_api::{Context, Error, MAX_GET_MANY, Result, Vault};

use super::lend;
use super::reply::{Asked, Reply};
use super::table::*;
use super::told::Place;

/// An open vault of a plugin of the C door.
pub(super) struct CVault {
    table: &'static PluginTable,
    close: unsafe extern "C" fn(State),
    get: Call<GetRequest>,
    list: Call<ListRequest>,
    state: State,
    place: Place,
}

// SAFETY: the header says that each call may come from another thread, one at a time; the
// state is the plugin's own, and the host only hands it back.
unsafe impl Send for CVault {}

impl Drop for CVault {
    fn drop(&mut self) {
        // SAFETY: the vault was opened once and is closed once, here; its place is given up
        // afterwards.
        unsafe { (self.close)(self.state) }
    }
}

/// Opens a vault of a plugin whose table has been checked.
pub(super) fn open(
    table: &'static PluginTable,
    request: &api::OpenRequest,
    context: Context,
) -> Result<CVault> {
    let (Some(open), Some(close), Some(get), Some(list)) =
        (table.open, table.close, table.get, table.list)
    else {
        return Err(Error::internal("its table lacks what every plugin has"));
    };
    let place = Place::take(context.into_services());
    let parameters = lend::parameters(&request.parameters);
    let session = request.session.as_ref();
    let lent = OpenRequest {
        size: size_of::<OpenRequest>(),
        deadline_millis: lend::left(request.deadline),
        vault: Bytes::of(request.vault.as_str().as_bytes()),
        kind: Bytes::of(request.kind.as_bytes()),
        parameters: lend::items(&parameters),
        parameter_count: parameters.len(),
        session: session.map_or(Bytes::NONE, |session| Bytes::of(session.secret.expose())),
        session_millis: session.map_or(0, |session| lend::millis(session.lifetime)),
        host_name: Bytes::optional(request.host.as_ref().map(|host| host.name.as_str())),
        host_version: Bytes::optional(request.host.as_ref().map(|host| host.version.as_str())),
    };
    let mut state: State = ptr::null_mut();
    let reply = place.begin(Asked::Done);
    // SAFETY: the table is that of a plugin of this door; what it is given lives until it
    // returns.
    let status = unsafe { open(&lent, place.context(), reply, &mut state) };
    let told = place.end(status);
    if status == 0 && !state.is_null() {
        // Made before a fault is looked at: what was opened is closed again.
        let vault = CVault { table, close, get, list, state, place };
        return told.map(|_| vault);
    }
    told?;
    Err(Error::internal("the plugin opened a vault and gave none"))
}

impl CVault {
    /// Makes one call and returns what was told.
    fn call<R>(&mut self, function: Call<R>, request: &R, asked: Asked) -> Result<Reply> {
        let reply = self.place.begin(asked);
        // SAFETY: the state lives until `close`; the request lives until this returns;
        // `&mut self` makes it the only call.
        let status = unsafe { function(self.state, request, reply) };
        self.place.end(status)
    }

    /// Makes one call with several requests.
    fn call_many<R>(
        &mut self,
        function: CallMany<R>,
        requests: &[R],
        asked: Asked,
    ) -> Result<Reply> {
        let each: Vec<*const R> = requests.iter().map(ptr::from_ref).collect();
        let reply = self.place.begin(asked);
        // SAFETY: as for `call`.
        let status = unsafe { function(self.state, each.as_ptr(), each.len(), reply) };
        self.place.end(status)
    }

    /// Returns this vault as one that does what the plain trait does by default.
    fn bare(&mut self) -> Bare<'_> {
        Bare(self)
    }
}

/// Has get, list and set, so that the trait's own defaults stand for everything else.
struct Bare<'v>(&'v mut CVault);

impl Vault for Bare<'_> {
    fn get(&mut self, request: &api::GetRequest) -> Result<api::Secret> {
        self.0.get(request)
    }

    fn list(&mut self, request: &api::ListRequest) -> Result<api::Page> {
        self.0.list(request)
    }

    fn set(&mut self, request: api::SetRequest) -> Result<api::Written> {
        self.0.set(request)
    }
}

impl Vault for CVault {
    fn get(&mut self, request: &api::GetRequest) -> Result<api::Secret> {
        self.call(self.get, &lend::get(request), Asked::Secret)?.secret()
    }

    fn list(&mut self, request: &api::ListRequest) -> Result<api::Page> {
        let lent = ListRequest {
            size: size_of::<ListRequest>(),
            deadline_millis: lend::left(request.deadline),
            cursor: Bytes::optional(request.cursor.as_deref()),
            pattern: Bytes::optional(request.pattern.as_deref()),
            limit: request.limit,
            prefix: Bytes::optional(request.prefix.as_deref()),
        };
        let told = self.call(self.list, &lent, Asked::Page(request.limit))?;
        if told.next.is_some() && told.next == request.cursor {
            return Err(Error::internal("the page's cursor does not advance"));
        }
        Ok(api::Page::new(told.entries, told.next))
    }

    fn describe(&mut self, request: &api::DescribeRequest) -> Result<api::Entry> {
        match self.table.describe {
            Some(describe) => {
                let lent = lend::one(&request.name, request.deadline);
                self.call(describe, &lent, Asked::Entry)?.entry_alone()
            }
            None => self.bare().describe(request),
        }
    }

    fn set(&mut self, request: api::SetRequest) -> Result<api::Written> {
        let Some(set) = self.table.set else {
            return Err(Error::unsupported("this vault cannot be written to"));
        };
        request.check_metadata()?;
        let value = request.value.encode()?;
        let items = request.metadata.as_ref().map(lend::metadata).unwrap_or_default();
        let lent = lend::set(&request, value.expose(), &items);
        self.call(set, &lent, Asked::Done).map(|_| api::Written::new())
    }

    fn set_many(&mut self, request: api::SetManyRequest) -> Result<api::SetManyResults> {
        api::SetRequest::check_many(&request.requests)?;
        let Some(set_many) = self.table.set_many else { return self.bare().set_many(request) };
        let requests = &request.requests;
        let each = requests.iter();
        let values: Vec<_> = each
            .map(|request| request.check_metadata().and_then(|()| request.value.encode()))
            .collect();
        let items: Vec<_> = requests
            .iter()
            .map(|request| request.metadata.as_ref().map(lend::metadata).unwrap_or_default())
            .collect();
        let (mut lent, mut results) = (Vec::new(), Vec::new());
        for ((request, value), items) in requests.iter().zip(&values).zip(&items) {
            match value {
                Ok(value) => {
                    lent.push(lend::set(request, value.expose(), items));
                    results.push(Ok(()));
                }
                Err(error) => results.push(Err(error.clone())),
            }
        }
        let answers = match lent.len() {
            0 => Vec::new(),
            count => self.call_many(set_many, &lent, Asked::Results(count))?.results,
        };
        let answers = answers.into_iter().map(|result| result.map(|()| api::Written::new()));
        merged(results, answers.collect()).map(api::SetManyResults::new)
    }

    fn remove(&mut self, request: &api::RemoveRequest) -> Result<api::Removed> {
        match self.table.remove {
            Some(remove) => {
                let lent = lend::one(&request.name, request.deadline);
                self.call(remove, &lent, Asked::Done).map(|_| api::Removed::new())
            }
            None => self.bare().remove(request),
        }
    }

    fn rename(&mut self, request: &api::RenameRequest) -> Result<api::Renamed> {
        let Some(rename) = self.table.rename else { return self.bare().rename(request) };
        let lent = RenameRequest {
            size: size_of::<RenameRequest>(),
            deadline_millis: lend::left(request.deadline),
            from: Bytes::of(request.from.as_str().as_bytes()),
            to: Bytes::of(request.to.as_str().as_bytes()),
        };
        self.call(rename, &lent, Asked::Done).map(|_| api::Renamed::new())
    }

    fn set_metadata(&mut self, request: api::SetMetadataRequest) -> Result<api::MetadataWritten> {
        let Some(set_metadata) = self.table.set_metadata else {
            return self.bare().set_metadata(request);
        };
        request.metadata.check_complete()?;
        let items = lend::metadata(&request.metadata);
        let lent = SetMetadataRequest {
            size: size_of::<SetMetadataRequest>(),
            deadline_millis: lend::left(request.deadline),
            name: Bytes::of(request.name.as_str().as_bytes()),
            metadata: lend::given(&items),
            metadata_count: items.len(),
        };
        self.call(set_metadata, &lent, Asked::Done).map(|_| api::MetadataWritten::new())
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> Result<api::Unlocked> {
        let Some(unlock) = self.table.unlock else { return self.bare().unlock(request) };
        let answers = lend::answers(&request.answers);
        let lent = UnlockRequest {
            size: size_of::<UnlockRequest>(),
            deadline_millis: lend::left(request.deadline),
            challenge: Bytes::of(request.challenge.as_bytes()),
            answers: lend::items(&answers),
            answer_count: answers.len(),
        };
        if let Some(session) = self.call(unlock, &lent, Asked::Session)?.session {
            self.place.keep_session(session);
        }
        Ok(api::Unlocked::new())
    }

    fn lock(&mut self, request: &api::LockRequest) -> Result<api::Locked> {
        let lent = lend::plain(request.deadline);
        match self.table.lock {
            Some(lock) => self.call(lock, &lent, Asked::Done).map(|_| api::Locked::new()),
            None => self.bare().lock(request),
        }
    }

    fn test(&mut self, request: &api::TestRequest) -> Result<api::TestReport> {
        let lent = lend::plain(request.deadline);
        match self.table.test {
            Some(test) => self.call(test, &lent, Asked::Done).map(|_| api::TestReport::new()),
            None => self.bare().test(request),
        }
    }

    fn unregister(&mut self, request: &api::UnregisterRequest) -> Result<api::Unregistered> {
        let lent = lend::plain(request.deadline);
        match self.table.unregister {
            Some(unregister) => {
                self.call(unregister, &lent, Asked::Done).map(|_| api::Unregistered::new())
            }
            None => self.bare().unregister(request),
        }
    }

    fn get_many(&mut self, request: &api::GetManyRequest) -> Result<api::GetManyResults> {
        let requests = &request.requests;
        if requests.len() > MAX_GET_MANY {
            return Err(Error::invalid(format!(
                "{} secrets were asked for at once; the most is {MAX_GET_MANY}",
                requests.len()
            )));
        }
        let Some(get_many) = self.table.get_many else { return self.bare().get_many(request) };
        let lent: Vec<GetRequest> = requests.iter().map(lend::get).collect();
        let results = self.call_many(get_many, &lent, Asked::Secrets(lent.len()))?.secrets;
        if results.len() != requests.len() {
            return Err(Error::internal(format!(
                "{} secrets were asked for and {} came back",
                requests.len(),
                results.len()
            )));
        }
        Ok(api::GetManyResults::new(results))
    }

    fn versions(&mut self, request: &api::VersionsRequest) -> Result<api::VersionPage> {
        match self.table.versions {
            Some(versions) => {
                let lent = lend::one(&request.name, request.deadline);
                let all = self.call(versions, &lent, Asked::Versions)?.versions;
                api::VersionPage::of(all, request)
            }
            None => self.bare().versions(request),
        }
    }

    fn actions(&mut self, request: &api::ActionsRequest) -> Result<api::ActionList> {
        let lent = lend::plain(request.deadline);
        match self.table.actions {
            Some(actions) => {
                Ok(api::ActionList::new(self.call(actions, &lent, Asked::Actions)?.actions))
            }
            None => self.bare().actions(request),
        }
    }

    fn run_action(&mut self, request: &api::ActionRequest) -> Result<api::ActionOutcome> {
        let Some(act) = self.table.run_action else { return self.bare().run_action(request) };
        let parameters = lend::parameters(&request.parameters);
        let lent = ActionRequest {
            size: size_of::<ActionRequest>(),
            deadline_millis: lend::left(request.deadline),
            action: Bytes::of(request.action.as_bytes()),
            parameters: lend::items(&parameters),
            parameter_count: parameters.len(),
        };
        let told = self.call(act, &lent, Asked::Outcome)?;
        let mut outcome = api::ActionOutcome::new(told.message.unwrap_or_default());
        outcome.value = told.value;
        Ok(outcome)
    }
}
