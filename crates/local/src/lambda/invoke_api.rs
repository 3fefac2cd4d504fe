//! The Invoke API: `POST /2015-03-31/functions/{name or ARN}/invocations`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::function::name_of;
use super::invocation::{Unreceived, receive};
use super::{Functions, InvokeError, Invoked};

const INVOCATION_TYPE: HeaderName = HeaderName::from_static("x-amz-invocation-type");
const LOG_TYPE: HeaderName = HeaderName::from_static("x-amz-log-type");
const CLIENT_CONTEXT: HeaderName = HeaderName::from_static("x-amz-client-context");
/// What `cargo lambda invoke` sends instead, unencoded.
const LOCAL_CLIENT_CONTEXT: HeaderName = HeaderName::from_static("lambda-runtime-client-context");

/// How long a function's last lines may take from its pipe to the log, when the caller wants to see them.
const LOG_DELAY: Duration = Duration::from_millis(50);

/// Answers one request, and names the exception if it is one.
pub(crate) async fn answer(
    functions: &Functions,
    reference: &str,
    headers: &HeaderMap,
    body: Body,
) -> (Response<Body>, Option<String>) {
    let refuse = |refused: &InvokeError| (refusal(refused), Some(refused.code().to_owned()));
    let payload = match receive(body).await {
        Ok(payload) => payload,
        Err(Unreceived::TooLarge(bytes)) => return refuse(&InvokeError::TooLarge(bytes)),
        Err(Unreceived::CutOff) => {
            return refuse(&InvokeError::NotJson("it was cut off".to_owned()));
        }
    };
    match text(headers, &INVOCATION_TYPE) {
        Some("Event") => match functions.invoke_asynchronously(reference, payload) {
            Ok(()) => (plain(StatusCode::ACCEPTED, Body::empty()), None),
            Err(refused) => refuse(&refused),
        },
        Some("DryRun") if functions.knows(reference) => {
            (plain(StatusCode::NO_CONTENT, Body::empty()), None)
        }
        Some("DryRun") => refuse(&InvokeError::NotFound(reference.to_owned())),
        _ => match functions
            .invoke_with_context(reference, payload, client_context(headers))
            .await
        {
            Ok(invoked) => {
                let error = invoked.function_error.clone();
                (
                    invoked_response(functions, reference, headers, invoked).await,
                    error,
                )
            }
            Err(refused) => refuse(&refused),
        },
    }
}

async fn invoked_response(
    functions: &Functions,
    reference: &str,
    headers: &HeaderMap,
    invoked: Invoked,
) -> Response<Body> {
    // `cargo lambda invoke` signs nothing and takes every 200 for success; its own server answers 500 to a function's
    // error. AWS refuses what is not signed, so that whoever does not sign can only be such a tool.
    let signed = headers.contains_key(header::AUTHORIZATION);
    let failed = invoked.function_error.is_some();
    let status = if failed && !signed {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    };
    let mut response = plain(status, Body::from(invoked.payload));
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set("content-type", "application/json");
    set("x-amzn-requestid", &invoked.request_id);
    set("x-amz-executed-version", "$LATEST");
    if let Some(error) = &invoked.function_error {
        set("x-amz-function-error", error);
    }
    if text(headers, &LOG_TYPE) == Some("Tail") {
        tokio::time::sleep(LOG_DELAY).await;
        set(
            "x-amz-log-result",
            &BASE64_STANDARD.encode(functions.log_tail(name_of(reference), &invoked.stream)),
        );
    }
    response
}

fn refusal(refused: &InvokeError) -> Response<Body> {
    let status = match refused {
        InvokeError::NotFound(_) => StatusCode::NOT_FOUND,
        InvokeError::Throttled => StatusCode::TOO_MANY_REQUESTS,
        InvokeError::NotJson(_) => StatusCode::BAD_REQUEST,
        InvokeError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        InvokeError::Unavailable(_) => StatusCode::BAD_GATEWAY,
    };
    let kind = if status.is_server_error() {
        "Service"
    } else {
        "User"
    };
    // `errorType` and `errorMessage` are what `cargo lambda invoke` reads, the others are AWS's.
    let document = json!({
        "Type": kind, "Message": refused.to_string(), "errorType": refused.code(), "errorMessage": refused.to_string(),
    });
    let mut response = plain(status, Body::from(document.to_string()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert("x-amzn-errortype", HeaderValue::from_static(refused.code()));
    response
}

fn plain(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn client_context(headers: &HeaderMap) -> Option<String> {
    let encoded =
        text(headers, &CLIENT_CONTEXT).and_then(|value| BASE64_STANDARD.decode(value).ok());
    let decoded = encoded.and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.or_else(|| text(headers, &LOCAL_CLIENT_CONTEXT).map(str::to_owned))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
