//! Actions on guests: the tools that propose them, the dry run behind a proposal, and the one that does what a person approved.
//!
//! - [`ACTION_TOOLS`] are offered where a cluster has `allow_actions`; a call of one is refused, it only leads to a plan.
//! - `wish` reads what is asked, `look` looks at the cluster, `plan` and `checks` say what would happen and what stands in the way.
//! - `request` makes the one writing request of an action, `run` sends it and follows its task to the end.
//!
//! Nothing here decides whether an action may be run: only an approved plan reaches `run`, and nothing else can write.

mod checks;
mod look;
mod plan;
mod privileges;
mod propose;
mod request;
mod run;
mod timeouts;
mod tools;
mod wish;
mod words;

pub use privileges::{ACTION_PRIVILEGES, ActionPrivilege, NeededOn, action_grant_command};
pub use timeouts::ActionTimeouts;
pub use tools::{ACTION_TOOLS, ActionTool};

pub(crate) use privileges::needed;
pub(crate) use propose::{Ward, not_allowed, propose};
pub(crate) use run::{Errand, Noted, run};
pub(crate) use tools::find;
pub(crate) use wish::Wish;
