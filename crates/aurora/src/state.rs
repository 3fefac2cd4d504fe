//! What an SQLSTATE asks of the caller.
//!
//! Codes: appendix "PostgreSQL Error Codes" of the PostgreSQL manual.

use std::error::Error;
use std::io;

use tokio_postgres::error::SqlState;

/// When the same thing may succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// At once, on a new connection if the old one is gone.
    Now,
    /// After a pause: the server has to get over something first.
    Later,
    /// Not before somebody changes something.
    Never,
}

/// An SQLSTATE, by what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// 28P01, 28000 and nothing else: these credentials do not open this database. Try others.
    Refused,
    /// 57P03: the server is starting, stopping or resuming. Wait.
    Starting,
    /// 53300: no connection is free. Wait.
    TooManyConnections,
    /// 3D000: there is no such database. Repair the settings.
    UnknownDatabase,
    /// 25006: this server takes no writes, as after a failover. Connect anew; the name may lead
    /// elsewhere by then.
    ReadOnly,
    /// 42501: the role may not do this.
    PermissionDenied,
    /// Class 08, and the 57P01, 57P02, 57P04, 57P05, 25P03 and 25P04 that end a session: the
    /// connection is gone.
    ConnectionLost,
    /// 40001, 40P01, and the XX000 of concurrent `ALTER ROLE`: lost against another transaction. Run
    /// it again.
    Conflict,
    /// 57014 and 55P03: cancelled by a time-out or on request.
    Cancelled,
    /// Class 53 apart from 53300, and class 58: the server lacks memory or disk. Wait.
    Overloaded,
    /// All else.
    Other,
}

impl Meaning {
    /// What `sqlstate` means.
    pub fn of(sqlstate: &SqlState) -> Self {
        Self::of_code(sqlstate.code())
    }

    /// As [`Meaning::of`], for the five characters of the code.
    pub fn of_code(sqlstate: &str) -> Self {
        match sqlstate {
            "28P01" | "28000" => Self::Refused,
            "57P03" => Self::Starting,
            "53300" => Self::TooManyConnections,
            "3D000" => Self::UnknownDatabase,
            "25006" => Self::ReadOnly,
            "42501" => Self::PermissionDenied,
            "57P01" | "57P02" | "57P04" | "57P05" | "25P03" | "25P04" => Self::ConnectionLost,
            "40001" | "40P01" => Self::Conflict,
            "57014" | "55P03" => Self::Cancelled,
            _ => match sqlstate.get(..2) {
                Some("08") => Self::ConnectionLost,
                Some("53" | "58") => Self::Overloaded,
                _ => Self::Other,
            },
        }
    }

    /// What a failed statement means; `None` if the server did not answer with an SQLSTATE.
    pub fn of_error(error: &tokio_postgres::Error) -> Option<Self> {
        let answer = error.as_db_error()?;
        // `ALTER ROLE` writes the catalogue without retrying, and XX000 is all that it says.
        if answer.code() == &SqlState::INTERNAL_ERROR
            && answer.message() == "tuple concurrently updated"
        {
            return Some(Self::Conflict);
        }
        Some(Self::of(answer.code()))
    }

    /// When the same thing may succeed.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Conflict | Self::ConnectionLost => Retry::Now,
            Self::Starting
            | Self::TooManyConnections
            | Self::ReadOnly
            | Self::Cancelled
            | Self::Overloaded => Retry::Later,
            Self::Refused | Self::UnknownDatabase | Self::PermissionDenied | Self::Other => {
                Retry::Never
            }
        }
    }
}

/// Whether a failed statement left a connection to be replaced: it is gone, or it leads to a server
/// that takes no writes.
pub fn ends_connection(error: &tokio_postgres::Error) -> bool {
    match Meaning::of_error(error) {
        Some(meaning) => matches!(
            meaning,
            Meaning::ConnectionLost | Meaning::Starting | Meaning::ReadOnly
        ),
        None => error.is_closed() || error.source().is_some_and(<dyn Error>::is::<io::Error>),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sqlstate: &str, meaning: Meaning, retry: Retry) {
        assert_eq!(Meaning::of(&SqlState::from_code(sqlstate)), meaning);
        assert_eq!(meaning.retry(), retry);
    }

    #[test]
    fn each_sqlstate_asks_for_one_thing() {
        check("28P01", Meaning::Refused, Retry::Never);
        check("28000", Meaning::Refused, Retry::Never);
        check("57P03", Meaning::Starting, Retry::Later);
        check("53300", Meaning::TooManyConnections, Retry::Later);
        check("3D000", Meaning::UnknownDatabase, Retry::Never);
        check("25006", Meaning::ReadOnly, Retry::Later);
        check("42501", Meaning::PermissionDenied, Retry::Never);
        check("57P01", Meaning::ConnectionLost, Retry::Now);
        check("57P02", Meaning::ConnectionLost, Retry::Now);
        check("57P04", Meaning::ConnectionLost, Retry::Now);
        check("57P05", Meaning::ConnectionLost, Retry::Now);
        check("25P03", Meaning::ConnectionLost, Retry::Now);
        check("25P04", Meaning::ConnectionLost, Retry::Now);
        check("08000", Meaning::ConnectionLost, Retry::Now);
        check("08006", Meaning::ConnectionLost, Retry::Now);
        check("08P01", Meaning::ConnectionLost, Retry::Now);
        check("40001", Meaning::Conflict, Retry::Now);
        check("40P01", Meaning::Conflict, Retry::Now);
        check("57014", Meaning::Cancelled, Retry::Later);
        check("55P03", Meaning::Cancelled, Retry::Later);
        check("53100", Meaning::Overloaded, Retry::Later);
        check("53200", Meaning::Overloaded, Retry::Later);
        check("58030", Meaning::Overloaded, Retry::Later);
        check("28001", Meaning::Other, Retry::Never);
        check("XX000", Meaning::Other, Retry::Never);
        check("23505", Meaning::Other, Retry::Never);
        check("42P01", Meaning::Other, Retry::Never);
        check("0A000", Meaning::Other, Retry::Never);
    }
}
