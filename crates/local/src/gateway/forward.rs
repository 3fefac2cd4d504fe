//! What is handed on to moto, and how its operations are named for the record.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::sync::OnceLock;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Mutex;

use super::refusal::Refusals;
use super::{Answer, plain};
use crate::error::chain;

/// A form of a Query-protocol service (RDS, STS) is small.
const FORM_LIMIT: usize = 1024 * 1024;

/// What belongs to one connection and not to the message (RFC 9110, 7.6.1); `Expect` has been answered by our side.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

/// The HTTP client of the background thread.
pub(crate) fn client() -> &'static Client<HttpConnector, Body> {
    static CLIENT: OnceLock<Client<HttpConnector, Body>> = OnceLock::new();
    // moto closes every connection after its answer: keeping one would only lose the next request to a race.
    CLIENT.get_or_init(|| {
        Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build_http()
    })
}

/// Whether an HTTP server answers a GET with success.
pub(crate) async fn answers(address: SocketAddr, path: &str) -> bool {
    let Ok(uri) = format!("http://{address}{path}").parse::<Uri>() else {
        return false;
    };
    crate::background::run(async move {
        client()
            .get(uri)
            .await
            .is_ok_and(|response| response.status().is_success())
    })
    .await
}

/// Hands a request on and brings the answer back; both bodies are streamed.
pub(super) async fn answer(
    moto: SocketAddr,
    refusals: &Refusals,
    request: Request<Body>,
) -> Answer {
    let service = service(request.headers());
    let (request, form) = peek_form(request).await;
    let operation = operation(
        &service,
        request.method(),
        request.uri(),
        request.headers(),
        &form,
    );
    if let Some(response) = refusals.answer(&service, &operation) {
        // What is left of the body has to be taken before the connection can be used again.
        let _ = to_bytes(request.into_body(), usize::MAX).await;
        return Answer {
            service,
            operation,
            response,
            error: None,
        };
    }
    let turn = match turn(&request) {
        Some(turn) => Some(turn.lock().await),
        None => None,
    };
    let response = match forwarded(moto, request) {
        Ok(request) => client()
            .request(request)
            .await
            .map(|response| response.map(Body::new))
            .map_err(|refused| chain(&refused)),
        Err(reason) => Err(reason),
    };
    drop(turn);
    let response = response.unwrap_or_else(|reason| {
        plain(
            StatusCode::BAD_GATEWAY,
            format!("moto at {moto} does not answer: {reason}"),
        )
    });
    Answer {
        service,
        operation,
        response: without_hop_headers(response),
        error: None,
    }
}

/// Lets conditional requests for one object pass one after the other.
///
/// S3 looks and writes in one step, so that of several puts with `If-None-Match: *` one succeeds (Amazon S3 User Guide,
/// "Conditional writes"). moto looks first and writes then, in a thread for each request.
fn turn(request: &Request<Body>) -> Option<&'static Mutex<()>> {
    /// Objects that share one wait for each other as well; one for all would let a stalled upload stop every other.
    static TURNS: [Mutex<()>; 64] = [const { Mutex::const_new(()) }; 64];

    let conditional = [header::IF_NONE_MATCH, header::IF_MATCH]
        .iter()
        .any(|name| request.headers().contains_key(name));
    if !conditional {
        return None;
    }
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(request.uri().path());
    let place = usize::try_from(hash % TURNS.len() as u64).ok()?;
    TURNS.get(place)
}

/// The `Host` header stays as it came: moto tells path style from it and writes it into queue URLs.
fn forwarded(moto: SocketAddr, request: Request<Body>) -> Result<Request<Body>, String> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = format!("http://{moto}{path}")
        .parse::<Uri>()
        .map_err(|wrong| wrong.to_string())?;
    for name in HOP_BY_HOP {
        parts.headers.remove(name);
    }
    Ok(Request::from_parts(parts, body))
}

fn without_hop_headers(mut response: Response<Body>) -> Response<Body> {
    for name in HOP_BY_HOP {
        response.headers_mut().remove(name);
    }
    response
}

/// The body of a form, which names the operation of a Query-protocol service.
async fn peek_form(request: Request<Body>) -> (Request<Body>, String) {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded")) {
        return (request, String::new());
    }
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, FORM_LIMIT).await.unwrap_or_default();
    let form = String::from_utf8_lossy(&bytes).into_owned();
    (Request::from_parts(parts, Body::from(bytes)), form)
}

/// The access key that signed a request.
pub(super) fn access_key(headers: &HeaderMap) -> String {
    let key = credential(headers).split('/').next();
    key.unwrap_or_default().to_owned()
}

