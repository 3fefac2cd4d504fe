//! Through pgbouncer in transaction mode, where one is installed: `make e2e` sees to that.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::capture::turn;
use crate::system::{PATIENCE, System};

/// Whom pgbouncer becomes where root starts it, which it refuses to stay.
const NOBODY: u32 = 65534;

/// The program, and the folder of its libraries.
fn installed() -> Option<(PathBuf, PathBuf)> {
    let root = local::Checkout::find().unwrap().root().to_owned();
    let unpacked = root.join(".turnkeep/pgbouncer");
    let libraries = unpacked.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let programs = [
        unpacked.join("usr/sbin/pgbouncer"),
        "/usr/sbin/pgbouncer".into(),
        "/usr/local/bin/pgbouncer".into(),
    ];
    let program = programs.into_iter().find(|program| program.is_file())?;
    Some((program, libraries))
}

/// A pgbouncer before the server of a system. It takes the next of its connections for each transaction.
struct Pooler {
    port: u16,
    folder: TempDir,
    _process: Child,
}

impl Pooler {
    async fn start(system: &System, program: PathBuf, libraries: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let server = system.stack.server();
        let (certificate, key) = server.certificate_and_key();
        for (name, from) in [
            ("server.crt", &certificate),
            ("server.key", &key),
            ("ca.pem", &server.ca_file),
        ] {
            fs::copy(from, folder.path().join(name)).unwrap();
        }
        let secret = system.secret("AWSCURRENT").unwrap();
        let users = format!("{} {}\n", secret["username"], secret["password"]);
        fs::write(folder.path().join("users.txt"), users).unwrap();
        let at = folder.path().display();
        let settings = format!(
            "[databases]\n* = host={} port={}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             pool_mode = transaction\nserver_round_robin = 1\ndefault_pool_size = 4\nmin_pool_size = 4\n\
             auth_type = scram-sha-256\nauth_file = {at}/users.txt\nlogfile = {at}/log\n\
             client_tls_sslmode = require\nclient_tls_cert_file = {at}/server.crt\nclient_tls_key_file = {at}/server.key\n\
             server_tls_sslmode = verify-full\nserver_tls_ca_file = {at}/ca.pem\n",
            server.host, server.port
        );
        fs::write(folder.path().join("settings.ini"), settings).unwrap();
        let mut command = Command::new(program);
        if rustix::process::getuid().is_root() {
            command.arg("-u").arg("nobody");
            let mut paths: Vec<PathBuf> = vec![folder.path().to_owned()];
            let entries = fs::read_dir(folder.path()).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
            for path in paths {
                let mode = if path.is_dir() { 0o700 } else { 0o600 };
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let process = command
            .arg(folder.path().join("settings.ini"))
            .env("LD_LIBRARY_PATH", libraries)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let pooler = Self {
            port,
            folder,
            _process: process,
        };
        let listens = local::wait::until("a pgbouncer that listens", PATIENCE, async || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.ok()
        });
        let listens = listens.await.map(drop);
        listens.unwrap_or_else(|waited| panic!("{waited}: {}", pooler.log()));
        pooler
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

#[tokio::test]
async fn capture_works_through_a_transaction_pooler() {
    let Some((program, libraries)) = installed() else {
        eprintln!("skipped: there is no pgbouncer; tools/install-pgbouncer unpacks Debian's");
        return;
    };
    let system = System::start("pgbouncer").await;
    let pooler = Pooler::start(&system, program, libraries).await;
    let port = pooler.port.to_string();
    system.define_capture(&[("DB_PORT", &port), ("DB_POOLER", "transaction")]);
    system.capture(&turn("c", 0)).await;
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND usename = $2";
    let server = system.stack.server().superuser("postgres").await.unwrap();
    let several = local::wait::until("a pool of several connections", PATIENCE, async || {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&system.database.name, &system.application];
        let row = server.query_one(connections, &parameters).await.unwrap();
        (row.get::<_, i64>(0) == 4).then_some(())
    });
    let several = several.await;
    several.unwrap_or_else(|waited| panic!("{waited}: {}", pooler.log()));
    for number in 1..10 {
        system.capture(&turn("c", number)).await;
    }
    assert_eq!(system.messages().await, 20);
    system.assert_counters_are_exact().await;
    assert_eq!(local::canary::search("pgbouncer's log", &pooler.log()), []);
}
