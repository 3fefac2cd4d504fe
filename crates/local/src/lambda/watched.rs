//! Functions that run in `cargo lambda watch`: invocations are handed on to it.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use uuid::Uuid;

use super::invocation::{InvokeError, Invoked, timed_out};
use crate::error::chain;
use crate::gateway;

/// It compiles the function inside the first invocation.
const COMPILATION: Duration = Duration::from_mins(10);

/// Invokes a function there. Its server answers a function's error with status 500, where AWS answers 200 and a header.
pub(super) async fn invoke(
    address: SocketAddr,
    name: String,
    payload: Bytes,
    timeout: Duration,
) -> Result<Invoked, InvokeError> {
    let unavailable = |why: String| {
        InvokeError::Unavailable(format!(
            "no answer of `cargo lambda watch` at {address}: {why}"
        ))
    };
    let request_id = Uuid::new_v4().to_string();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!(
            "http://{address}/2015-03-31/functions/{name}/invocations"
        ))
        .header("content-type", "application/json")
        .body(Body::from(payload))
        .map_err(|refused| unavailable(chain(&refused)))?;
    let exchange = async {
        let response = gateway::client()
            .request(request)
            .await
            .map_err(|refused| unavailable(chain(&refused)))?;
        let status = response.status();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|refused| unavailable(chain(&refused)))?;
        Ok((status, body.to_bytes()))
    };
    let stream = format!("cargo-lambda-watch/{address}");
    let answered = |payload: Bytes, function_error: Option<String>| Invoked {
        payload,
        function_error,
        request_id: request_id.clone(),
        stream,
        cold_start: false,
    };
    match tokio::time::timeout(timeout + COMPILATION, exchange).await {
        Err(_) => Ok(answered(
            timed_out(&request_id, timeout + COMPILATION),
            Some("Unhandled".to_owned()),
        )),
        Ok(Err(refused)) => Err(refused),
        Ok(Ok((StatusCode::OK, payload))) => Ok(answered(payload, None)),
        Ok(Ok((_, payload))) => Ok(answered(payload, Some("Unhandled".to_owned()))),
    }
}
