//! `/_local/`: what a person or another process may ask of the stack itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode, header};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Services, plain};
use crate::secrets_manager::Step;

type Stack = State<Arc<Services>>;

pub(super) fn router() -> Router<Arc<Services>> {
    Router::new()
        .route("/health", get(async || "ok\n"))
        .route("/rotations", get(rotations))
        .route("/calls", get(calls).merge(delete(clear_calls)))
        .route("/pauses", put(pauses))
        .route("/functions", get(functions))
        .route("/functions/{name}/kill", post(kill))
        .route("/functions/{name}/watch", put(watch).merge(delete(unwatch)))
}

async fn rotations(State(services): Stack) -> Response<Body> {
    document(&services.secrets_manager.rotations())
}

async fn calls(State(services): Stack) -> Response<Body> {
    document(&services.record.calls())
}

async fn clear_calls(State(services): Stack) -> StatusCode {
    services.record.clear();
    StatusCode::NO_CONTENT
}

/// Takes milliseconds by step, such as `{"finishSecret": 1000}`.
async fn pauses(
    State(services): Stack,
    Json(pauses): Json<BTreeMap<String, u64>>,
) -> Response<Body> {
    let parsed: Result<Vec<(Step, u64)>, String> = pauses
        .iter()
        .map(|(step, pause)| Ok((step.parse()?, *pause)))
        .collect();
    match parsed {
        Ok(pauses) => {
            for (step, pause) in pauses {
                services
                    .secrets_manager
                    .pause_before(step, Duration::from_millis(pause));
            }
            plain(StatusCode::NO_CONTENT, Body::empty())
        }
        Err(reason) => plain(StatusCode::BAD_REQUEST, reason),
    }
}

async fn functions(State(services): Stack) -> Response<Body> {
    let functions = &services.functions;
    let all: BTreeMap<String, Value> = functions
        .names()
        .into_iter()
        .map(|name| {
            let state = json!({
                "environments": functions.environments(&name),
                "log_file": functions.log_file(&name),
                "watched_at": functions.watched_at(&name).map(|address| address.to_string()),
            });
            (name, state)
        })
        .collect();
    document(&all)
}

async fn kill(State(services): Stack, Path(name): Path<String>) -> Response<Body> {
    document(&json!({"killed": services.functions.kill(&name)}))
}

/// Takes the address of a `cargo lambda watch`, such as `{"address": "127.0.0.1:9001"}`.
async fn watch(
    State(services): Stack,
    Path(name): Path<String>,
    Json(wanted): Json<BTreeMap<String, SocketAddr>>,
) -> Response<Body> {
    match wanted.get("address") {
        Some(address) => switch(&services, &name, Some(*address)),
        None => plain(
            StatusCode::BAD_REQUEST,
            "the document must have an `address`, such as 127.0.0.1:9001",
        ),
    }
}

async fn unwatch(State(services): Stack, Path(name): Path<String>) -> Response<Body> {
    switch(&services, &name, None)
}

fn switch(services: &Services, name: &str, address: Option<SocketAddr>) -> Response<Body> {
    match services
        .functions
        .watch(name, address, services.function_directory.join(name))
    {
        Ok(()) => plain(StatusCode::NO_CONTENT, Body::empty()),
        Err(refused) => plain(StatusCode::NOT_FOUND, refused.to_string()),
    }
}

fn document(value: &impl Serialize) -> Response<Body> {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut response = plain(StatusCode::OK, text + "\n");
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}
