//! The one place where an approval is made. What may call it: the desk, once the decision and the beginning are stored.

use contract::approvals::{ActionPlan, Approved};

/// An approved plan.
#[expect(clippy::disallowed_methods, reason = "the approvals desk makes approvals, here and nowhere else")]
pub(super) fn approved(plan: ActionPlan) -> Approved<ActionPlan> {
    Approved::by_the_desk(plan)
}
