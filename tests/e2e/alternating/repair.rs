//! A password that nobody knows any more, and the master that sets a new one where it is allowed to.

use local::Credentials;
use local::secrets_manager::Step;

use crate::system::{ROTATION, System};

const STRATEGIES: [&str; 2] = ["single-user", "alternating-users"];

impl System {
    /// Somebody changes the application's password in the database and tells nobody.
    async fn lose_password(&self) {
        let unknown = Credentials::generate(&self.application);
        self.stack.server().set_password(&unknown).await.unwrap();
        assert!(!self.opens("AWSCURRENT").await);
    }
}

#[tokio::test]
async fn s11_the_master_sets_a_password_that_nobody_knows() {
    for strategy in STRATEGIES {
        let system = System::start("s11").await;
        system.name_master(&system.master_secret.clone()).await;
        system.define_rotation(&[
            ("ROTATION_STRATEGY", strategy),
            ("BOOTSTRAP_USER", &system.application),
        ]);
        system.lose_password().await;
        system.rotate().await;
        assert!(system.opens("AWSCURRENT").await, "{strategy}");
    }
}

#[tokio::test]
async fn s11_without_an_expected_application_the_refusal_stays() {
    for strategy in STRATEGIES {
        let system = System::start("s11_refused").await;
        system.name_master(&system.master_secret.clone()).await;
        system.announce_unless("DB_PASSWORD_UNKNOWN", "CURRENT_REFUSED");
        system.announce_unless("CURRENT_REFUSED", "DB_PASSWORD_UNKNOWN");
        system.define_rotation(&[("ROTATION_STRATEGY", strategy)]);
        system.lose_password().await;
        let (token, _hold) = system.rotation_before(Step::SetSecret).await;
        let current = system.version("AWSCURRENT");
        for variables in [
            vec![("DB_HOST", "")],
            vec![],
            vec![
                ("DB_HOST", ""),
                ("BOOTSTRAP_USER", system.application.as_str()),
            ],
            vec![("BOOTSTRAP_USER", "somebody")],
        ] {
            let mut all = vec![("ROTATION_STRATEGY", strategy)];
            all.extend(variables);
            system.define_rotation(&all);
            let (kind, message) = system
                .refused(ROTATION, &system.step("setSecret", &token).await)
                .await;
            assert_eq!(kind, "ValueError", "{message}");
            assert!(message.contains("Unable to log into database"), "{message}");
            assert_eq!(system.version("AWSCURRENT"), current);
        }
    }
}
