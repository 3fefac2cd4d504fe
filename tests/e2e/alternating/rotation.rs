//! `secret-rotation` with alternating users: the master, and where its database is.

use local::canary;
use local::secrets_manager::Step;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::capture::turn;
use crate::system::{PATIENCE, ROTATION, System};

/// Without it, where the master's database is has to be asked.
const NO_HOST: (&str, &str) = ("DB_HOST", "");
/// A port on which nobody listens: whoever calls RDS fails.
const NO_RDS: (&str, &str) = ("AWS_ENDPOINT_URL_RDS", "http://127.0.0.1:9");
const ALTERNATING: (&str, &str) = ("ROTATION_STRATEGY", "alternating-users");

impl System {
    /// Names a master in the application's secret.
    pub async fn name_master(&self, arn: &str) {
        self.edit_secret(|secret| secret["masterarn"] = json!(arn))
            .await;
    }

    /// Creates the secret of a master with these tags; its ARN.
    async fn tagged_master(&self, name: &str, tags: &[(&str, &str)]) -> String {
        let master = self.stack.server().master();
        let text = json!({
            "username": master.username,
            "password": master.password.expose_secret(),
        });
        let client = aws_sdk_secretsmanager::Client::new(&self.stack.sdk_config());
        let mut create = client
            .create_secret()
            .name(name)
            .secret_string(text.to_string());
        for (key, value) in tags {
            let tag = aws_sdk_secretsmanager::types::Tag::builder();
            create = create.tags(tag.key(*key).value(*value).build());
        }
        create.send().await.unwrap().arn().unwrap().to_owned()
    }

    /// The user of the version that holds `stage`.
    fn user(&self, stage: &str) -> String {
        let secret = self.secret(stage).unwrap();
        secret["username"].as_str().unwrap().to_owned()
    }

    fn host(&self) -> &str {
        &self.database.server.host
    }

    /// Runs the first two steps and expects the second to be refused; its error.
    async fn set_is_refused(&self) -> (String, String) {
        let (token, _hold) = self.rotation_before(Step::SetSecret).await;
        let current = self.version("AWSCURRENT");
        let refused = self
            .refused(ROTATION, &self.step("setSecret", &token).await)
            .await;
        assert_eq!(self.version("AWSCURRENT"), current, "no label moved");
        refused
    }
}

/// With `DB_HOST`, an RDS-managed master needs no call to RDS.
#[tokio::test]
async fn two_users_take_turns_and_both_passwords_open_the_database() {
    let system = System::start("turns").await;
    system.name_master(&system.master_secret.clone()).await;
    system.define_rotation(&[ALTERNATING, NO_RDS]);
    let (first, clone) = (
        system.application.clone(),
        format!("{}_clone", system.application),
    );
    let before = system.secret("AWSCURRENT").unwrap();
    system.capture(&turn("c", 0)).await;
    for (number, user) in [(1, &clone), (2, &first), (3, &clone)] {
        system.rotate().await;
        assert_eq!(&system.user("AWSCURRENT"), user);
        assert!(system.opens("AWSCURRENT").await);
        assert!(
            system.opens("AWSPREVIOUS").await,
            "who is logged in goes on, and so do its new sessions"
        );
        system.stack.functions().retire(crate::system::CAPTURE);
        let stored = system.capture(&turn("c", number)).await;
        assert_eq!(stored["status"], "stored", "{user}");
        for key in ["engine", "host", "port", "dbname", "masterarn"] {
            assert_eq!(
                system.secret("AWSCURRENT").unwrap()[key],
                before[key],
                "{key}"
            );
        }
    }
    let logged = system.stack.functions().log(ROTATION);
    let made = logged
        .iter()
        .filter(|line| line.text.contains("made a pair"))
        .count();
    assert_eq!(made, 1, "the second turn finds a pair");
}

