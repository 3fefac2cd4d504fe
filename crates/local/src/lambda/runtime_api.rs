//! The Lambda Runtime API, as one environment sees it: `next`, `response`, `error` and `init/error`.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use http_body_util::BodyExt;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::invocation::{Unreceived, receive, response_too_large};
use crate::clock::epoch_millis;

/// What the function's runtime asks for or says.
pub(super) enum Message {
    /// It waits for work.
    Next(oneshot::Sender<Delivery>),
    /// It has answered an invocation: with a result, or with an error document.
    Done {
        request_id: String,
        result: Result<Bytes, Bytes>,
        accepted: oneshot::Sender<bool>,
    },
    /// It cannot start.
    InitError(Bytes),
}

/// An invocation as it goes over the wire.
pub(super) struct Delivery {
    pub(super) request_id: String,
    pub(super) payload: Bytes,
    pub(super) client_context: Option<String>,
    pub(super) function_arn: String,
    pub(super) deadline: OffsetDateTime,
}

/// A Runtime API for one environment, on a port of its own: `AWS_LAMBDA_RUNTIME_API` is `host:port` and nothing more.
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    server: AbortHandle,
}

type Sender = State<mpsc::UnboundedSender<Message>>;

impl RuntimeApi {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, messages) = mpsc::unbounded_channel();
        let base = "/2018-06-01/runtime";
        let router = Router::new()
            .route(&format!("{base}/invocation/next"), get(next))
            .route(
                &format!("{base}/invocation/{{request_id}}/response"),
                post(response),
            )
            .route(
                &format!("{base}/invocation/{{request_id}}/error"),
                post(error),
            )
            .route(&format!("{base}/init/error"), post(init_error))
            .with_state(sender);
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self {
            address,
            messages,
            server,
        })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(messages): Sender) -> Result<Response<Body>, StatusCode> {
    let (reply, delivery) = oneshot::channel();
    messages
        .send(Message::Next(reply))
        .map_err(|_| StatusCode::GONE)?;
    let delivery = delivery.await.map_err(|_| StatusCode::GONE)?;
    let deadline = epoch_millis(delivery.deadline);
    let trace = format!(
        "Root=1-{:08x}-{};Sampled=0",
        deadline / 1000,
        delivery
            .request_id
            .replace('-', "")
            .get(..24)
            .unwrap_or_default()
    );
    let mut response = Response::new(Body::from(delivery.payload));
    let mut header = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    };
    header("content-type", "application/json");
    header("lambda-runtime-aws-request-id", &delivery.request_id);
    header("lambda-runtime-deadline-ms", &deadline.to_string());
    header(
        "lambda-runtime-invoked-function-arn",
        &delivery.function_arn,
    );
    header("lambda-runtime-trace-id", &trace);
    if let Some(context) = &delivery.client_context {
        header("lambda-runtime-client-context", context);
    }
    Ok(response)
}

async fn response(
    State(messages): Sender,
    Path(request_id): Path<String>,
    body: Body,
) -> StatusCode {
    let (result, status) = match receive(body).await {
        Ok(payload) => (Ok(payload), StatusCode::ACCEPTED),
        Err(Unreceived::TooLarge(_)) => (Err(response_too_large()), StatusCode::PAYLOAD_TOO_LARGE),
        // The process died while it spoke; its end is noticed elsewhere.
        Err(Unreceived::CutOff) => return StatusCode::BAD_REQUEST,
    };
    done(&messages, request_id, result, status).await
}

async fn error(State(messages): Sender, Path(request_id): Path<String>, body: Body) -> StatusCode {
    match body.collect().await {
        Ok(document) => {
            done(
                &messages,
                request_id,
                Err(document.to_bytes()),
                StatusCode::ACCEPTED,
            )
            .await
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}

async fn init_error(State(messages): Sender, body: Body) -> StatusCode {
    let Ok(document) = body.collect().await else {
        return StatusCode::BAD_REQUEST;
    };
    match messages.send(Message::InitError(document.to_bytes())) {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::GONE,
    }
}

async fn done(
    messages: &mpsc::UnboundedSender<Message>,
    request_id: String,
    result: Result<Bytes, Bytes>,
    status: StatusCode,
) -> StatusCode {
    let (accepted, answer) = oneshot::channel();
    if messages
        .send(Message::Done {
            request_id,
            result,
            accepted,
        })
        .is_err()
    {
        return StatusCode::GONE;
    }
    // AWS answers 400 to a request id that is not under way.
    if answer.await.unwrap_or(false) {
        status
    } else {
        StatusCode::BAD_REQUEST
    }
}