/// Access key and scope of the signature.
fn credential(headers: &HeaderMap) -> &str {
    let signature = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    signature
        .split_once("Credential=")
        .and_then(|(_, credential)| credential.split(',').next())
        .unwrap_or_default()
}

/// The service in the scope of the signature, as its own documents spell it.
fn service(headers: &HeaderMap) -> String {
    match credential(headers).rsplit('/').nth(1).unwrap_or_default() {
        "s3" => "S3".to_owned(),
        "sqs" => "SQS".to_owned(),
        "rds" => "RDS".to_owned(),
        "sts" => "STS".to_owned(),
        "" => "unsigned".to_owned(),
        other => other.to_owned(),
    }
}

fn operation(service: &str, method: &Method, uri: &Uri, headers: &HeaderMap, form: &str) -> String {
    let target = headers
        .get("x-amz-target")
        .and_then(|value| value.to_str().ok());
    if let Some((_, operation)) = target.and_then(|target| target.rsplit_once('.')) {
        return operation.to_owned();
    }
    if let Some(action) = parameter(form, "Action") {
        return action.to_owned();
    }
    if service == "S3" {
        s3_operation(method, uri)
    } else {
        format!("{method} {}", uri.path())
    }
}

/// S3 does not name its operations on the wire; newer SDKs do, by `x-id`.
fn s3_operation(method: &Method, uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default();
    if let Some(id) = parameter(query, "x-id") {
        return id.to_owned();
    }
    let object = uri
        .path()
        .trim_start_matches('/')
        .split_once('/')
        .is_some_and(|(_, key)| !key.is_empty());
    let has = |name: &str| parameter(query, name).is_some();
    match (method.as_str(), object) {
        ("PUT", true) if has("partNumber") => "UploadPart",
        ("PUT", true) => "PutObject",
        ("PUT", false) if query.is_empty() => "CreateBucket",
        ("PUT", false) if has("versioning") => "PutBucketVersioning",
        ("GET", true) => "GetObject",
        ("GET", false) if has("list-type") => "ListObjectsV2",
        ("GET", false) if has("versions") => "ListObjectVersions",
        ("GET", false) if uri.path() == "/" => "ListBuckets",
        ("HEAD", true) => "HeadObject",
        ("HEAD", false) => "HeadBucket",
        ("DELETE", true) => "DeleteObject",
        ("DELETE", false) => "DeleteBucket",
        ("POST", false) if has("delete") => "DeleteObjects",
        _ => return format!("{method} {}", uri.query().map_or("", |query| query)),
    }
    .to_owned()
}

fn parameter<'a>(form: &'a str, name: &str) -> Option<&'a str> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, uri: &'static str, operation: &str) {
        assert_eq!(
            s3_operation(method, &Uri::from_static(uri)),
            operation,
            "{method} {uri}"
        );
    }

    #[test]
    fn operations_of_s3_are_told_apart() {
        check(&Method::PUT, "/bucket/a/key?x-id=PutObject", "PutObject");
        check(&Method::PUT, "/bucket/a/key", "PutObject");
        check(&Method::PUT, "/bucket", "CreateBucket");
        check(&Method::HEAD, "/bucket/a/key", "HeadObject");
        check(
            &Method::GET,
            "/bucket/?list-type=2&prefix=a",
            "ListObjectsV2",
        );
        check(&Method::GET, "/bucket?location", "GET location");
    }

    #[test]
    fn conditional_requests_for_one_object_take_turns() {
        let request = |path: &str, condition: Option<HeaderName>| {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = path.parse().expect("a path");
            if let Some(name) = condition {
                let any = header::HeaderValue::from_static("*");
                request.headers_mut().insert(name, any);
            }
            turn(&request)
        };
        let put = |path: &str| request(path, Some(header::IF_NONE_MATCH)).expect("a turn");
        assert!(std::ptr::eq(put("/b/key"), put("/b/key?x-id=PutObject")));
        assert!((0..10).any(|other| !std::ptr::eq(put("/b/key"), put(&format!("/b/{other}")))));
        assert!(request("/b/key", Some(header::IF_MATCH)).is_some());
        assert!(request("/b/key", None).is_none());
    }

    #[test]
    fn the_service_is_in_the_signature() {
        let mut headers = HeaderMap::new();
        let signature = "AWS4-HMAC-SHA256 Credential=local/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(header::AUTHORIZATION, signature.parse().expect("a header"));
        assert_eq!(service(&headers), "S3");
        assert_eq!(access_key(&headers), "local");
        assert_eq!(service(&HeaderMap::new()), "unsigned");
        assert_eq!(access_key(&HeaderMap::new()), "");
    }
}