#[tokio::test]
async fn refusals_have_the_references_words() {
    let system = System::start("two_words").await;
    system.define_rotation(&[ALTERNATING, NO_HOST, NO_RDS]);
    system.announce("NO_MASTER");
    let refused = system.set_is_refused().await;
    assert_eq!(refused, ("KeyError".to_owned(), "'masterarn'".to_owned()));

    let system = System::start("two_hosts").await;
    system.announce("OTHER_HOST");
    let stub = Rds::cluster("elsewhere.cluster-abc.us-east-1.rds.amazonaws.com", "").await;
    system.define_rotation(&[
        ALTERNATING,
        NO_HOST,
        ("AWS_ENDPOINT_URL_RDS", &stub.endpoint),
    ]);
    let tag = [(
        "aws:rds:primaryDBClusterArn",
        "arn:aws:rds:us-east-1:0:cluster:c",
    )];
    let master = system.tagged_master("tagged", &tag).await;
    system.name_master(&master).await;
    let (kind, message) = system.set_is_refused().await;
    assert_eq!(kind, "ValueError");
    assert_eq!(
        message,
        format!(
            "Current database host {} is not the same host as/rds replica of master elsewhere.cluster-abc.us-east-1.rds.amazonaws.com",
            system.host()
        )
    );

    let system = System::start("two_current").await;
    system.announce("CURRENT_REFUSED");
    system.define_rotation(&[ALTERNATING, NO_RDS]);
    system.name_master(&system.master_secret.clone()).await;
    let wrong = format!("{} typed wrongly", canary::PASSWORD);
    system
        .edit_secret(|secret| secret["password"] = json!(wrong))
        .await;
    let (kind, message) = system.set_is_refused().await;
    assert_eq!(kind, "ValueError");
    let arn = system.secret_arn().await;
    assert_eq!(
        message,
        format!("Unable to log into database using current credentials for secret {arn}")
    );
    let clones = "SELECT count(*) FROM pg_roles WHERE rolname = $1";
    let clone = format!("{}_clone", system.application);
    assert_eq!(system.number(clones, &[&clone]).await, 0);
}

#[tokio::test]
async fn x8_a_name_that_would_be_too_long_is_refused_before_anything_is_stored() {
    let system = System::start("long").await;
    system.announce("CLONE_NAME_TOO_LONG");
    system.define_rotation(&[ALTERNATING, NO_HOST, NO_RDS]);
    system.name_master(&system.master_secret.clone()).await;
    system
        .edit_secret(|secret| secret["username"] = json!("ü".repeat(29)))
        .await;
    let (token, _hold) = system.rotation_before(Step::CreateSecret).await;
    let refused = system
        .refused(ROTATION, &system.step("createSecret", &token).await)
        .await;
    assert_eq!(
        refused,
        (
            "ValueError".to_owned(),
            "Unable to clone user, username length with _clone appended would exceed 63 characters"
                .to_owned()
        )
    );
    assert!(system.secret("AWSPENDING").is_none());
}

#[tokio::test]
async fn s20_a_master_in_the_gap_of_its_own_rotation_is_found_by_its_pending_version() {
    let system = System::start("s20").await;
    system.define_rotation(&[ALTERNATING, NO_RDS]);
    let master = system.stack.server().master();
    let text = |password: &str| {
        json!({"username": master.username, "password": password})
            .to_string()
            .into()
    };
    let old = format!("{} of yesterday", canary::PASSWORD);
    let arn = system
        .stack
        .create_secret("in-its-gap", &text(&old))
        .unwrap();
    let client = aws_sdk_secretsmanager::Client::new(&system.stack.sdk_config());
    let pending: secrecy::SecretString = text(master.password.expose_secret());
    client
        .put_secret_value()
        .secret_id(&arn)
        .secret_string(pending.expose_secret())
        .version_stages("AWSPENDING")
        .send()
        .await
        .unwrap();
    system.name_master(&arn).await;
    system.rotate().await;
    assert!(system.opens("AWSCURRENT").await);
    assert!(system.user("AWSCURRENT").ends_with("_clone"));
}

#[tokio::test]
async fn s19_a_master_without_the_rights_leaves_everything_as_it_was() {
    let system = System::start("s19").await;
    system.announce("ROLE_PERMISSION_DENIED");
    system.announce_unless("ADMIN_OPTION_MISSING", "ROLE_PERMISSION_DENIED");
    system.define_rotation(&[ALTERNATING, NO_RDS]);
    let weak = system.stack.server().login_role("weak", &[]).await.unwrap();
    let arn = system
        .stack
        .create_secret("weak", &system.database.secret(&weak))
        .unwrap();
    system.name_master(&arn).await;
    let (code, message) = system.set_is_refused().await;
    assert_eq!(code, "ROLE_PERMISSION_DENIED", "{message}");
    assert!(system.opens("AWSCURRENT").await);
}

/// The cluster that a tag names is asked for its address; a reader of the secret's is one of the master's database.
#[tokio::test]
async fn a_managed_masters_database_is_found_by_its_tag() {
    for (hint, reader) in [("tag", ""), ("reader", "localhost")] {
        let system = System::start(hint).await;
        let stub = Rds::cluster(system.host(), reader).await;
        system.define_rotation(&[
            ALTERNATING,
            NO_HOST,
            ("AWS_ENDPOINT_URL_RDS", &stub.endpoint),
        ]);
        let arn = "arn:aws:rds:us-east-1:000000000000:cluster:talks";
        let master = system
            .tagged_master("managed", &[("aws:rds:primaryDBClusterArn", arn)])
            .await;
        system.name_master(&master).await;
        if !reader.is_empty() {
            system
                .edit_secret(|secret| secret["host"] = json!(reader))
                .await;
        }
        system.rotate().await;
        assert!(system.user("AWSCURRENT").ends_with("_clone"));
        assert!(system.opens("AWSCURRENT").await);
    }
}

