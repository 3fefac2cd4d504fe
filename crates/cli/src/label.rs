//! Staging labels on the command line.

use clap::ValueEnum;
use secrets::Stage;

/// A staging label, as a person types it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Label {
    /// AWSCURRENT
    Current,
    /// AWSPENDING
    Pending,
    /// AWSPREVIOUS
    Previous,
}

impl From<Label> for Stage {
    fn from(label: Label) -> Self {
        match label {
            Label::Current => Self::Current,
            Label::Pending => Self::Pending,
            Label::Previous => Self::Previous,
        }
    }
}
