//! The verbs, one module each.

pub(crate) mod audit;
pub(crate) mod create_tables;
pub(crate) mod credentials;
pub(crate) mod exec;
pub(crate) mod preflight;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod rotate;
pub(crate) mod sweep;
pub(crate) mod test;
