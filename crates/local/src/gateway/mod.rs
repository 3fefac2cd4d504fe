//! The AWS API on one port of loopback: what `AWS_ENDPOINT_URL` names.
//!
//! Secrets Manager, Lambda's Invoke API and `FilterLogEvents` are answered here; everything else is handed on to moto.
//! Every call is recorded by name, so that a test can count what a program costs. `/_local/` is the stack's own.

mod forward;
mod local_api;
mod record;
mod refusal;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode};
use axum::routing::any;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::aws_json::{self, ApiError};
use crate::clock::now;
use crate::lambda::{Functions, invoke_api};
use crate::secrets_manager::SecretsManager;
use crate::stop::{Onward, Stop, Stops};
use crate::{Error, background, logs};
pub(crate) use forward::{answers, client};
pub use record::Call;
use record::Record;
pub use refusal::Refusal;
use refusal::Refusals;

/// Secrets hold 64 KB and log requests less.
const JSON_LIMIT: usize = 1024 * 1024;

/// A running gateway; it stops when dropped.
pub struct Gateway {
    address: SocketAddr,
    services: Arc<Services>,
    server: AbortHandle,
}

struct Services {
    secrets_manager: SecretsManager,
    functions: Functions,
    function_directory: PathBuf,
    moto: SocketAddr,
    record: Record,
    stops: Stops<Moment>,
    refusals: Refusals,
}

/// When a call of an operation of Secrets Manager stands still.
#[derive(Debug, PartialEq, Eq)]
enum Moment {
    Before(String),
    After(String),
}

impl Gateway {
    /// Starts it on a free port of 127.0.0.1.
    pub(crate) async fn start(
        secrets_manager: SecretsManager,
        functions: Functions,
        function_directory: PathBuf,
        moto: SocketAddr,
        calls_file: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let record = Record::new(calls_file);
        let services = Arc::new(Services {
            secrets_manager,
            functions,
            function_directory,
            moto,
            record,
            stops: Stops::default(),
            refusals: Refusals::default(),
        });
        let (address, server) = serve(
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            Arc::clone(&services),
        )
        .await
        .map_err(Error::io("open the gateway's port"))?;
        Ok(Self {
            address,
            services,
            server,
        })
    }

    /// Listens at another address too; it stops with the process.
    pub(crate) async fn also_at(&self, address: SocketAddr) -> std::io::Result<()> {
        serve(address, Arc::clone(&self.services)).await.map(drop)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `AWS_ENDPOINT_URL` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call so far, in order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.services.record.calls()
    }

    /// How often an operation was called, such as `SecretsManager` and `GetSecretValue`, or `S3` and `PutObject`.
    pub fn count(&self, service: &str, operation: &str) -> usize {
        self.calls()
            .iter()
            .filter(|call| call.service == service && call.operation == operation)
            .count()
    }

    /// Makes the next call of an operation of Secrets Manager stand still before it has any effect.
    pub fn stop_before(&self, operation: &str) -> Stop {
        let moment = Moment::Before(operation.to_owned());
        self.services.stops.plan(moment, 1)
    }

    /// As [`Gateway::stop_before`], when it has had its effect and before it is answered.
    pub fn stop_after(&self, operation: &str) -> Stop {
        let moment = Moment::After(operation.to_owned());
        self.services.stops.plan(moment, 1)
    }

