//! The runner as a vault like any other: each call of the contract, sent and read.

use keystead_plugin_api as api;
use keystead_plugin_api::Vault;

use super::connection::Answered;
use super::proto::{self, Fault, Reader, Request, Write};
use super::{CallError, Runner};

impl Runner {
    /// Makes a call; what is wrong with the runner is kept for [`Runner::failure`].
    fn answered<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
    ) -> api::Result<Answered<T>> {
        self.failure = None;
        self.ask(request, read).map_err(|error| match error {
            CallError::Plugin(error) => error,
            CallError::Runner(error) => {
                let flat = api::Error::from(&error);
                self.failure = Some(error);
                flat
            }
        })
    }

    fn answer<T>(
        &mut self,
        request: &Request<'_>,
        read: impl Fn(&mut Reader<'_>) -> Result<T, Fault>,
    ) -> api::Result<T> {
        match self.answered(request, read)? {
            Answered::Done(answer) => Ok(answer),
            Answered::Failed(error) => Err(error),
            Answered::TooMuch | Answered::Unloadable(..) => {
                Err(api::Error::internal("the vault's answer is larger than an answer may be"))
            }
        }
    }
}

impl Vault for Runner {
    fn get(&mut self, request: &api::GetRequest) -> api::Result<api::Secret> {
        self.answer(&Request::Get(request), proto::secret)
    }

    fn list(&mut self, request: &api::ListRequest) -> api::Result<api::Page> {
        self.answer(&Request::List(request), proto::page)
    }

    fn describe(&mut self, request: &api::GetRequest) -> api::Result<api::Entry> {
        self.answer(&Request::Describe(request), proto::entry)
    }

    fn set(&mut self, request: api::SetRequest) -> api::Result<()> {
        self.answer(&Request::set(&request)?, proto::nothing)
    }

    fn set_many(&mut self, requests: Vec<api::SetRequest>) -> api::Result<Vec<api::Result<()>>> {
        api::SetRequest::check_many(&requests)?;
        let deadlines = requests.iter().map(|request| request.deadline);
        let Some(latest) = deadlines.max_by_key(|deadline| deadline.remaining()) else {
            return Ok(Vec::new());
        };
        let mut writes = Vec::with_capacity(requests.len());
        let each = requests.into_iter();
        let results = each.map(|request| Write::new(request).map(|write| writes.push(write)));
        let results: Vec<api::Result<()>> = results.collect();
        let count = writes.len();
        let answers = match count {
            0 => Vec::new(),
            _ => self.answer(&Request::SetMany(&writes, latest), |r| proto::written(r, count))?,
        };
        api::abi::merged(results, answers)
    }

    fn remove(&mut self, request: &api::GetRequest) -> api::Result<()> {
        self.answer(&Request::Remove(request), proto::nothing)
    }

    fn set_metadata(
        &mut self,
        request: &api::GetRequest,
        metadata: api::Metadata,
    ) -> api::Result<()> {
        self.answer(&Request::SetMetadata(request, &metadata), proto::nothing)
    }

    fn unlock(&mut self, request: &api::UnlockRequest) -> api::Result<Option<api::Session>> {
        self.answer(&Request::Unlock(request), proto::session)
    }

    fn lock(&mut self, deadline: api::Deadline) -> api::Result<()> {
        self.answer(&Request::Lock(deadline), proto::nothing)
    }

    fn test(&mut self, deadline: api::Deadline) -> api::Result<()> {
        self.answer(&Request::Test(deadline), proto::nothing)
    }

    fn unregister(&mut self, deadline: api::Deadline) -> api::Result<()> {
        self.answer(&Request::Unregister(deadline), proto::nothing)
    }

    fn get_many(
        &mut self,
        requests: &[api::GetRequest],
    ) -> api::Result<Vec<api::Result<api::Secret>>> {
        let mut results = Vec::with_capacity(requests.len());
        for some in requests.chunks(Request::MAX_MANY) {
            let latest = some.iter().map(|request| request.deadline);
            let latest = latest.max_by_key(|deadline| deadline.remaining());
            let latest = latest.expect("a chunk is never empty");
            let request = Request::GetMany(some, latest);
            match self.answered(&request, |r| proto::many(r, some.len()))? {
                Answered::Done(secrets) => results.extend(secrets),
                Answered::Failed(error) => return Err(error),
                // Too large together: one by one they are not.
                Answered::TooMuch | Answered::Unloadable(..) => {
                    for request in some {
                        match self.get(request) {
                            Err(error) if error.kind() == api::ErrorKind::Locked => {
                                return Err(error);
                            }
                            result => results.push(result),
                        }
                    }
                }
            }
        }
        Ok(results)
    }

    fn versions(&mut self, request: &api::GetRequest) -> api::Result<Vec<api::Version>> {
        self.answer(&Request::Versions(request), proto::versions)
    }

    fn actions(&mut self, deadline: api::Deadline) -> api::Result<Vec<api::Action>> {
        self.answer(&Request::Actions(deadline), proto::actions)
    }

    fn act(&mut self, request: &api::ActRequest) -> api::Result<api::Outcome> {
        self.answer(&Request::Act(request), proto::outcome)
    }
}
