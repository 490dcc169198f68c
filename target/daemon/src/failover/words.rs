//! What is asked of etcd and what it answers, in the JSON of its gateway (API v3). Knows no connections.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tidelock_mirror::id::{MirrorId, NodeId};
use tidelock_mirror::lease::{Answer, LeaseId, Request, Revision, Seen, Standing};

/// The two keys of a mirror.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    holder: String,
    standing: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, mirror: MirrorId) -> Self {
        Self {
            holder: format!("{prefix}/{mirror}/holder"),
            standing: format!("{prefix}/{mirror}/standing"),
        }
    }

    /// As they are called in the store.
    pub(super) fn names(&self) -> String {
        format!("{} and {}", self.holder, self.standing)
    }

    /// Where it is asked, and what is sent there.
    pub(super) fn body(&self, request: &Request) -> (&'static str, Value) {
        let (holder, standing) = (encode(&self.holder), encode(&self.standing));
        match request {
            Request::Grant { ttl_ms } => (
                "/v3/lease/grant",
                json!({ "TTL": ttl_ms.div_ceil(1_000).to_string() }),
            ),
            Request::KeepAlive(lease) => {
                ("/v3/lease/keepalive", json!({ "ID": lease.0.to_string() }))
            }
            Request::Revoke(lease) => ("/v3/lease/revoke", json!({ "ID": lease.0.to_string() })),
            Request::Look => (
                "/v3/kv/txn",
                json!({ "success": [
                    { "request_range": { "key": holder } },
                    { "request_range": { "key": standing } },
                ] }),
            ),
            Request::Take {
                me,
                lease,
                standing: value,
                from,
            } => (
                "/v3/kv/txn",
                json!({
                    "compare": [
                        { "target": "CREATE", "result": "EQUAL", "key": holder, "create_revision": "0" },
                        { "target": "MOD", "result": "EQUAL", "key": standing, "mod_revision": from.0.to_string() },
                    ],
                    "success": [
                        { "request_put": {
                            "key": holder,
                            "value": encode(&me.to_string()),
                            "lease": lease.0.to_string(),
                        } },
                        { "request_put": { "key": standing, "value": encode(&value.to_string()) } },
                    ],
                }),
            ),
            Request::Settle {
                standing: value,
                from,
            } => self.settling(value.as_ref(), *from),
            Request::Change {
                lease,
                standing: value,
                from,
            } => (
                "/v3/kv/txn",
                json!({
                    "compare": [
                        { "target": "LEASE", "result": "EQUAL", "key": holder, "lease": lease.0.to_string() },
                        { "target": "MOD", "result": "EQUAL", "key": standing, "mod_revision": from.0.to_string() },
                    ],
                    "success": [
                        { "request_put": { "key": standing, "value": encode(&value.to_string()) } },
                    ],
                }),
            ),
        }
    }

    fn settling(&self, value: Option<&Standing>, from: Revision) -> (&'static str, Value) {
        let (holder, standing) = (encode(&self.holder), encode(&self.standing));
        let settled = match value {
            Some(value) => json!({ "request_put": {
                "key": standing,
                "value": encode(&value.to_string()),
            } }),
            None => json!({ "request_delete_range": { "key": standing } }),
        };
        (
            "/v3/kv/txn",
            json!({
                "compare": [
                    { "target": "MOD", "result": "EQUAL", "key": standing, "mod_revision": from.0.to_string() },
                ],
                "success": [{ "request_delete_range": { "key": holder } }, settled],
            }),
        )
    }

    /// What the answer says.
    ///
    /// # Errors
    /// It isn't an answer to this request; says what is wrong.
    pub(super) fn answer(&self, request: &Request, answer: &Value) -> Result<Answer, String> {
        match request {
            Request::Grant { .. } => Ok(Answer::Granted(
                LeaseId(number(answer, "ID")?),
                milliseconds(answer)?,
            )),
            Request::KeepAlive(_) => {
                // The gateway gives the answers of a stream one by one.
                let result = answer.get("result").unwrap_or(answer);
                // What is 0 is left out.
                match milliseconds(result) {
                    Ok(length) if length > 0 => Ok(Answer::Kept(length)),
                    _ if result.get("ID").is_some() => Ok(Answer::LeaseGone),
                    _ => Err("there is no lease in it".to_owned()),
                }
            }
            Request::Revoke(_) => Ok(Answer::Done(Revision(0))),
            Request::Look => self.seen(answer).map(Answer::Seen),
            Request::Take { .. } | Request::Change { .. } | Request::Settle { .. } => {
                if answer.get("succeeded").and_then(Value::as_bool) == Some(true) {
                    let header = answer.get("header").unwrap_or(answer);
                    Ok(Answer::Done(Revision(number(header, "revision")?)))
                } else if answer.get("header").is_some() {
                    Ok(Answer::Refused)
                } else {
                    Err("it isn't of a transaction".to_owned())
                }
            }
        }
    }

    fn seen(&self, answer: &Value) -> Result<Seen, String> {
        let ranges = answer.get("responses").and_then(Value::as_array);
        let ranges = ranges.filter(|it| it.len() == 2);
        let ranges = ranges.ok_or("it doesn't have both keys")?;
        let kv = |at: usize| ranges.get(at)?.get("response_range")?.get("kvs")?.get(0);
        let holder = match kv(0) {
            Some(kv) => {
                let node = u128::from_str_radix(&text(kv)?, 16)
                    .map_err(|_| format!("the key {} has no ID of an end", self.holder))?;
                // Without a lease it stays for ever, whoever made it.
                Some((NodeId(node), LeaseId(number(kv, "lease").unwrap_or(0))))
            }
            None => None,
        };
        let (standing, revision) = match kv(1) {
            Some(kv) => {
                let standing: Standing = text(kv)?
                    .parse()
                    .map_err(|error| format!("the key {}: {error}", self.standing))?;
                (Some(standing), Revision(number(kv, "mod_revision")?))
            }
            None => (None, Revision(0)),
        };
        Ok(Seen {
            holder,
            standing,
            revision,
        })
    }
}

