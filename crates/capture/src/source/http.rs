//! HTTP requests: of a function URL, of an HTTP API and of a REST API.
//!
//! Who sends a request is what its authorizer says, and never what its body says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use conversation::{Caller, Delivery, Raw, Source};

use super::{Answer, Content, Record, Records, string};
use crate::unpack::{UnpackError, unpack};

/// What stands between this function and whoever may reach it by HTTP, as an operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Whether a request that no authorizer has let in is taken at its word (`HTTP_AUTHORIZER=none`).
    pub is_open: bool,
    /// Where in `requestContext` the user stands (`HTTP_USER`); `None` for the places that authorizers of AWS use.
    pub user: Option<String>,
    /// Where in `requestContext` the tenant stands (`HTTP_TENANT`); `None` if there is one tenant only.
    pub tenant: Option<String>,
}

/// Where the authorizers of AWS put the user: JWT, a Cognito identity and IAM of an HTTP API or a function URL; Cognito, a
/// function of one's own, a Cognito identity and IAM of a REST API.
const USER: [&str; 7] = [
    "authorizer.jwt.claims.sub",
    "authorizer.iam.cognitoIdentity.identityId",
    "authorizer.iam.userArn",
    "authorizer.claims.sub",
    "authorizer.principalId",
    "identity.cognitoIdentityId",
    "identity.userArn",
];

/// A request that cannot be what it is meant to be; nothing of it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Send the event by POST.
    #[error("an event is sent by POST")]
    Method,
    /// Send JSON.
    #[error("the content type is not JSON, accepted: `application/json`, `application/x-ndjson`")]
    ContentType,
    /// Send a body.
    #[error("there is no body, or it is not the Base64 that the request calls it")]
    Body,
    /// Repair the compressed body.
    #[error("the body cannot be unpacked")]
    Packed(#[source] UnpackError),
    /// Log in; or, as the operator, put an authorizer before the function.
    #[error("no authorizer says who sends the request")]
    NoUser,
    /// As the operator, let the authorizer name the tenant.
    #[error("the authorizer does not say to which tenant the user belongs")]
    NoTenant,
    /// Send the event in the name of the own tenant.
    #[error("the event belongs to another tenant than its sender")]
    OtherTenant,
}

/// The request as the one record that it is. What is wrong with it is told in its answer.
pub(super) fn records(request: &Raw<'_>, http: &Http) -> Records {
    let content = match read(request, http) {
        Ok((body, caller)) => Content::Request(body, caller),
        Err(error) => Content::Refused(error),
    };
    Records {
        word: Source::Http.as_str(),
        answer: Answer::Request,
        all: vec![Record {
            id: None,
            group: None,
            delivery: delivery(request),
            content,
        }],
    }
}

type Body = Vec<u8>;

fn read(request: &Raw<'_>, http: &Http) -> Result<(Body, Option<Caller>), RequestError> {
    let context = request.get("requestContext");
    let method = string(request, "httpMethod")
        .or_else(|| string(context?.get("http")?, "method"))
        .unwrap_or_default();
    if method != "POST" {
        return Err(RequestError::Method);
    }
    let caller = caller(context, http)?;
    if header(request, "content-type").is_some_and(|given| !is_json(&given)) {
        return Err(RequestError::ContentType);
    }
    let body = string(request, "body").filter(|body| !body.is_empty());
    let body = body.ok_or(RequestError::Body)?;
    let body = if request.get("isBase64Encoded").map(Raw::text) == Some("true") {
        BASE64.decode(body).map_err(|_| RequestError::Body)?
    } else {
        body.into_bytes()
    };
    let body = unpack(body).map_err(RequestError::Packed)?;
    Ok((body, caller))
}

/// Who sends the request; nobody in particular, if the operator takes requests at their word.
fn caller(context: Option<&Raw<'_>>, http: &Http) -> Result<Option<Caller>, RequestError> {
    let at = |path: &str| context.and_then(|context| text_at(context, path));
    let user = match &http.user {
        Some(path) => at(path),
        None => USER.into_iter().find_map(at),
    };
    let Some(user) = user else {
        return if http.is_open {
            Ok(None)
        } else {
            Err(RequestError::NoUser)
        };
    };
    let tenant = match &http.tenant {
        Some(path) => Some(at(path).ok_or(RequestError::NoTenant)?),
        None => None,
    };
    Ok(Some(Caller::new(tenant.as_deref(), without_session(&user))))
}

