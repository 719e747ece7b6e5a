//! Makes the silence that a person approved: one request, sent once. Where its answer is lost the list of silences tells; it is never sent again.

use super::matcher::Matcher;
use super::wish::Wish;
use super::{SILENCES, live};
use crate::client::{PostTrouble, Server};
use contract::approvals::{ActionEnd, ActionOutcome, RunAction};
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take.
const WITHIN: Duration = Duration::from_secs(15);
/// How often the list is looked at after a lost answer, and the wait before each look.
const LOOKS: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(2);

/// Makes it.
///
/// # Errors
/// What was approved cannot be read: nothing was done.
pub(crate) async fn run(server: &Server, clock: &SharedClock, asked: RunAction) -> Result<ActionOutcome, Failure> {
    let (mark, by) = (format!("[HAIA proposal {}, request {}]", asked.proposal, asked.request_id), asked.approved_by);
    let plan = asked.approved.into_inner();
    let wish = Wish::read(&plan.tool, &plan.arguments)
        .map_err(|why| Failure::new(FailureClass::InvalidRequest, format!("{why}. Nothing was done.")))?;
    let outcome = |end, text: String, reference: Option<Arc<str>>| Ok(ActionOutcome { end, text, reference });
    // The server's own time: HAIA's may run faster, or wrong.
    let now = match server.get_dated(SILENCES, &[], WITHIN).await {
        Ok(answer) if live(&answer.value).any(|silence| is_marked(silence, &mark)) => {
            return outcome(ActionEnd::Unknown, "Such a silence is there already. Nothing was done.".to_owned(), None);
        }
        Ok(answer) => answer.at.unwrap_or_else(|| clock.now()),
        Err(trouble) => return outcome(ActionEnd::Failed, format!("{trouble}. Nothing was done."), None),
    };
    let ends = SignedDuration::try_from(wish.duration.0).ok().and_then(|span| now.checked_add(span).ok());
    let ends = ends.unwrap_or(Timestamp::MAX);
    let reason = if plan.reason.is_empty() { "Proposed by HAIA".to_owned() } else { plan.reason };
    let body = json!({
        "matchers": wish.matchers.iter().map(Matcher::json).collect::<Vec<_>>(),
        "startsAt": now.to_string(),
        "endsAt": ends.to_string(),
        "createdBy": format!("HAIA (approved by {by})"),
        "comment": format!("{reason} {mark}"),
    });
    let done = |id: &str| {
        let text = format!("Alertmanager silences {} until {ends}.", wish.subject());
        outcome(ActionEnd::Done, text, Some(id.chars().take(64).collect::<String>().into()))
    };
    let why = match server.post(SILENCES, &body, WITHIN).await {
        Ok(answer) => match answer["silenceID"].as_str() {
            Some(id) => return done(id),
            None => "it named no silence".to_owned(),
        },
        Err(PostTrouble::Refused(trouble)) => {
            return outcome(ActionEnd::Failed, format!("{trouble}. Nothing was done."), None);
        }
        Err(PostTrouble::Lost(trouble)) => trouble.to_string(),
    };
    let mut was_seen = false;
    for _ in 0..LOOKS {
        clock.pause(BETWEEN).await;
        let Ok(list) = server.get(SILENCES, &[], WITHIN).await else { continue };
        was_seen = true;
        if let Some(id) =
            live(&list).find(|silence| is_marked(silence, &mark)).and_then(|silence| silence["id"].as_str())
        {
            return done(id);
        }
    }
    let seen = match was_seen {
        true => "Its list shows no such silence, so it was probably not made, but that is not certain",
        false => "Its list cannot be seen either",
    };
    let text = format!("The answer to the order was lost ({why}). {seen}. Look at Alertmanager before you try again.");
    outcome(ActionEnd::Unknown, text, None)
}

/// Whether HAIA made it for this very proposal.
fn is_marked(silence: &Value, mark: &str) -> bool {
    silence["comment"].as_str().is_some_and(|comment| comment.ends_with(mark))
}
