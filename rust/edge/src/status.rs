//! The refusals that the edge itself gives, each with its `google.rpc` details (STYLE section 7).

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Domain of every reason.
const DOMAIN: &str = "datafacade";

/// When a refused call may be tried again.
const RETRY_DELAY: Duration = Duration::from_millis(500);

fn with_reason(code: Code, reason: &str, message: String, mut details: ErrorDetails) -> Status {
    let metadata = details.error_info().map(|info| info.metadata.clone()).unwrap_or_default();
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, message, details)
}

/// A request that breaks the contract: `field` says where, `problem` what was expected and what came.
pub(crate) fn invalid_request(field: &str, problem: &str) -> Status {
    let details = ErrorDetails::with_bad_request_violation(field, problem);
    with_reason(Code::InvalidArgument, "INVALID_REQUEST", format!("{field}: {problem}"), details)
}

/// A bound that the client went beyond; `limit` names it.
pub(crate) fn quota_exceeded(limit: &str, maximum: usize) -> Status {
    let metadata =
        HashMap::from([("limit".to_owned(), limit.to_owned()), ("maximum".to_owned(), maximum.to_string())]);
    let message = format!("{limit}: at most {maximum}");
    let mut details = ErrorDetails::with_quota_failure_violation(limit, &message);
    details.set_error_info("QUOTA_EXCEEDED", DOMAIN, metadata);
    with_reason(Code::ResourceExhausted, "QUOTA_EXCEEDED", message, details)
}

fn unavailable(reason: &str, message: String) -> Status {
    with_reason(Code::Unavailable, reason, message, ErrorDetails::with_retry_info(Some(RETRY_DELAY)))
}

/// The handlers have more calls than they may hold.
pub(crate) fn overloaded(calls_max: usize) -> Status {
    unavailable("OVERLOADED", format!("{calls_max} calls wait for an answer, try again later"))
}

/// The server is stopping.
pub(crate) fn draining() -> Status {
    unavailable("DRAINING", "the server is stopping, connect again".to_owned())
}

/// The server's own bound of time, which is not the client's deadline.
pub(crate) fn time_limit(limit: Duration) -> Status {
    unavailable("TIME_LIMIT", format!("no answer within the server's limit of {} ms", limit.as_millis()))
}

/// The client's deadline has passed.
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded("the client's deadline has passed")
}

/// The client fell behind further than its stream's bound; `positions` say where to resume from.
pub(crate) fn slow_reader(positions: HashMap<String, String>) -> Status {
    let details = ErrorDetails::with_error_info("SLOW_READER", DOMAIN, positions);
    Status::with_error_details(
        Code::ResourceExhausted,
        "the reader fell behind the bound of its stream, resume from the last update it processed",
        details,
    )
}

/// A handler went away without an answer.
pub(crate) fn unanswered() -> Status {
    with_reason(Code::Internal, "INTERNAL", "the handler gave no answer".to_owned(), ErrorDetails::new())
}

/// Nothing of this name is served.
pub(crate) fn unknown_method(path: &str) -> Status {
    with_reason(Code::Unimplemented, "NOT_SUPPORTED", format!("no method {path}"), ErrorDetails::new())
}

/// A compressed request: none is accepted, so none has to be bounded after inflation (FAULTS S17).
pub(crate) fn compressed() -> Status {
    let message = "expected an uncompressed request".to_owned();
    with_reason(Code::Unimplemented, "NOT_SUPPORTED", message, ErrorDetails::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_names_its_limit_and_its_reason() {
        let details = quota_exceeded("request_bytes_max", 65_536).get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("QUOTA_EXCEEDED", "datafacade"));
        assert_eq!(info.metadata["limit"], "request_bytes_max");
        assert_eq!(info.metadata["maximum"], "65536");
        assert!(details.quota_failure().is_some());
    }

    #[test]
    fn whatever_is_unavailable_says_when_to_come_back() {
        for status in [overloaded(4_096), draining(), time_limit(Duration::from_secs(10))] {
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
            assert!(status.get_error_details().error_info().is_some());
        }
    }
}
