//! What the function asks of Secrets Manager, to the letter: the stack's own record has names only.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::names::Names;

type Heard = Arc<Mutex<Vec<(String, Value)>>>;

/// A listener between the function and the stack's API.
pub struct Wire {
    /// Where the function is to call.
    pub endpoint: String,
    heard: Heard,
    server: JoinHandle<()>,
}

impl Wire {
    /// Hands everything on to `gateway`.
    pub async fn start(gateway: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard::default();
        let kept = Arc::clone(&heard);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, gateway, Arc::clone(&kept)));
            }
        });
        Self {
            endpoint,
            heard,
            server,
        }
    }

    /// The operations and their parameters since the last time, in order.
    pub fn take(&self) -> Vec<(String, Value)> {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// moto loads a service when that is first called, which may take longer than a function waits for RDS.
pub async fn wake_rds(gateway: SocketAddr) {
    let form = "Action=DescribeDBClusters&Version=2014-10-31";
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/rds/aws4_request, Signature=0\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    let mut connection = TcpStream::connect(gateway).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A call in words, without what is the same in each of them.
pub fn words(operation: &str, parameters: Value, names: &Names) -> String {
    let mut parameters = match parameters {
        Value::Object(parameters) => parameters,
        _ => Map::new(),
    };
    // The value is compared where it ends up.
    parameters.remove("SecretString");
    if operation == "GetRandomPassword" {
        // The API's own defaults.
        parameters.retain(|name, value| {
            let default = match name.as_str() {
                "PasswordLength" => json!(32),
                "RequireEachIncludedType" => json!(true),
                _ => json!(false),
            };
            *value != default
        });
    }
    if parameters.get("SecretId").and_then(Value::as_str) == Some(&names.get("arn")) {
        parameters.remove("SecretId");
    }
    if parameters.is_empty() {
        return operation.to_owned();
    }
    names.blank(&format!("{operation} {}", Value::from(parameters)))
}

async fn relay(client: TcpStream, gateway: SocketAddr, heard: Heard) {
    let Ok(gateway) = TcpStream::connect(gateway).await else {
        return;
    };
    let (mut requests, mut to_client) = client.into_split();
    let (mut answers, mut to_gateway) = gateway.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut answers, &mut to_client).await });
    let mut unread = Vec::new();
    loop {
        let before = unread.len();
        if requests.read_buf(&mut unread).await.unwrap_or_default() == 0 {
            return;
        }
        let arrived = unread[before..].to_vec();
        while let Some((request, length)) = first(&unread) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push(request);
            unread.drain(..length);
        }
        if to_gateway.write_all(&arrived).await.is_err() {
            return;
        }
    }
}

/// The first request in `bytes` if it is there to its end, and how long it is.
fn first(bytes: &[u8]) -> Option<((String, Value), usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let header = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = header("content-length")?.parse().ok()?;
    let body = bytes.get(head..head + length)?;
    let target = header("x-amz-target")?;
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let parameters = serde_json::from_slice(body).unwrap_or_default();
    Some(((operation, parameters), head + length))
}