    /// Refuses every call of an operation of S3 from now on, before it has any effect; with `None`, none any more.
    pub fn refuse(&self, operation: &str, refusal: Option<Refusal>) {
        self.services.refusals.set(operation, refusal);
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.services.record.clear();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

async fn serve(
    address: SocketAddr,
    services: Arc<Services>,
) -> std::io::Result<(SocketAddr, AbortHandle)> {
    background::run(async move {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .nest("/_local", local_api::router())
            .fallback(any(route))
            .with_state(services);
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok((address, server))
    })
    .await
}

async fn route(State(services): State<Arc<Services>>, request: Request<Body>) -> Response<Body> {
    let (started, clock) = (now(), Instant::now());
    let access_key = forward::access_key(request.headers());
    let folder = folder(request.uri().path());
    let Answer {
        service,
        operation,
        response,
        error,
    } = services.answer(request).await;
    services.record.add(Call {
        access_key,
        folder: folder.filter(|_| service == "S3"),
        service,
        operation,
        status: response.status().as_u16(),
        error,
        started,
        elapsed: clock.elapsed(),
    });
    response
}

/// A response, and what is to be recorded of it.
struct Answer {
    service: String,
    operation: String,
    response: Response<Body>,
    error: Option<String>,
}

impl Services {
    async fn answer(&self, request: Request<Body>) -> Answer {
        let target = request
            .headers()
            .get("x-amz-target")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if let Some(operation) = target.strip_prefix("secretsmanager.").map(str::to_owned) {
            return self.answer_json("SecretsManager", operation, request).await;
        }
        if let Some(operation) = target.strip_prefix("Logs_20140328.").map(str::to_owned) {
            return self.answer_json("Logs", operation, request).await;
        }
        match invoked_function(request.method(), request.uri().path()) {
            Some(reference) => {
                let (parts, body) = request.into_parts();
                let (response, error) =
                    invoke_api::answer(&self.functions, &reference, &parts.headers, body).await;
                Answer {
                    service: "Lambda".to_owned(),
                    operation: "Invoke".to_owned(),
                    response,
                    error,
                }
            }
            None => forward::answer(self.moto, &self.refusals, request).await,
        }
    }

    async fn answer_json(
        &self,
        service: &str,
        operation: String,
        request: Request<Body>,
    ) -> Answer {
        let answer = match to_bytes(request.into_body(), JSON_LIMIT).await {
            Ok(body) if service == "Logs" => logs::answer(&self.functions, &operation, &body),
            Ok(body) => self.answer_secrets(&operation, &body).await,
            Err(_) => Err(ApiError::invalid_parameter(
                "the request is too large or was cut off",
            )),
        };
        let error = answer.as_ref().err().map(|refused| refused.code.clone());
        Answer {
            service: service.to_owned(),
            operation,
            response: aws_json::respond(&answer),
            error,
        }
    }
}

impl Services {
    async fn answer_secrets(&self, operation: &str, body: &[u8]) -> Result<Value, ApiError> {
        let lost = || ApiError::new("ServiceUnavailableException", "the call was cut off");
        if self.stands(Moment::Before(operation.to_owned())).await == Onward::Cut {
            return Err(lost());
        }
        let answer = self.secrets_manager.answer(operation, body);
        if self.stands(Moment::After(operation.to_owned())).await == Onward::Cut {
            return Err(lost());
        }
        answer
    }

    async fn stands(&self, moment: Moment) -> Onward {
        match self.stops.come(&moment) {
            Some(here) => here.stand().await,
            None => Onward::Pass,
        }
    }
}

/// The first folder of the object's key in a path of S3, behind the bucket.
fn folder(path: &str) -> Option<String> {
    let (_, key) = path.trim_start_matches('/').split_once('/')?;
    let (folder, _) = key.split_once('/')?;
    Some(format!("{folder}/"))
}

/// The function's name or ARN in the path of an invocation.
fn invoked_function(method: &Method, path: &str) -> Option<String> {
    let reference = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    (method == Method::POST).then(|| percent_decoded(reference))
}

/// Undoes what SDKs do to the colons of an ARN in a path.
fn percent_decoded(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        decoded.push_str(before);
        let byte = behind
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(u8::is_ascii);
        decoded.push(byte.map_or('%', char::from));
        rest = behind
            .get(if byte.is_some() { 2 } else { 0 }..)
            .unwrap_or_default();
    }
    decoded + rest
}

fn plain(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, reference: Option<&str>) {
        assert_eq!(
            invoked_function(&Method::POST, path).as_deref(),
            reference,
            "{path}"
        );
    }

    #[test]
    fn objects_are_known_by_their_first_folder() {
        let found = folder("/bucket/conversations/v1/t=a/x").expect("a folder");
        assert_eq!(found, "conversations/");
        assert_eq!(folder("/bucket/key"), None);
        assert_eq!(folder("/bucket"), None);
    }

    #[test]
    fn invocations_are_known_by_their_path() {
        check(
            "/2015-03-31/functions/conversation-capture/invocations",
            Some("conversation-capture"),
        );
        check(
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations",
            Some("arn:aws:lambda:us-east-1:000000000000:function:f"),
        );
        check("/2015-03-31/functions/f/configuration", None);
        check("/bucket/2015-03-31/functions/f/invocations", None);
    }
}
