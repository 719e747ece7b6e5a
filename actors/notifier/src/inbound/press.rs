//! A button: what it does at the desk, and what the person sees of it.

use super::poll::{Inbox, Session};
use super::update::{Press, Pressed, Sender};
use crate::channels::telegram;
use crate::message::clock_time;
use contract::alerts::{Acknowledge, AddSilence, AlertCommand, ExpectAlert, ListSilences};
use contract::approvals::{ApprovalChannel, Approver, DecideProposal, ProposalState};
use contract::caller::Scope;
use contract::failure::{Failure, FailureClass};
use contract::ids::RequestId;
use contract::message::{Fault, Msg};
use jiff::tz::TimeZone;
use runtime::Port;
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;

/// How long the desk may take for one try.
const DESK: Duration = Duration::from_secs(10);
/// How often the desk is asked while it does not answer.
const TRIES: u32 = 4;
/// The longest text of a message, and of a pop-up.
const TEXT: usize = 4096;
const POP_UP: usize = 190;

/// What was done, for the person and below the message.
pub(super) struct Done {
    /// In the past tense, without the doer.
    pub(super) text: String,
    /// Whether the other buttons have no use any more.
    pub(super) is_final: bool,
}

impl Inbox {
    pub(super) async fn pressed(self: &Rc<Self>, session: &Rc<Session>, update: i64, press: Press) {
        let done = match telegram::command(&press.code) {
            Some(command) => self.carry_out(session, update, command, &press.sender).await,
            None => Err(Failure::new(
                FailureClass::NotFound,
                "this button is from another time; /alerts shows what is open",
            )),
        };
        let inbox = Rc::clone(self);
        let courtesy = async move { inbox.show(press, done).await };
        if !session.courtesies.spawn("telegram-press", courtesy) {
            tracing::warn!(channel = %self.channel, "too many presses at once: one was done, but its message does not show it");
        }
    }

    /// Does what a command says.
    pub(super) async fn carry_out(
        &self,
        session: &Session,
        update: i64,
        command: AlertCommand,
        sender: &Sender,
    ) -> Result<Done, Failure> {
        let (desk, by) = (&session.desk, self.caller(sender));
        match command {
            AlertCommand::Acknowledge { alert } => {
                self.ask(&desk.acknowledge, || Acknowledge { id: alert, by: by.clone() }).await??;
                Ok(Done { text: format!("#{alert} acknowledged"), is_final: false })
            }
            AlertCommand::Expect { alert } => {
                self.ask(&desk.expect, || ExpectAlert { id: alert, by: by.clone() }).await??;
                Ok(Done { text: format!("#{alert} was expected"), is_final: true })
            }
            AlertCommand::Silence { alert, minutes } => {
                let duration = Duration::from_secs(u64::from(minutes) * 60);
                self.silence(session, update, alert, duration, sender).await
            }
            AlertCommand::Approve { proposal, tag } => {
                self.decide(session, update, (proposal, tag), true, sender).await
            }
            AlertCommand::Deny { proposal, tag } => self.decide(session, update, (proposal, tag), false, sender).await,
        }
    }

    /// Decides on a proposal. Who may is the approvals desk's to say; that it was this user is Telegram's. Twice the same press counts once
    /// there.
    async fn decide(
        &self,
        session: &Session,
        update: i64,
        (proposal, tag): (u64, Option<u32>),
        approve: bool,
        sender: &Sender,
    ) -> Result<Done, Failure> {
        let by = Approver {
            name: format!("telegram:{}", sender.name).into(),
            channel: ApprovalChannel::Telegram,
            scope: Scope::Control,
            telegram_user: Some(sender.user),
            // Others are not heard at all.
            is_named_telegram_user: true,
        };
        let request_id = RequestId::new(format!("telegram-{}-{update}", self.channel));
        let decision = || DecideProposal { id: proposal, tag, approve, by: by.clone(), request_id: request_id.clone() };
        let decided = self.ask(&session.desk.decide, decision).await??;
        let word = if approve { "approved" } else { "denied" };
        match decided.counted {
            true => Ok(Done {
                text: format!("#{proposal} {word}"),
                is_final: decided.proposal.state != ProposalState::Proposed,
            }),
            false => Err(Failure::new(FailureClass::InvalidRequest, decided.said)),
        }
    }

    /// Silences an alert. A press that comes twice, because HAIA ended before it could confirm it, makes one silence.
    pub(super) async fn silence(
        &self,
        session: &Session,
        update: i64,
        alert: u64,
        duration: Duration,
        sender: &Sender,
    ) -> Result<Done, Failure> {
        let sign = format!("[{} {update}]", self.channel);
        let text = format!(
            "#{alert} silenced for {}",
            crate::message::duration_words(jiff::SignedDuration::try_from(duration).unwrap_or_default())
        );
        let silences = self.ask(&session.desk.silences, || ListSilences).await?;
        if !silences.iter().any(|silence| silence.reason.ends_with(&sign)) {
            let silence = || AddSilence {
                alert: Some(alert),
                matchers: Vec::new(),
                duration,
                reason: format!("asked for in Telegram by {} {sign}", sender.name),
                by: self.caller(sender),
            };
            self.ask(&session.desk.silence, silence).await??;
        }
        Ok(Done { text, is_final: true })
    }

    /// Asks the desk, again while it does not answer: a press must not be lost to a restart of an actor.
    pub(super) async fn ask<M: Msg>(&self, port: &Port<M>, question: impl Fn() -> M) -> Result<M::Reply, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            match port.ask(question(), DESK).await {
                Ok(reply) => return Ok(reply),
                Err(fault @ (Fault::Closed { .. } | Fault::Failed { .. })) => return Err(fault.into()),
                Err(fault) if tries >= TRIES => return Err(fault.into()),
                Err(_) => self.clock.pause(Duration::from_secs(2)).await,
            }
        }
    }

    /// Ends the wait on the button, and writes below the message who did what.
    async fn show(&self, press: Press, done: Result<Done, Failure>) {
        let told = match &done {
            Ok(done) => done.text.clone(),
            Err(failure) => failure.message.to_string(),
        };
        let answer = json!({
            "callback_query_id": press.query,
            "text": crate::message::shortened(&told, POP_UP),
            "show_alert": done.is_err(),
        });
        self.pause_over().await;
        self.call("answerCallbackQuery", answer).await;
        let (Ok(done), Some(message)) = (done, press.message) else { return };
        let now = self.clock.now();
        let zone = TimeZone::get(&self.timezone).unwrap_or(TimeZone::UTC);
        let note = format!("{} by {} at {}", done.text, press.sender.name, clock_time(now, now, &zone));
        let Pressed { id, text, entities, keyboard } = message;
        let whole = format!("{text}\n{note}");
        if whole.chars().count() > TEXT {
            return;
        }
        let kept: Vec<Vec<serde_json::Value>> = keyboard
            .into_iter()
            .map(|row| row.into_iter().filter(|button| button["callback_data"] != press.code.as_str()).collect())
            .filter(|row: &Vec<_>| !done.is_final && !row.is_empty())
            .collect();
        let edit = json!({
            "chat_id": press.sender.chat,
            "message_id": id,
            "text": whole,
            "entities": entities,
            "link_preview_options": {"is_disabled": true},
            "reply_markup": {"inline_keyboard": kept},
        });
        self.turn().await;
        self.call("editMessageText", edit).await;
    }
}