fn encode(text: &str) -> String {
    BASE64.encode(text)
}

fn text(kv: &Value) -> Result<String, String> {
    let value = kv.get("value").and_then(Value::as_str).unwrap_or_default();
    let bytes = BASE64.decode(value).ok();
    bytes
        .and_then(|it| String::from_utf8(it).ok())
        .ok_or_else(|| "a value isn't text".to_owned())
}

/// Numbers of 64 bits are texts in this JSON.
fn number(value: &Value, field: &str) -> Result<i64, String> {
    let found = value.get(field).and_then(|it| match it {
        Value::String(text) => text.parse().ok(),
        other => other.as_i64(),
    });
    found.ok_or_else(|| format!("there is no number {field} in it"))
}

fn milliseconds(value: &Value) -> Result<u64, String> {
    let seconds = u64::try_from(number(value, "TTL")?).unwrap_or(0);
    Ok(seconds.saturating_mul(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new("/tidelock", MirrorId(5))
    }

    #[test]
    fn what_is_left_out_is_zero() {
        let keep = Request::KeepAlive(LeaseId(7));
        let answer = |value: Value| keys().answer(&keep, &value);
        assert_eq!(
            answer(json!({ "result": { "ID": "7", "TTL": "5" } })),
            Ok(Answer::Kept(5_000))
        );
        assert_eq!(
            answer(json!({ "result": { "ID": "7" } })),
            Ok(Answer::LeaseGone)
        );
        assert!(answer(json!({ "error": "no" })).is_err());
        let take = Request::Change {
            lease: LeaseId(7),
            standing: Standing {
                source: NodeId(1),
                eligible: std::iter::empty().collect(),
            },
            from: Revision(3),
        };
        let answer = |value: Value| keys().answer(&take, &value);
        assert_eq!(
            answer(json!({ "header": { "revision": "9" } })),
            Ok(Answer::Refused)
        );
        assert_eq!(
            answer(json!({ "header": { "revision": "9" }, "succeeded": true })),
            Ok(Answer::Done(Revision(9)))
        );
        assert!(answer(json!({ "succeeded": true })).is_err());
        assert!(answer(json!([])).is_err());
    }

    #[test]
    fn what_somebody_else_wrote_is_told_by_its_key() {
        let look = |value: &str| {
            let kvs = json!([{ "value": encode(value), "mod_revision": "4", "lease": "8" }]);
            let there = json!({ "response_range": { "kvs": kvs } });
            let none = json!({ "response_range": {} });
            let holder = keys().answer(&Request::Look, &json!({ "responses": [there, none] }));
            let standing = keys().answer(&Request::Look, &json!({ "responses": [none, there] }));
            (holder, standing)
        };
        let (holder, standing) = look("me");
        assert!(
            holder
                .unwrap_err()
                .contains("/tidelock/00000000000000000000000000000005/holder")
        );
        assert!(standing.unwrap_err().contains("/standing"));
        let (holder, _) = look("0000000000000000000000000000000a");
        let holder = match holder {
            Ok(Answer::Seen(seen)) => seen.holder,
            other => panic!("{other:?}"),
        };
        assert_eq!(holder, Some((NodeId(10), LeaseId(8))));
        assert!(
            keys()
                .answer(&Request::Look, &json!({ "responses": [] }))
                .is_err()
        );
    }
}
