//! A vault behind a C table as a plain [`Vault`].

use std::ptr;

use keystead_plugin_api as api;
use keystead_plugin_api::abi::{check_get_many, check_got_many, check_page, merged};
use keystead_plugin_api::{Context, Error, Result, Vault};

use super::host_table::Place;
use super::lend::{Kept, Lent};
use super::reply::{Asked, Reply};
use super::table::*;

/// An open vault of a plugin of the C ABI.
pub(super) struct CVault {
    table: &'static PluginTable,
    close: unsafe extern "C" fn(State),
    get: Call<GetRequest>,
    list: Call<ListRequest>,
    state: State,
    place: Place,
}

// SAFETY: the header says that each call may come from another thread, one at a time. The state is
// the plugin's own, and the host only hands it back.
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
    host: &'static HostTable,
    request: &api::OpenRequest,
    context: Context,
) -> Result<CVault> {
    let (Some(open), Some(close), Some(get), Some(list)) =
        (table.open, table.close, table.get, table.list)
    else {
        return Err(Error::internal("its table lacks what every plugin has"));
    };
    let place = Place::take(context.into_services());
    let mut kept = Kept::default();
    let lent = request.lent(&mut kept)?;
    let mut state: State = ptr::null_mut();
    let reply = place.begin(Asked::Done);
    // SAFETY: the table is that of a plugin of this ABI; the arguments live until the call returns.
    let status = unsafe { open(host, place.context(), &lent, reply, &mut state) };
    let told = place.end(status);
    if status == 0 && !state.is_null() {
        // Made before the check for a fault, so that an opened state is closed again.
        let vault = CVault { table, close, get, list, state, place };
        return told.map(|_| vault);
    }
    told?;
    Err(Error::internal("the plugin opened a vault and gave none"))
}

impl CVault {
    /// Makes one call and returns its reply.
    fn call<R: Lent>(
        &mut self,
        function: Call<R::Twin>,
        request: &R,
        asked: Asked,
    ) -> Result<Reply> {
        let mut kept = Kept::default();
        let lent = request.lent(&mut kept)?;
        let reply = self.place.begin(asked);
        // SAFETY: the state lives until `close`; the request and what is kept live until this
        // returns; `&mut self` makes it the only call.
        let status = unsafe { function(self.state, &lent, reply) };
        self.place.end(status)
    }

    /// Requests a page, whose cursor must differ from that of this request.
    fn page<R: Lent>(
        &mut self,
        function: Call<R::Twin>,
        request: &R,
        asked: impl FnOnce(usize) -> Asked,
        limit: usize,
        cursor: &Option<String>,
    ) -> Result<Reply> {
        let limit = limit.clamp(1, api::MAX_PAGE_ENTRIES);
        let told = self.call(function, request, asked(limit))?;
        // The reply takes no more than the limit.
        check_page(0, limit, &told.next, cursor)?;
        Ok(told)
    }

    /// Refuses a condition unless the plugin declares that it checks conditions: a plugin that
    /// ignores a condition overwrites what another writer has written.
    fn check_condition(&self, if_version: Option<&String>) -> Result<()> {
        if if_version.is_some() && self.table.flags & CONDITIONAL == 0 {
            return Err(Error::unsupported("this vault does not check versions"));
        }
        Ok(())
    }

