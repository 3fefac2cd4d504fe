//! `watch`: which program a function of the stack of `up` runs.

use std::net::SocketAddr;
use std::process::ExitCode;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::json;

use super::progress;
use super::supervisor::State;
use crate::error::chain;
use crate::{Checkout, Error, background, gateway};

pub(super) async fn watch(
    checkout: &Checkout,
    function: &str,
    address: Option<SocketAddr>,
) -> Result<ExitCode, Error> {
    let Some(state) = State::read(checkout) else {
        return Err(Error::Missing {
            what: "no stack is running in this checkout".to_owned(),
            remedy: "`turnkeep-local up` starts one".to_owned(),
        });
    };
    let refused = |reason: String| Error::Api {
        doing: format!("switch the function {function}"),
        reason,
    };
    let (method, body) = match address {
        Some(address) => (Method::PUT, json!({"address": address}).to_string()),
        None => (Method::DELETE, String::new()),
    };
    let request = Request::builder()
        .method(method)
        .uri(format!(
            "{}/_local/functions/{function}/watch",
            state.endpoint
        ))
        .header("content-type", "application/json")
        .body(Body::from(body))
        .map_err(|wrong| refused(wrong.to_string()))?;
    let exchange = async move {
        let response = gateway::client()
            .request(request)
            .await
            .map_err(|refused| chain(&refused))?;
        let accepted = response.status().is_success();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|refused| chain(&refused))?
            .to_bytes();
        if accepted {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&body).into_owned())
        }
    };
    background::run(exchange).await.map_err(refused)?;
    match address {
        Some(address) => progress(&format!(
            "{function} is handed on to `cargo lambda watch` at {address}"
        )),
        None => progress(&format!("{function} runs its release binary")),
    }
    Ok(ExitCode::SUCCESS)
}
