//! Counters of conversations that do not equal their rows.

use super::{COUNTERS, Sweep};
use crate::failure::Failure;

/// Conversations of one statement.
const PAGE: i64 = 200;

/// Counts the rows of every conversation, and puts right what is wrong.
pub(super) async fn sweep(sweep: &mut Sweep<'_>, after: Vec<String>) -> Result<(), Failure> {
    let part = sweep.scope.part();
    let repairs = !sweep.options.dry_run;
    let mut after = <[String; 2]>::try_from(after)
        .ok()
        .map(<(String, String)>::from);
    loop {
        let counted = sweep
            .rows
            .counters(&part, after.as_ref(), PAGE, repairs)
            .await?;
        let counters = &mut sweep.totals.counters;
        counters.checked += counted.conversations;
        counters.wrong += counted.wrong;
        counters.repaired += if repairs { counted.wrong } else { 0 };
        let Some((conversation_id, tenant_id)) = counted.last else {
            return Ok(());
        };
        sweep.mark.keep(COUNTERS, &[&conversation_id, &tenant_id])?;
        let (checked, wrong) = (counters.checked, counters.wrong);
        sweep
            .meter
            .tell(|_| format!("{checked} conversations counted, {wrong} with a wrong counter"));
        after = Some((conversation_id, tenant_id));
    }
}
