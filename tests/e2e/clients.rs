//! Programs in other languages, through a real rotation: the files of docs/clients that a user copies.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use local::secrets_manager::Step;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::system::{PATIENCE, SECRET, System, succeeded};

/// A program that connects when it is told to.
struct Client {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(system: &System, program: &Path, script: &str) -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(program)
            .arg(here.join("e2e/clients").join(script))
            .env_clear()
            .envs(system.stack.environment())
            .env("CLIENTS", here.parent().unwrap().join("docs/clients"))
            .env("NODE_PATH", node().join("node_modules"))
            .env("TURNKEEP_SECRET", SECRET)
            .env("PGSSLROOTCERT", &system.database.server.ca_file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// Has it connect in one way, and returns the label that it found the password under.
    async fn connects(&mut self, how: &str) -> String {
        self.input
            .write_all(format!("{how}\n").as_bytes())
            .await
            .unwrap();
        let answer = timeout(PATIENCE, self.output.next_line()).await;
        let answer = answer.expect("an answer of the program").unwrap();
        let Some(answer) = answer else {
            panic!("the program ended: {}", self.complaint().await);
        };
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["stage"].as_str().unwrap().to_owned()
    }

    async fn complaint(&mut self) -> String {
        let mut lines = BufReader::new(self.child.stderr.take().unwrap()).lines();
        let mut complaint = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            complaint += &line;
            complaint.push('\n');
        }
        complaint
    }

    /// Closes its input, and keeps what it printed for the search for canaries.
    async fn ends(mut self, system: &System) {
        drop(self.input);
        self.child.stdout = Some(self.output.into_inner().into_inner());
        let ended = timeout(PATIENCE, self.child.wait_with_output()).await;
        let ended = ended.expect("the end of the program").unwrap();
        system.saw("the output of a client", &ended);
        succeeded(&ended);
    }
}

/// Before the rotation, in its gap and after it.
async fn goes_through_a_rotation(hint: &str, program: &Path, script: &str) {
    let system = System::start(hint).await;
    let mut client = Client::start(&system, program, script);
    for how in ["fresh", "pool", "old"] {
        assert_eq!(client.connects(how).await, "AWSCURRENT", "{how}, before");
    }
    let (token, hold) = system.rotation_before(Step::TestSecret).await;
    assert!(!system.opens("AWSCURRENT").await, "this is the gap");
    let before = system.refused_logins();
    let mut late = Client::start(&system, program, script);
    for how in ["fresh", "pool", "old"] {
        assert_eq!(
            client.connects(how).await,
            "AWSPENDING",
            "{how}, in the gap"
        );
        assert_eq!(
            late.connects(how).await,
            "AWSPENDING",
            "{how}, begun in the gap"
        );
    }
    let refused = system.refused_logins();
    assert_eq!(refused - before, 2, "one for each process");
    drop(hold);
    let over = system
        .stack
        .secrets_manager()
        .rotation_over(&token, PATIENCE);
    assert!(over.await.unwrap().succeeded());
    for how in ["fresh", "pool", "old"] {
        client.connects(how).await;
        late.connects(how).await;
    }
    assert_eq!(
        system.refused_logins(),
        refused,
        "nothing is refused after the gap"
    );
    client.ends(&system).await;
    late.ends(&system).await;
}

/// Where `make e2e` puts the drivers for Node.js, and a link to it, if there is npm.
fn node() -> PathBuf {
    local::Checkout::find()
        .unwrap()
        .tools()
        .with_file_name("node")
}

#[tokio::test]
async fn python_goes_through_a_rotation() {
    let python = local::Checkout::find().unwrap().tools().join("bin/python");
    goes_through_a_rotation("python", &python, "drive.py").await;
}

#[tokio::test]
async fn node_goes_through_a_rotation() {
    let node = node().join("node");
    if !node.exists() {
        println!("skipped: there is no npm on this machine to install the drivers with");
        return;
    }
    goes_through_a_rotation("node", &node, "drive.cjs").await;
}
