//! What a run does: asks others, and hands the result to the notifier. It keeps nothing and decides nothing about time.

use crate::config::JobConfig;
use crate::scheduler::Ports;
use contract::alerts::{MakeDigest, Severity};
use contract::caller::{Caller, Origin, Scope};
use contract::chat::RunTurn;
use contract::cluster::RunCheck;
use contract::ids::RequestId;
use contract::notify::{Deliver, Notice, NoticeKind};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// How long another actor may take to store a notice or to make a digest.
const PATIENCE: Duration = Duration::from_secs(20);
/// What whoever does the work is allowed beyond the run's own time.
const BEYOND: Duration = Duration::from_secs(2);
/// What the agent is told of a question by the clock.
const INSTRUCTIONS: &str = "This question was put by a schedule, not by a person who waits. Look at the real state with your tools, then \
    answer in plain, short sentences that can be read on a phone. Do not ask back, do not offer actions.";

/// One run.
pub(crate) struct Work {
    pub(crate) job: Arc<str>,
    pub(crate) config: JobConfig,
    pub(crate) request_id: RequestId,
    pub(crate) due: Timestamp,
    /// From when a digest tells.
    pub(crate) since: Timestamp,
    pub(crate) timezone: Arc<str>,
}

/// Does the work. The answer is what it brought.
///
/// # Errors
/// Why it failed, for people.
pub(crate) async fn run(work: Work, ports: Ports) -> Result<String, String> {
    // The run's own time is over first, so that it is seen as what it is.
    let timeout = work.config.timeout.0.saturating_add(BEYOND);
    let (text, is_news) = match (&work.config.ask, &work.config.check) {
        (Some(question), _) => (ask(&work, question, &ports, timeout).await?, true),
        (_, Some(check)) => self::check(check, &ports, timeout).await?,
        _ => digest(&work, &ports).await?,
    };
    if is_news || work.config.notify_empty && work.config.check.is_none() {
        tell(&work, &text, &ports).await?;
    }
    Ok(text)
}

async fn ask(work: &Work, question: &str, ports: &Ports, timeout: Duration) -> Result<String, String> {
    let turn = RunTurn {
        request_id: work.request_id.clone(),
        caller: Caller { name: work.job.clone(), scope: Scope::Read, origin: Origin::Job },
        route: (!work.config.route.is_empty()).then(|| work.config.route.as_str().into()),
        question: question.to_owned(),
        offline: None,
        instructions: Some(INSTRUCTIONS.to_owned()),
        max_tool_rounds: None,
        max_tokens: None,
        timeout,
    };
    match ports.run_turn.try_ask(turn, timeout).await {
        Ok(Ok(said)) => Ok(said.text),
        Ok(Err(failure)) => Err(failure.to_string()),
        Err(fault) => Err(fault.to_string()),
    }
}

async fn check(check: &str, ports: &Ports, timeout: Duration) -> Result<(String, bool), String> {
    let outcome = match ports.run_check.ask(RunCheck { check: check.into() }, timeout).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => return Err(failure.to_string()),
        Err(fault) => return Err(fault.to_string()),
    };
    if outcome.findings.is_empty() && !outcome.problems.is_empty() {
        return Err(outcome.problems.join("; "));
    }
    let mut lines: Vec<String> = outcome.findings.iter().map(|finding| format!("- {finding}")).collect();
    let is_news = !lines.is_empty();
    if lines.is_empty() {
        lines.push(format!("Nothing wrong, {} rules looked at.", outcome.rules.len()));
    }
    lines.extend(outcome.problems.iter().map(|problem| format!("- could not be looked at: {problem}")));
    Ok((lines.join("\n"), is_news))
}

async fn digest(work: &Work, ports: &Ports) -> Result<(String, bool), String> {
    let text = match ports.digest.ask(MakeDigest { since: work.since }, PATIENCE).await {
        Ok(Ok(text)) => text,
        Ok(Err(failure)) => return Err(failure.to_string()),
        Err(fault) => return Err(fault.to_string()),
    };
    if text.trim().is_empty() {
        return Ok(("Nothing happened since the last digest.".to_owned(), false));
    }
    Ok((text, true))
}

async fn tell(work: &Work, text: &str, ports: &Ports) -> Result<(), String> {
    let kind = if work.config.digest { NoticeKind::Digest } else { NoticeKind::Answer };
    let notice = Notice {
        id: ports.ids.unique().into(),
        kind,
        severity: Severity::Info,
        thread: format!("job/{}/{}", work.job, work.due.as_second()).into(),
        title: work.job.to_string(),
        members: Vec::new(),
        more: 0,
        text: Some(text.to_owned()),
        buttons: Vec::new(),
        at: ports.clock.now(),
        timezone: Arc::clone(&work.timezone),
        request_id: work.request_id.shared(),
    };
    let channels = work.config.notify.iter().map(|channel| channel.as_str().into()).collect();
    match ports.deliver.ask(Deliver { notice, channels }, PATIENCE).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("the result could not be sent: {error}")),
        Err(fault) => Err(format!("the result could not be sent: {fault}")),
    }
}
