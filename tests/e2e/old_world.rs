//! Whoever used the original goes on as before: its environment, its event, its reply, its keys in S3 and its SELECTs.

use local::Function;
use local::canary::said;
use serde_json::{Value, json};

use crate::system::{CAPTURE, System};

impl System {
    /// Defines the function with the names of the original's environment, and with none that it did not have but the CA.
    fn define_as_the_original(&self) {
        let server = &self.database.server;
        let function = Function::binary(CAPTURE, self.binary(CAPTURE)).variables([
            ("PROJECT_NAME", "ial"),
            ("AURORA_ENDPOINT", &server.host),
            ("AURORA_PORT", &server.port.to_string()),
            ("DATABASE_NAME", &self.database.name),
            ("S3_CONVERSATIONS_BUCKET", &self.bucket),
            ("S3_LAYOUT", "legacy"),
            ("DB_CA_BUNDLE", &server.ca_file.to_string_lossy()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ]);
        self.stack.functions().define(function).unwrap();
    }
}

#[tokio::test]
async fn readers_of_the_original_find_every_turn() {
    let system = System::start("oldworld").await;
    system.define_as_the_original();
    let mut keys = Vec::new();
    for number in 0..3 {
        let reply = system
            .capture(&json!({
                "conversation_id": "c-1",
                "user_id": said("ana"),
                "timestamp": format!("2026-11-23T10:00:0{number}"),
                "user_input": said(format!("pergunta {number}")),
                "assistant_output": said(format!("answer {number}")),
                "context": {"project": said("ial")},
                "implementations": [{"file_path": "main.tf", "type": "terraform", "functionality": said("x"), "code_snippet": said("y")}],
            }))
            .await;
        assert_eq!(reply["statusCode"], 200, "{reply}");
        assert_eq!(reply["db_stored"]["success"], true, "{reply}");
        keys.push(reply["s3_stored"]["s3_key"].as_str().unwrap().to_owned());
    }
    for (number, key) in keys.iter().enumerate() {
        assert!(key.starts_with("conversations/"), "{key}");
        let object: Value = serde_json::from_slice(&system.object(key).await).unwrap();
        assert_eq!(object["conversation_id"], "c-1");
        assert_eq!(object["user_message"], said(format!("pergunta {number}")));
        assert_eq!(
            object["assistant_response"],
            said(format!("answer {number}"))
        );
        assert_eq!(object["context"]["project"], said("ial"));
        assert_eq!(object["implementations"][0]["type"], "terraform");
        assert_eq!(object["user_id"], said("ana"));
        assert!(object.get("timestamp").is_some(), "{object}");
    }
    keys.dedup();
    assert_eq!(keys.len(), 3, "one object for each turn");

    let selects = [
        (
            1,
            "SELECT count(*) FROM conversations WHERE conversation_id = 'c-1' AND (metadata->>'implementations_count')::int >= 1 AND s3_key IS NOT NULL",
        ),
        (
            6,
            "SELECT count(*) FROM messages WHERE conversation_id = 'c-1' AND role IN ('user', 'assistant') AND \"timestamp\" IS NOT NULL",
        ),
        (
            3,
            "SELECT count(*) FROM messages WHERE metadata->>'source' = 'user_input'",
        ),
        (
            3,
            "SELECT count(*) FROM implementations WHERE conversation_id = 'c-1' AND implementation_type = 'terraform' AND file_path = 'main.tf'",
        ),
    ];
    for (rows, select) in selects {
        assert_eq!(system.number(select, &[]).await, rows, "{select}");
    }
}