/// The text at a path of names and points. A name may have points in it, as a claim that is a URL has.
fn text_at(object: &Raw<'_>, path: &str) -> Option<String> {
    if let Some(text) = string(object, path).filter(|text| !text.is_empty()) {
        return Some(text);
    }
    path.match_indices('.').find_map(|(point, _)| {
        let (name, rest) = (path.get(..point)?, path.get(point + 1..)?);
        text_at(object.get(name)?, rest)
    })
}

/// A role without the name of its session, which is another one after every start of a service.
fn without_session(user: &str) -> &str {
    match user.split_once(":assumed-role/") {
        Some((account, role)) if account.starts_with("arn:") => {
            let session = role
                .split_once('/')
                .map_or(0, |(_, session)| session.len() + 1);
            user.get(..user.len() - session).unwrap_or(user)
        }
        _ => user,
    }
}

/// The id is the sender's own key, which is the same for every try; else that of the request, which is not. A sender's key
/// goes without the time, which is another one for every try.
fn delivery(request: &Raw<'_>) -> Delivery {
    let context = request.get("requestContext");
    let own = header(request, "idempotency-key").filter(|key| !key.is_empty());
    let time = context.and_then(|context| {
        let epoch = context
            .get("timeEpoch")
            .or_else(|| context.get("requestTimeEpoch"));
        epoch.map(Raw::text)
    });
    match own {
        Some(key) => Delivery::request(Some(&key), None),
        None => Delivery::request(
            context
                .and_then(|context| string(context, "requestId"))
                .as_deref(),
            time,
        ),
    }
}

fn header(request: &Raw<'_>, name: &str) -> Option<String> {
    let headers = request.get("headers")?.entries()?;
    let (_, value) = headers
        .iter()
        .find(|(given, _)| given.eq_ignore_ascii_case(name))?;
    value.string()
}

