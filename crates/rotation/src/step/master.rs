//! What is done in the master's name.

use std::time::Duration;

use aurora::role::{self, Pair, RoleName, SetPasswordError};
use aurora::{Login as Session, verifier::Verifier};
use secrets::{DatabaseSecret, Stage};
use tokio::time::Instant;

use super::{Acting, Rotating, Veto};
use crate::decide::{Known, Login, MasterValue, Refusal, RotationStrategy};
use crate::error::RotationError;
use crate::master::Masters;
use crate::migrate::{self, Access, Setup};

/// What comparing the two users may take, behind the change of the password.
const TIME_TO_COMPARE: Duration = Duration::from_secs(5);
/// So many differences are told one by one.
const MOST_DIFFERENCES: usize = 20;

impl Rotating<'_> {
    /// Reads the master's secret, and keeps what is needed to log in with it.
    pub(super) async fn read_master(
        &mut self,
        stage: Stage,
        known: &Known,
    ) -> Result<MasterValue, RotationError> {
        let current = self.secret(Stage::Current, known)?;
        let masterarn = current
            .masterarn
            .as_deref()
            .ok_or_else(|| self.refusal(Refusal::NoMaster, None))?;
        let masters = Masters {
            config: self.config,
            aws: self.aws,
            secrets: self.secrets,
        };
        let (value, master) = masters.read(masterarn, stage, current).await?;
        if let Some(master) = master {
            self.masters.retain(|(read, _)| *read != stage);
            self.masters.push((stage, master));
        }
        Ok(value)
    }

    /// Sets the pending password in the master's session: for alternating users that of a user who is made if need be.
    pub(super) async fn change_as_master(
        &self,
        session: &mut Session,
        known: &Known,
        verifier: &Verifier,
        check: impl AsyncFn() -> Result<(), Veto>,
    ) -> Result<(), SetPasswordError<Veto>> {
        let failed = |error: RotationError| SetPasswordError::Vetoed(Veto::failed(error));
        let pending = self.secret(Stage::Pending, known).map_err(failed)?;
        let current = self.secret(Stage::Current, known).map_err(failed)?;
        if self.config.strategy.unwrap_or_default() == RotationStrategy::SingleUser {
            let role = RoleName::new(&pending.username)?;
            return role::set_password(&mut session.client, &role, verifier, self.deadline, check)
                .await;
        }
        let pair = self.pair(current, pending)?;
        let client = &mut session.client;
        let done =
            role::set_alternate_password(client, &pair, verifier, self.deadline, check).await?;
        if !done.is_empty() {
            let changes: Vec<String> = done.iter().map(ToString::to_string).collect();
            tracing::info!(
                changes = changes.join("; "),
                "the two users were made a pair"
            );
        }
        self.compare(session, &pair).await;
        Ok(())
    }

    fn pair(
        &self,
        current: &DatabaseSecret,
        pending: &DatabaseSecret,
    ) -> Result<Pair, role::RoleError> {
        Ok(Pair {
            current: RoleName::new(&current.username)?,
            pending: RoleName::new(&pending.username)?,
            one_owner: self.config.shared_ownership,
        })
    }

    /// Makes the application's roles and tables, and gives its user the current version's password.
    pub(super) async fn set_up(
        &mut self,
        stage: Stage,
        known: &Known,
    ) -> Result<(), RotationError> {
        let acting = Acting::Master(stage);
        let (target, application, ssl) = self.way_in(&Acting::Labelled(Stage::Current), known)?;
        let tls = self.database.tls(ssl)?;
        let mut session = match self.session.take() {
            Some((whose, session)) if whose == acting => session,
            _ => {
                let login = self.log_in(&acting, known).await?;
                let (Login::Accepted, Some((_, session))) = (login, self.session.take()) else {
                    let secret = self.secret(Stage::Current, known)?.masterarn.clone();
                    let secret = secret.unwrap_or_default();
                    return Err(self.refusal(Refusal::MasterRefused { secret }, None));
                };
                session
            }
        };
        let setup = Setup {
            application,
            pending: None,
            access: Access {
                target,
                trust: self.database.trust.clone(),
                tls,
                deadline: self.deadline,
            },
            dry_run: false,
        };
        let report = migrate::run(&mut session.client, &setup).await?;
        tracing::info!("{report}");
        Ok(())
    }

    /// Tells what one of the two users may do and the other may not. The password is set by now, and whatever goes wrong
    /// here must not keep it from its label.
    async fn compare(&self, session: &mut Session, pair: &Pair) {
        let now = Instant::now();
        let reserved = self.deadline.checked_sub(super::change::TIME_TO_CHANGE);
        let give_up = (now + TIME_TO_COMPARE).min(reserved.unwrap_or(now));
        let copy = self.config.copy_grants;
        let told = match role::compare(&mut session.client, pair, copy, give_up).await {
            Ok(told) => told,
            Err(error) => {
                tracing::info!(
                    error = startup::report::chain(&error),
                    "the grants of the two users were not compared"
                );
                return;
            }
        };
        for (found, message) in [
            (&told.copied, "grants of one user were copied to the other"),
            (&told.left, "the two users differ"),
        ] {
            if !found.is_empty() {
                let sentences = found.iter().take(MOST_DIFFERENCES).map(ToString::to_string);
                let differences = sentences.collect::<Vec<_>>().join("; ");
                tracing::info!(count = found.len(), differences, "{message}");
            }
        }
    }

    /// What was read of the master for `stage`.
    pub(super) fn master(&self, stage: Stage) -> Result<&crate::master::Master, RotationError> {
        let mut masters = self.masters.iter();
        let found = masters.find(|(read, _)| *read == stage);
        found
            .map(|(_, master)| master)
            .ok_or_else(|| self.refusal(Refusal::NoMaster, None))
    }
}

impl Acting {
    /// Whether it is a master.
    pub(super) fn is_master(&self) -> bool {
        matches!(self, Self::Master(_))
    }
}
