//! Answers that no vault may give: each is a fault of the plugin, said in one sentence.

use std::time::Duration;

use keystead_plugin_api::*;

use crate::host::{get, get_many, name, open, set, soon, text_parameter, versions};

struct Crooked;

impl Plugin for Crooked {
    fn open(request: OpenRequest, _: Context) -> Result<Box<dyn Vault>> {
        Ok(Box::new(Crook(request.parameters.text("how").unwrap_or("").to_owned())))
    }
}

struct Crook(String);

impl Vault for Crook {
    fn get(&mut self, _: &GetRequest) -> Result<Secret> {
        let prompt = |name: &str| Prompt::secret(name, "?");
        let locked = |prompts| Err(Error::locked(Challenge::new("c", prompts)));
        match self.0.as_str() {
            "no challenge" => Err(Error::new(ErrorKind::Locked, "the vault is locked")),
            "no prompts" => locked(vec![]),
            "many prompts" => locked((0..17).map(|n| prompt(&n.to_string())).collect()),
            "twin prompts" => locked(vec![prompt("a"), prompt("b"), prompt("a")]),
            "long prompt" => locked(vec![prompt(&"x".repeat(4_097))]),
            "endless wait" => Err(Error::unavailable("later").with_retry_after(Duration::MAX)),
            "too large" => Ok(Secret::new(Value::bytes(vec![0; MAX_VALUE_BYTES]))),
            _ => {
                let mut value = Value::text("");
                for _ in 0..MAX_VALUE_DEPTH {
                    let mut map = Map::new();
                    map.insert("k", value);
                    value = Value::Map(map);
                }
                Ok(Secret::new(value))
            }
        }
    }

    fn list(&mut self, request: &ListRequest) -> Result<Page> {
        let entry = |n: usize| Entry::new(name(&n.to_string()), None, Metadata::new());
        let count = match self.0.as_str() {
            "over the limit" => MAX_PAGE_ENTRIES + 1,
            "more than asked" => request.limit + 1,
            _ => 0,
        };
        let next = match self.0.as_str() {
            "stands still" => Some(request.cursor.clone().unwrap_or_else(|| "x".into())),
            "long cursor" => Some("x".repeat(MAX_CURSOR_BYTES + 1)),
            _ => None,
        };
        Ok(Page::new((0..count).map(entry).collect(), next))
    }

    fn get_many(&mut self, _: &GetManyRequest) -> Result<GetManyResults> {
        let results = (0..self.0.len()).map(|_| Err(Error::not_found()));
        Ok(GetManyResults::new(results.collect()))
    }

    fn set_many(&mut self, _: SetManyRequest) -> Result<SetManyResults> {
        let results = (0..self.0.len()).map(|_| Ok(Written::new()));
        Ok(SetManyResults::new(results.collect()))
    }

    fn versions(&mut self, _: &VersionsRequest) -> Result<VersionPage> {
        Ok(VersionPage::new(vec![Version::new("1", Some(i64::MAX))], None))
    }

    fn actions(&mut self, _: &ActionsRequest) -> Result<ActionList> {
        Ok(ActionList::new(vec![Action::new("x".repeat(5_000), "")]))
    }
}

fn crook(how: &str) -> impl Vault {
    open::<Crooked>(text_parameter("how", how)).0.unwrap()
}

fn blamed<T: std::fmt::Debug>(result: Result<T>) -> String {
    let fault = result.unwrap_err();
    assert_eq!(fault.kind(), ErrorKind::Internal, "{fault}");
    fault.message().to_owned()
}

#[test]
fn locked_error_without_valid_challenge_is_rejected() {
    for (how, message) in [
        ("no challenge", "`locked` comes without what would unlock the vault"),
        ("no prompts", "a challenge asks for nothing and waits for nothing"),
        ("many prompts", "`prompts` has more than 16 items"),
        ("twin prompts", "a challenge asks for `a` twice"),
        ("long prompt", "`name` has 4097 bytes; the most is 4096"),
    ] {
        assert_eq!(blamed(crook(how).get(&get("n"))), message);
    }
}

#[test]
fn value_over_limit_is_rejected() {
    let too_large = crook("too large").get(&get("n")).unwrap_err();
    assert_eq!(too_large.kind(), ErrorKind::Internal);
    let too_deep = crook("too deep").get(&get("n")).unwrap_err();
    assert_eq!(too_deep, Error::internal("the value has more than 16 levels"));
}

#[test]
fn page_over_limit_or_with_same_cursor_is_rejected() {
    let mut request = ListRequest::new(soon());
    assert_eq!(
        blamed(crook("over the limit").list(&request)),
        "`entries` has more than 1000 items"
    );
    assert_eq!(
        blamed(crook("long cursor").list(&request)),
        "`next_cursor` has 4097 bytes; the most is 4096"
    );
    request.limit = 2;
    assert_eq!(
        blamed(crook("more than asked").list(&request)),
        "the page has 3 entries; 2 were asked for"
    );
    assert_eq!(crook("stands still").list(&request).unwrap().next_cursor.as_deref(), Some("x"));
    request.cursor = Some("x".into());
    assert_eq!(blamed(crook("stands still").list(&request)), "the page's cursor does not advance");
}

#[test]
fn get_many_with_wrong_result_count_is_rejected() {
    let found = crook("four").get_many(&get_many(&["a", "b"]));
    assert_eq!(blamed(found), "2 secrets were asked for and 4 came back");
}

#[test]
fn set_many_with_wrong_result_count_is_rejected() {
    let two = || SetManyRequest::new(vec![set("a", Value::text("1")), set("b", Value::text("2"))]);
    let answered = crook("four").set_many(two());
    assert_eq!(blamed(answered), "2 secrets were to be written and 4 answers came back");
    let answered = crook("a").set_many(two());
    assert_eq!(blamed(answered), "2 secrets were to be written and 1 answers came back");
    let many = crook(&"x".repeat(MAX_SET_MANY + 1)).set_many(two());
    assert_eq!(blamed(many), "2 secrets were to be written and 1001 answers came back");
}

#[test]
fn retry_delay_is_capped_and_version_time_is_checked() {
    let day = Duration::from_secs(24 * 60 * 60);
    let later = crook("endless wait").get(&get("n")).unwrap_err();
    assert_eq!(later.retry_after(), Some(day));
    let versions = crook("").versions(&versions("n"));
    assert_eq!(blamed(versions), "a version's time is outside the years 1 to 9999");
}

#[test]
fn action_id_longer_than_limit_is_rejected() {
    let actions = crook("").actions(&ActionsRequest::new(soon()));
    assert_eq!(blamed(actions), "`id` has 5000 bytes; the most is 4096");
}
