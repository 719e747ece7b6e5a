//! Written commands and questions. What is answered goes through the outbox like every other message; a person's text is a question, never
//! an instruction to HAIA itself.

use super::commands::{Command, HELP, parse};
use super::poll::{Inbox, Session};
use super::update::Said;
use crate::channels::telegram::ASKED;
use crate::message::clock_time;
use contract::alerts::{AlertCommand, AlertFilter, AlertView, ListAlerts, Severity};
use contract::approvals::{ListProposals, ProposalState, ProposalView};
use contract::chat::RunTurn;
use contract::cluster::ListClusters;
use contract::failure::Failure;
use contract::ids::RequestId;
use contract::notify::{Deliver, Notice, NoticeKind};
use jiff::tz::TimeZone;
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long the agent may take.
const TURN: Duration = Duration::from_secs(180);
/// Telegram shows "typing" for five seconds.
const TYPING: Duration = Duration::from_secs(4);
/// How long an answer may wait for the outbox.
const OUTBOX: Duration = Duration::from_secs(30);
/// The most alerts in an answer.
const ALERTS: usize = 30;

const INSTRUCTIONS: &str = "The question was written in a phone chat. Answer in a few short sentences; light Markdown (bold, lists, code) is fine, tables are not.";

impl Inbox {
    pub(super) async fn said(self: &Rc<Self>, session: &Rc<Session>, update: i64, said: Said) {
        let Some(text) = self.meant_for_me(session, &said) else { return };
        let Some(command) = parse(&text, session.me.name.as_deref()) else { return };
        let answer = match command {
            Command::Help => Ok(HELP.to_owned()),
            Command::Incomplete(what) => Ok(what.to_owned()),
            Command::Status => self.status(session).await,
            Command::Alerts => self.alerts(session).await,
            Command::Acknowledge(alert) => self.done(session, update, AlertCommand::Acknowledge { alert }, &said).await,
            Command::Proposals => self.proposals(session).await,
            Command::Approve(proposal) => {
                self.done(session, update, AlertCommand::Approve { proposal, tag: None }, &said).await
            }
            Command::Deny(proposal) => {
                self.done(session, update, AlertCommand::Deny { proposal, tag: None }, &said).await
            }
            Command::Expected(alert) => self.done(session, update, AlertCommand::Expect { alert }, &said).await,
            Command::Silence(alert, time) => {
                self.silence(session, update, alert, time, &said.sender).await.map(|done| format!("{}.", done.text))
            }
            Command::Ask(question) => {
                let (inbox, asked, message) = (Rc::clone(self), Rc::clone(session), said.message);
                let talk = async move { inbox.answer(&asked, update, said, question).await };
                if session.questions.spawn("telegram-question", talk) {
                    return;
                }
                self.deliver(
                    update,
                    message,
                    "I am still busy with earlier questions; please ask again in a moment.".to_owned(),
                )
                .await;
                return;
            }
        };
        let text = answer.unwrap_or_else(|failure| format!("That did not work: {}", failure.message));
        self.deliver(update, said.message, text).await;
    }

    /// The text, if it is meant for HAIA: in a group only commands, mentions and answers to HAIA are.
    fn meant_for_me(&self, session: &Session, said: &Said) -> Option<String> {
        let text = said.text.trim();
        let mention = session.me.name.as_deref().map(|name| format!("@{name}"));
        let at = mention.as_deref().and_then(|mention| text.to_ascii_lowercase().find(&mention.to_ascii_lowercase()));
        if said.sender.is_private || text.starts_with('/') {
            return Some(text.to_owned());
        }
        match (at, mention) {
            (Some(at), Some(mention)) => Some(format!("{}{}", &text[..at], &text[at + mention.len()..])),
            _ => (said.answers_user == Some(session.me.id)).then(|| text.to_owned()),
        }
    }

    async fn done(
        &self,
        session: &Session,
        update: i64,
        command: AlertCommand,
        said: &Said,
    ) -> Result<String, Failure> {
        self.carry_out(session, update, command, &said.sender).await.map(|done| format!("{}.", done.text))
    }

    async fn open_alerts(&self, session: &Session) -> Result<Vec<AlertView>, Failure> {
        self.ask(&session.desk.alerts, || ListAlerts(AlertFilter::default())).await?
    }

