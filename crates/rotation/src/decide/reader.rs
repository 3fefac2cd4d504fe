//! Whether a reader of the database knows the new password already.

use super::{Action, Labels, Refusal};

/// What is known of the reader that has to accept the new password before the label moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Reader {
    /// There is none.
    #[default]
    Unnamed,
    /// It was not asked.
    Unasked,
    /// It has accepted the password.
    Accepts,
    /// It has refused it, as long as there was time.
    Refuses,
}

/// What asking the reader brought. Any other failure than a refusal ends the step before it gets here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReaderAnswer {
    /// It accepts the password.
    AtOnce,
    /// It accepts the password after a wait, behind which the labels are these.
    Late(Labels),
    /// It still refuses the password, and time is over.
    Never,
}

impl Reader {
    /// What has to come before the label moves, where the writer has accepted the password.
    pub(super) fn first(self) -> Option<Action> {
        match self {
            Self::Unnamed | Self::Accepts => None,
            Self::Unasked => Some(Action::AwaitReader),
            Self::Refuses => Some(Action::Refuse(Refusal::ReaderBehind)),
        }
    }
}