fn is_json(content_type: &str) -> bool {
    const ACCEPTED: [&str; 4] = [
        "application/json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
    ];
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    ACCEPTED.contains(&essence.as_str()) || essence.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(context: &str, rest: &str) -> String {
        format!(
            r#"{{"version":"2.0","requestContext":{{"requestId":"r-1","timeEpoch":1763892000123,"http":{{"method":"POST"}}{context}}}{rest}}}"#
        )
    }

    fn read_with(payload: &str, http: &Http) -> Result<(Body, Option<Caller>), RequestError> {
        read(&Raw::read(payload).unwrap(), http)
    }

    const BODY: &str = r#","body":"{}""#;
    const JWT: &str =
        r#","authorizer":{"jwt":{"claims":{"sub":"u-1","https://x.example/tenant":"t-1"}}}"#;

    #[track_caller]
    fn check_caller(context: &str, http: &Http, expected: Option<(Option<&str>, &str)>) {
        let expected = expected.map(|(tenant, user)| Caller::new(tenant, user));
        let read = read_with(&request(context, BODY), http);
        assert_eq!(read, Ok((b"{}".to_vec(), expected)), "{context}");
    }

    #[track_caller]
    fn check_refused(payload: &str, expected: RequestError) {
        assert_eq!(
            read_with(payload, &Http::default()),
            Err(expected),
            "{payload}"
        );
    }

    #[test]
    fn the_authorizer_says_who_sends_a_request() {
        let http = Http::default();
        check_caller(JWT, &http, Some((None, "u-1")));
        let iam =
            r#","authorizer":{"iam":{"userArn":"arn:aws:iam::0:user/a","cognitoIdentity":null}}"#;
        check_caller(iam, &http, Some((None, "arn:aws:iam::0:user/a")));
        let role = r#","authorizer":{"iam":{"userArn":"arn:aws:sts::0:assumed-role/web/i-0abc"}}"#;
        check_caller(role, &http, Some((None, "arn:aws:sts::0:assumed-role/web")));
        let cognito = r#","authorizer":{"iam":{"userArn":"arn:x","cognitoIdentity":{"identityId":"us-east-1:1"}}}"#;
        check_caller(cognito, &http, Some((None, "us-east-1:1")));
        check_caller(
            r#","authorizer":{"claims":{"sub":"u-2"}}"#,
            &http,
            Some((None, "u-2")),
        );
        check_caller(
            r#","authorizer":{"principalId":"u-3"}"#,
            &http,
            Some((None, "u-3")),
        );
        check_caller(
            r#","identity":{"userArn":"arn:aws:iam::0:user/b"}"#,
            &http,
            Some((None, "arn:aws:iam::0:user/b")),
        );
    }

    #[test]
    fn an_operator_says_where_user_and_tenant_stand() {
        let http = Http {
            is_open: false,
            user: Some("authorizer.lambda.person".to_owned()),
            tenant: Some("authorizer.lambda.https://x.example/tenant".to_owned()),
        };
        let lambda =
            r#","authorizer":{"lambda":{"person":"u-1","https://x.example/tenant":"t-1"}}"#;
        check_caller(lambda, &http, Some((Some("t-1"), "u-1")));
        let nobody = read_with(&request(JWT, BODY), &http);
        assert_eq!(
            nobody,
            Err(RequestError::NoUser),
            "another place is not looked at"
        );
        let without = request(r#","authorizer":{"lambda":{"person":"u-1"}}"#, BODY);
        assert_eq!(read_with(&without, &http), Err(RequestError::NoTenant));
    }

    #[test]
    fn a_request_without_an_authorizer_is_refused_unless_the_operator_says_so() {
        check_refused(&request("", BODY), RequestError::NoUser);
        check_refused(
            &request(r#","authorizer":{"principalId":""}"#, BODY),
            RequestError::NoUser,
        );
        let open = Http {
            is_open: true,
            ..Http::default()
        };
        check_caller("", &open, None);
        check_caller(JWT, &open, Some((None, "u-1")));
    }

    #[test]
    fn a_request_is_a_post_of_json() {
        let get = r#"{"httpMethod":"GET","requestContext":{"authorizer":{"principalId":"u"}},"body":"{}"}"#;
        check_refused(get, RequestError::Method);
        let form = r#","headers":{"Content-Type":"application/x-www-form-urlencoded"},"body":"{}""#;
        check_refused(&request(JWT, form), RequestError::ContentType);
        for body in [
            "",
            r#","body":null"#,
            r#","body":"""#,
            r#","body":"%","isBase64Encoded":true"#,
        ] {
            check_refused(&request(JWT, body), RequestError::Body);
        }
        for accepted in [
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/cloudevents+json",
            "application/x-ndjson",
        ] {
            let rest = format!(
                r#","headers":{{"content-type":"{accepted}"}},"body":"e30=","isBase64Encoded":true"#
            );
            assert!(
                read_with(&request(JWT, &rest), &Http::default()).is_ok(),
                "{accepted}"
            );
        }
    }

    #[test]
    fn a_compressed_body_is_unpacked() {
        let body = |bytes: &[u8]| {
            let body = BASE64.encode(bytes);
            request(JWT, &format!(r#","body":"{body}","isBase64Encoded":true"#))
        };
        let packed = crate::unpack::tests::gzip(b"{}");
        assert_eq!(
            read_with(&body(&packed), &Http::default()).unwrap().0,
            b"{}"
        );
        check_refused(
            &body(&packed[..9]),
            RequestError::Packed(UnpackError::Broken),
        );
    }

    #[test]
    fn a_senders_own_key_names_the_delivery() {
        let own = request("", r#","headers":{"Idempotency-Key":"k-1"}"#);
        let own = delivery(&Raw::read(&own).unwrap());
        assert_eq!((own.id.as_deref(), own.time), (Some("k-1"), None));
        let given = delivery(&Raw::read(&request("", "")).unwrap());
        assert_eq!(given.id.as_deref(), Some("r-1"));
        assert!(given.time.is_some());
        let rest = r#"{"httpMethod":"POST","requestContext":{"requestId":"r-2","requestTimeEpoch":1763892000123}}"#;
        let rest = delivery(&Raw::read(rest).unwrap());
        assert!(rest.id.as_deref() == Some("r-2") && rest.time.is_some());
    }
}