    async fn alerts(&self, session: &Session) -> Result<String, Failure> {
        let alerts = self.open_alerts(session).await?;
        if alerts.is_empty() {
            return Ok("No open alerts.".to_owned());
        }
        let (now, zone) = (self.clock.now(), TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC));
        let line = |alert: &AlertView| {
            let since = alert.opened.unwrap_or(alert.finding.since);
            let known = match &alert.acknowledged {
                Some((who, _)) => format!(", acknowledged by {who}"),
                None => String::new(),
            };
            let held = alert.held.as_deref().map(|held| format!(" ({held})")).unwrap_or_default();
            format!(
                "- #{} **{}** {}: {} since {}{known}{held}",
                alert.id,
                alert.finding.subject.replace(['*', '`'], ""),
                alert.finding.summary,
                alert.severity.as_str(),
                clock_time(since, now, &zone)
            )
        };
        let mut lines: Vec<String> = alerts.iter().take(ALERTS).map(line).collect();
        if alerts.len() > ALERTS {
            lines.push(format!("and {} more", alerts.len() - ALERTS));
        }
        Ok(lines.join("\n"))
    }

    async fn proposals(&self, session: &Session) -> Result<String, Failure> {
        let waiting = || ListProposals { states: vec![ProposalState::Proposed], limit: 20 };
        let proposals = self.ask(&session.desk.proposals, waiting).await??;
        if proposals.is_empty() {
            return Ok("Nothing waits for an approval.".to_owned());
        }
        let (now, zone) = (self.clock.now(), TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC));
        let line = |proposal: &ProposalView| {
            let until = clock_time(proposal.expires, now, &zone);
            let action = proposal.plan.action.replace(['*', '`'], "");
            format!("- #{} **{action}**, until {until}", proposal.id)
        };
        Ok(proposals.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    async fn status(&self, session: &Session) -> Result<String, Failure> {
        let alerts = self.open_alerts(session).await?;
        let critical = alerts.iter().filter(|alert| alert.severity == Severity::Critical).count();
        let mut lines = vec![match (alerts.len(), critical) {
            (0, _) => "**No open alerts.**".to_owned(),
            (open, 0) => format!("**{open} open alerts**, none critical; /alerts lists them."),
            (open, critical) => format!("**{open} open alerts**, {critical} critical; /alerts lists them."),
        }];
        for cluster in self.ask(&session.desk.clusters, || ListClusters).await? {
            let seen = match cluster.last_good_poll_age_s {
                Some(age) => format!("seen {age} s ago"),
                None => "not seen yet".to_owned(),
            };
            let problem = cluster.problem.as_deref().map(|problem| format!("; {problem}")).unwrap_or_default();
            lines.push(format!(
                "- {}: {} of {} nodes online, {} of {} guests running, {seen}{problem}",
                cluster.name, cluster.nodes_online, cluster.nodes, cluster.guests_running, cluster.guests
            ));
        }
        Ok(lines.join("\n"))
    }

    /// Asks the agent, while the chat shows that HAIA is at it.
    async fn answer(&self, session: &Session, update: i64, said: Said, question: String) {
        let turn = RunTurn {
            request_id: RequestId::new(self.ids.unique()),
            caller: self.caller(&said.sender),
            route: None,
            question,
            offline: None,
            instructions: Some(INSTRUCTIONS.to_owned()),
            max_tool_rounds: None,
            max_tokens: None,
            timeout: TURN,
        };
        let typing = async {
            loop {
                if !self.is_paused() {
                    self.call("sendChatAction", json!({"chat_id": said.sender.chat, "action": "typing"})).await;
                }
                self.clock.pause(TYPING).await;
            }
        };
        let answered = tokio::select! {
            biased;
            () = typing => return,
            answered = session.desk.ask.ask(turn, TURN + Duration::from_secs(10)) => answered,
        };
        let text = match answered.map_err(Failure::from).and_then(|answer| answer) {
            Ok(answer) => answer.text,
            Err(failure) => format!("I could not answer that: {}", failure.told()),
        };
        self.deliver(update, said.message, text).await;
    }

    /// Puts an answer into the outbox, as an answer to a message.
    async fn deliver(&self, update: i64, message: i64, text: String) {
        let notice = Notice {
            id: format!("{}-{update}", self.channel).into(),
            kind: NoticeKind::Answer,
            severity: Severity::Info,
            thread: format!("{ASKED}{message}").into(),
            title: String::new(),
            members: Vec::new(),
            more: 0,
            text: Some(text),
            buttons: Vec::new(),
            at: self.clock.now(),
            timezone: Arc::clone(&self.timezone),
            request_id: self.ids.unique().into(),
        };
        let deliver = Deliver { notice, channels: vec![Arc::clone(&self.channel)] };
        match self.deliver.ask(deliver, OUTBOX).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(channel = %self.channel, %error, "an answer to a person could not be stored")
            }
            Err(fault) => tracing::warn!(channel = %self.channel, %fault, "an answer to a person could not be stored"),
        }
    }
}