    /// Refuses metadata that may be lost: a plugin that does not declare lists of texts may take a
    /// list for an empty text.
    fn check_metadata(&self, metadata: &api::Metadata) -> Result<()> {
        metadata.check_writable()?;
        let list =
            metadata.iter().find(|(_, value)| matches!(value, api::MetadataValue::TextList(_)));
        match list {
            Some((key, _)) if self.table.flags & TEXT_LISTS == 0 => {
                Err(Error::unsupported(format!("this vault keeps no list of texts, as `{key}` is")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a write that the plugin does not declare to know.
    fn check_write(&self, request: &api::SetRequest) -> Result<()> {
        self.check_condition(request.if_version.as_ref())?;
        request.metadata.as_ref().map_or(Ok(()), |metadata| self.check_metadata(metadata))?;
        #[cfg(feature = "next")]
        self.check_next(request.mode, request.metadata.as_ref())?;
        Ok(())
    }

    /// Refuses data that the plugin does not declare to know: it may store something else.
    #[cfg(feature = "next")]
    fn check_next(&self, mode: api::WriteMode, metadata: Option<&api::Metadata>) -> Result<()> {
        let is_digest = |value: &api::MetadataValue| matches!(value, api::MetadataValue::Digest(_));
        let has_digest = metadata.is_some_and(|all| all.iter().any(|(_, value)| is_digest(value)));
        if (mode == api::WriteMode::Merge || has_digest) && self.table.flags & NEXT == 0 {
            return Err(Error::unsupported("the plugin was built before there was this"));
        }
        Ok(())
    }

    /// Returns this vault with the defaults of the plain trait.
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
        self.call(self.get, request, Asked::Secret)?.secret()
    }

    fn list(&mut self, request: &api::ListRequest) -> Result<api::Page> {
        let told = self.page(self.list, request, Asked::Page, request.limit, &request.cursor)?;
        Ok(api::Page::new(told.entries, told.next))
    }

    fn describe(&mut self, request: &api::DescribeRequest) -> Result<api::Entry> {
        match self.table.describe {
            Some(describe) => self.call(describe, request, Asked::Entry)?.entry_alone(),
            None => self.bare().describe(request),
        }
    }

    fn set(&mut self, request: api::SetRequest) -> Result<api::Written> {
        let Some(set) = self.table.set else {
            return Err(Error::unsupported("this vault cannot be written to"));
        };
        self.check_write(&request)?;
        self.call(set, &request, Asked::Written)?.written()
    }

    fn set_many(&mut self, request: api::SetManyRequest) -> Result<api::SetManyResults> {
        api::SetRequest::check_many(&request.requests)?;
        let Some(set_many) = self.table.set_many else { return self.bare().set_many(request) };
        // A request that may not be written is refused alone.
        let mut sent = Vec::with_capacity(request.requests.len());
        let mut check = |request: api::SetRequest| {
            self.check_write(&request)?;
            request.value.encoded_len()?;
            sent.push(request);
            Ok(())
        };
        let results: Vec<Result<()>> = request.requests.into_iter().map(&mut check).collect();
        let answers = match sent.len() {
            0 => Vec::new(),
            count => {
                let sent = api::SetManyRequest::new(sent);
                self.call(set_many, &sent, Asked::Results(count))?.results
            }
        };
        merged(results, answers).map(api::SetManyResults::new)
    }

    fn remove(&mut self, request: &api::RemoveRequest) -> Result<api::Removed> {
        let Some(remove) = self.table.remove else { return self.bare().remove(request) };
        self.check_condition(request.if_version.as_ref())?;
        let told = self.call(remove, request, Asked::Removed)?;
        Ok(told.removed.unwrap_or_default())
    }

    fn rename(&mut self, request: &api::RenameRequest) -> Result<api::Renamed> {
        let Some(rename) = self.table.rename else { return self.bare().rename(request) };
        self.call(rename, request, Asked::Written)?.written()
    }

    fn set_metadata(&mut self, request: api::SetMetadataRequest) -> Result<api::MetadataWritten> {
        let Some(set_metadata) = self.table.set_metadata else {
            return self.bare().set_metadata(request);
        };
        self.check_condition(request.if_version.as_ref())?;
        self.check_metadata(&request.metadata)?;
        #[cfg(feature = "next")]
        self.check_next(api::WriteMode::Upsert, Some(&request.metadata))?;
        self.call(set_metadata, &request, Asked::Written)?.written()
    }

    fn list_removed(&mut self, request: &api::ListRemovedRequest) -> Result<api::RemovedPage> {
        let Some(list) = self.table.list_removed else { return self.bare().list_removed(request) };
        let told = self.page(list, request, Asked::RemovedPage, request.limit, &request.cursor)?;
        Ok(api::RemovedPage::new(told.removed_secrets, told.next))
    }

    fn restore(&mut self, request: &api::RestoreRequest) -> Result<api::Restored> {
        let Some(restore) = self.table.restore else { return self.bare().restore(request) };
        self.call(restore, request, Asked::Written)?.written()
    }

    fn purge(&mut self, request: &api::PurgeRequest) -> Result<api::Purged> {
        let Some(purge) = self.table.purge else { return self.bare().purge(request) };
        self.call(purge, request, Asked::Done).map(|_| api::Purged::new())
    }

    fn rules(&mut self, request: &api::RulesRequest) -> Result<api::Rules> {
        let Some(rules) = self.table.rules else { return self.bare().rules(request) };
        let told = self.call(rules, request, Asked::Rules)?;
        told.rules.ok_or_else(|| Error::internal("success was answered and no rules"))
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> Result<api::Unlocked> {
        let Some(unlock) = self.table.unlock else { return self.bare().unlock(request) };
        self.call(unlock, request, Asked::Done).map(|_| api::Unlocked::new())
    }

    fn lock(&mut self, request: &api::LockRequest) -> Result<api::Locked> {
        match self.table.lock {
            Some(lock) => self.call(lock, request, Asked::Done).map(|_| api::Locked::new()),
            None => self.bare().lock(request),
        }
    }

    fn test(&mut self, request: &api::TestRequest) -> Result<api::TestReport> {
        match self.table.test {
            Some(test) => self.call(test, request, Asked::Done).map(|_| api::TestReport::new()),
            None => self.bare().test(request),
        }
    }

    fn unregister(&mut self, request: &api::UnregisterRequest) -> Result<api::Unregistered> {
        match self.table.unregister {
            Some(unregister) => {
                self.call(unregister, request, Asked::Done).map(|_| api::Unregistered::new())
            }
            None => self.bare().unregister(request),
        }
    }

    fn get_many(&mut self, request: &api::GetManyRequest) -> Result<api::GetManyResults> {
        let requests = &request.requests;
        check_get_many(requests.len())?;
        let Some(get_many) = self.table.get_many else { return self.bare().get_many(request) };
        let results = self.call(get_many, request, Asked::Secrets(requests.len()))?.secrets;
        check_got_many(requests.len(), results.len())?;
        Ok(api::GetManyResults::new(results))
    }

    fn versions(&mut self, request: &api::VersionsRequest) -> Result<api::VersionPage> {
        let Some(versions) = self.table.versions else { return self.bare().versions(request) };
        let told = self.page(versions, request, Asked::Versions, request.limit, &request.cursor)?;
        Ok(api::VersionPage::new(told.versions, told.next))
    }

    fn actions(&mut self, request: &api::ActionsRequest) -> Result<api::ActionList> {
        match self.table.actions {
            Some(actions) => {
                Ok(api::ActionList::new(self.call(actions, request, Asked::Actions)?.actions))
            }
            None => self.bare().actions(request),
        }
    }

    fn run_action(&mut self, request: &api::ActionRequest) -> Result<api::ActionOutcome> {
        let Some(act) = self.table.run_action else { return self.bare().run_action(request) };
        let told = self.call(act, request, Asked::Outcome)?;
        let mut outcome = api::ActionOutcome::new(told.message.unwrap_or_default());
        outcome.value = told.value;
        Ok(outcome)
    }

    #[cfg(feature = "next")]
    fn health(
        &mut self,
        deadline: api::Deadline,
    ) -> Result<std::collections::BTreeMap<String, String>> {
        match self.table.health {
            Some(health) => {
                Ok(self.call(health, &api::TestRequest::new(deadline), Asked::Health)?.health)
            }
            None => self.bare().health(deadline),
        }
    }
}