/// Without Aurora the instance of the secret's host names the one that it copies; the other's name is the first label of its
/// host.
#[tokio::test]
async fn a_replica_of_plain_rds_is_one_of_the_masters_database() {
    let system = System::start("plain_rds").await;
    system.announce("OTHER_HOST");
    let arn = "arn:aws:rds:us-east-1:000000000000:db:127";
    let tag = [("aws:rds:primaryDBInstanceArn", arn)];
    let master = system.tagged_master("managed", &tag).await;
    system.name_master(&master).await;
    system
        .edit_secret(|secret| secret["host"] = json!("localhost"))
        .await;
    let define = |stub: &Rds| {
        let rds = ("AWS_ENDPOINT_URL_RDS", stub.endpoint.as_str());
        system.define_rotation(&[ALTERNATING, NO_HOST, rds]);
    };
    let stub = Rds::instance(system.host(), "others").await;
    define(&stub);
    let (token, hold) = system.rotation_before(Step::SetSecret).await;
    let event = system.step("setSecret", &token).await;
    let (_, message) = system.refused(ROTATION, &event).await;
    assert!(message.contains("not the same host"), "{message}");
    let stub = Rds::instance(system.host(), "127").await;
    define(&stub);
    drop(hold);
    let manager = system.stack.secrets_manager();
    let rotation = manager.rotation_over(&token, PATIENCE).await.unwrap();
    assert!(rotation.succeeded());
    assert!(system.opens("AWSCURRENT").await);
}

#[tokio::test]
async fn without_rds_and_without_a_configured_host_the_reason_is_named() {
    let system = System::start("no_rds").await;
    system.announce("DispatchFailure");
    system.define_rotation(&[ALTERNATING, NO_HOST, NO_RDS]);
    let tag = [(
        "aws:rds:primaryDBClusterArn",
        "arn:aws:rds:us-east-1:0:cluster:c",
    )];
    let master = system.tagged_master("managed", &tag).await;
    system.name_master(&master).await;
    let (_, message) = system.set_is_refused().await;
    assert!(message.contains("set `DB_HOST`"), "{message}");
    assert!(message.contains("DescribeDBClusters"), "{message}");

    let system = System::start("no_tag").await;
    system.announce("HOST_UNKNOWN");
    system.define_rotation(&[ALTERNATING, NO_HOST, NO_RDS]);
    system.name_master(&system.master_secret.clone()).await;
    let (_, message) = system.set_is_refused().await;
    assert!(message.contains("set `DB_HOST`"), "{message}");
}

/// The two calls of RDS that a rotation may make, for a database at a host that can be reached: moto's hosts cannot.
struct Rds {
    endpoint: String,
    server: tokio::task::JoinHandle<()>,
}

impl Rds {
    /// An Aurora cluster with these endpoints.
    async fn cluster(host: &str, reader: &str) -> Self {
        let cluster = format!(
            "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster>\
             <DBClusterIdentifier>talks</DBClusterIdentifier><Endpoint>{host}</Endpoint>\
             <ReaderEndpoint>{reader}</ReaderEndpoint><Port>5432</Port>\
             <Engine>aurora-postgresql</Engine>\
             </DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>"
        );
        let instance = "<DBClusterIdentifier>talks</DBClusterIdentifier>";
        Self::start(cluster, instance).await
    }

    /// An instance without a cluster at this host, which is a replica of another one.
    async fn instance(host: &str, source: &str) -> Self {
        let instance = format!(
            "<Endpoint><Address>{host}</Address><Port>5432</Port></Endpoint><Engine>postgres</Engine>\
             <ReadReplicaSourceDBInstanceIdentifier>{source}</ReadReplicaSourceDBInstanceIdentifier>"
        );
        Self::start(String::new(), &instance).await
    }

    async fn start(cluster: String, instance: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let instance = format!(
            "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances><DBInstance>{instance}\
             </DBInstance></DBInstances></DescribeDBInstancesResult></DescribeDBInstancesResponse>"
        );
        let server = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, cluster.clone(), instance.clone()));
            }
        });
        Self { endpoint, server }
    }
}

impl Drop for Rds {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Answers one request and closes the connection.
async fn answer(mut connection: TcpStream, cluster: String, instance: String) {
    let mut request = Vec::new();
    let is_about = |request: &[u8], what: &str| String::from_utf8_lossy(request).contains(what);
    while !is_about(&request, "Action=DescribeDB") {
        if connection.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let body = if is_about(&request, "Action=DescribeDBClusters") {
        cluster
    } else {
        instance
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all((head + &body).as_bytes()).await;
}
