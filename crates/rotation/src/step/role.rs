//! What is wrong with the role itself. PostgreSQL answers a login of a role that has expired like one with a wrong password,
//! so it has to be said while a session is open.

use std::time::Duration;

/// How long before its end a role is warned of: a rotation a month shall say it at least once.
const AHEAD: Duration = Duration::from_hours(31 * 24);
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// What refuses every password of a role, now or soon, and the code for it. The arguments are those of `pg_roles`:
/// `rolcanlogin`, `rolconnlimit` (`None` without a limit) and the seconds until `rolvaliduntil`.
pub(super) fn warning(
    username: &str,
    can_login: bool,
    connection_limit: Option<i32>,
    expires_in: Option<i64>,
) -> Option<(&'static str, String)> {
    if !can_login {
        let text = format!("the role may not log in (`NOLOGIN`): {username}");
        return Some(("ROLE_NOLOGIN", text));
    }
    if connection_limit == Some(0) {
        let text = format!("the role has a connection limit of 0: {username}");
        return Some(("ROLE_CONNECTION_LIMIT", text));
    }
    let seconds = expires_in?;
    if seconds <= 0 {
        let text = format!(
            "the role has expired (`VALID UNTIL`), and the database refuses its logins as if the password were wrong: {username}"
        );
        return Some(("ROLE_EXPIRED", text));
    }
    let is_soon = u64::try_from(seconds).is_ok_and(|seconds| seconds <= AHEAD.as_secs());
    is_soon.then(|| {
        let days = seconds / SECONDS_OF_A_DAY;
        let text = format!(
            "the role expires in {days} days (`VALID UNTIL`), and the database will refuse its logins as if the password were wrong: {username}"
        );
        ("ROLE_EXPIRES_SOON", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = SECONDS_OF_A_DAY;

    #[track_caller]
    fn check(facts: (bool, Option<i32>, Option<i64>), expected: Option<&str>) {
        let (can_login, limit, expires_in) = facts;
        let warning = warning("app", can_login, limit, expires_in);
        assert_eq!(warning.map(|(code, _)| code), expected);
    }

    #[test]
    fn what_refuses_every_password_is_told_apart() {
        check((true, None, None), None);
        check((true, Some(10), Some(32 * DAY)), None);
        check((false, None, None), Some("ROLE_NOLOGIN"));
        check((true, Some(0), None), Some("ROLE_CONNECTION_LIMIT"));
        check((true, None, Some(31 * DAY)), Some("ROLE_EXPIRES_SOON"));
        check((true, None, Some(1)), Some("ROLE_EXPIRES_SOON"));
        check((true, None, Some(0)), Some("ROLE_EXPIRED"));
        check((true, None, Some(-DAY)), Some("ROLE_EXPIRED"));
        check((false, Some(0), Some(-DAY)), Some("ROLE_NOLOGIN"));
    }

    #[test]
    fn the_days_that_are_left_are_told() {
        let (_, text) = warning("app", true, None, Some(10 * DAY + 1)).unwrap();
        assert!(text.contains("in 10 days"), "{text}");
    }
}
