//! `turnkeep replay`: an empty database gets the same rows from S3.

mod corpus;
mod rebuild;
mod refusals;
mod settings;
