//! The way along a call's candidates until one begins to answer: whom a route leaves alone, who is asked at once, and who is asked once more.
//!
//! It opens no connection: what one exchange is stands in the parent.

use super::{GRANT_DEADLINE, Inner};
use crate::backoff;
use crate::circuit::Alone;
use crate::learned::Lesson;
use crate::provider::{Model, Provider};
use crate::shard::{Grant, GrantCall};
use crate::standing::Probe;
use crate::table::{Candidate, merge};
use contract::failure::{Failure, FailureClass};
use contract::provider::{Called, ModelAnswer, ModelCall};
use std::sync::Arc;
use std::time::Duration;

/// Why an attempt brought no answer.
pub(super) enum Missed {
    /// HAIA's own limits left no place: nothing was sent, and whoever waits may have one.
    Busy(Failure),
    /// It was asked, or could not be.
    Failed(Failure),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// One that was not asked, and why.
struct Passed {
    provider: Arc<Provider>,
    model: Arc<Model>,
    failure: Failure,
}

impl Passed {
    fn of(provider: &Arc<Provider>, model: &Arc<Model>, failure: Failure) -> Self {
        Self { provider: Arc::clone(provider), model: Arc::clone(model), failure }
    }
}

/// What has come of a call's candidates so far.
#[derive(Default)]
struct Course {
    failures: Vec<Failure>,
    /// Those that HAIA's own limits had no place for.
    busy: Vec<Passed>,
    /// Those that are left alone because they failed before.
    shut: Vec<Passed>,
}

/// How much is done for one candidate.
#[derive(Clone, Copy)]
struct Effort {
    /// It is asked whatever happened before.
    regardless: bool,
    /// It is worth a wait for a place.
    waits: bool,
    /// It is worth another try.
    tries_again: bool,
}

/// Whoever has waited this long for a place in vain does not wait for another's.
const SHORT_WAIT: Duration = Duration::from_secs(1);

impl Inner {
    pub(super) async fn call(&self, call: ModelCall) -> Result<Called, Failure> {
        let asked = GrantCall::new(call.target.clone(), &call.caller, call.stream);
        let Grant(candidates) = self.grant.ask(asked, GRANT_DEADLINE).await??;
        // Whoever is asked for by name, or has nobody beside it, is asked whatever happened before.
        let is_alone = candidates.len() == 1;
        let mut course = Course::default();
        let mut has_builtin = false;
        let mut left = candidates.into_iter();
        while let Some(candidate) = left.next() {
            let Candidate::Model { provider, model } = candidate else {
                has_builtin = true;
                break;
            };
            // Worth another try, and a wait, only where nobody else could answer sooner.
            let tries_again = !self.may_ask(left.as_slice());
            let waits = tries_again && course.busy.is_empty();
            let effort = Effort { regardless: is_alone, waits, tries_again };
            if let Some(answer) = self.turn(&call, &provider, &model, effort, &mut course).await? {
                return Ok(Called::Stream(answer));
            }
        }
        // A place with one that works is worth a wait before anything lesser is tried, but not one wait after the other.
        let begun = self.clock.monotonic();
        for Passed { provider, model, .. } in std::mem::take(&mut course.busy) {
            let waits = self.clock.monotonic().saturating_sub(begun) < SHORT_WAIT;
            let effort = Effort { regardless: is_alone, waits, tries_again: true };
            if let Some(answer) = self.turn(&call, &provider, &model, effort, &mut course).await? {
                return Ok(Called::Stream(answer));
            }
        }
        course.failures.extend(course.busy.drain(..).map(|passed| passed.failure));
        if has_builtin {
            let Course { mut failures, shut, .. } = course;
            // A request that no model can be asked is for its writer to mend.
            if shut.is_empty() && !failures.is_empty() && are_particular(&failures) {
                return Err(conclude(failures));
            }
            failures.extend(shut.into_iter().map(|passed| passed.failure));
            return Ok(Called::Builtin { failures });
        }
        // Those that failed before are the last resort.
        let shut = std::mem::take(&mut course.shut);
        let last = shut.len().saturating_sub(1);
        for (at, Passed { provider, model, .. }) in shut.into_iter().enumerate() {
            let effort = Effort { regardless: true, waits: at == last, tries_again: at == last };
            if let Some(answer) = self.turn(&call, &provider, &model, effort, &mut course).await? {
                return Ok(Called::Stream(answer));
            }
        }
        course.failures.extend(course.busy.into_iter().map(|passed| passed.failure));
        Err(conclude(course.failures))
    }

    /// Asks one candidate if it may be asked now. Where no answer came, `course` knows why.
    ///
    /// # Errors
    /// What is wrong with the request itself is told as it is, whatever failed before.
    async fn turn(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        effort: Effort,
        course: &mut Course,
    ) -> Result<Option<ModelAnswer>, Failure> {
        let probe = match if effort.regardless { Ok(None) } else { self.pass(provider, model) } {
            Ok(probe) => probe,
            Err((told, failure)) => {
                tracing::debug!(request_id = %call.request_id, model = %model.id, reason = %failure, "model is left alone");
                // Before the time that a provider told nobody asks it again.
                if told {
                    course.failures.push(failure);
                } else {
                    course.shut.push(Passed::of(provider, model, failure));
                }
                return Ok(None);
            }
        };
        let asked = self.persist(call, provider, model, effort).await;
        drop(probe);
        match asked {
            Ok(answer) => return Ok(Some(answer)),
            Err(Missed::Busy(failure)) if effort.waits => course.failures.push(failure),
            Err(Missed::Busy(failure)) => course.busy.push(Passed::of(provider, model, failure)),
            Err(Missed::Failed(failure)) if failure.may_fail_over() => course.failures.push(failure),
            Err(Missed::Failed(failure)) => return Err(failure),
        }
        Ok(None)
    }

    /// Whether one of these may be asked now: nobody is whose provider told to wait, or that is left alone after failures.
    fn may_ask(&self, candidates: &[Candidate]) -> bool {
        candidates.iter().any(|candidate| match candidate {
            Candidate::Model { provider, model } => !provider.standing.is_shut(&model.standing, self.clock.monotonic()),
            Candidate::Builtin => false,
        })
    }

    /// The turn to ask, or why the route leaves this one alone, and whether its provider told to.
    fn pass<'a>(&self, provider: &'a Provider, model: &'a Model) -> Result<Option<Probe<'a>>, (bool, Failure)> {
        let Alone { wait, told, class } = match provider.standing.pass(&model.standing, self.clock.monotonic()) {
            Ok(probe) => return Ok(Some(probe)),
            Err(alone) => alone,
        };
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let message = match told {
            true => format!("{} asked not to be called for another {seconds} s", provider.name),
            false => format!("{} is left alone for {seconds} s after it failed ({})", provider.name, class.as_str()),
        };
        let failure = Failure::new(class, message).with_retry_after(Some(wait));
        Err((told, failure.from_provider(Arc::clone(&provider.name))))
    }

    /// One candidate, asked again after a moment where that is of use.
    async fn persist(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        effort: Effort,
    ) -> Result<ModelAnswer, Missed> {
        let mut tries = 0;
        loop {
            let failure = match self.attempt(call, provider, model, effort.waits).await {
                Ok(answer) => return Ok(answer),
                Err(Missed::Busy(failure)) => {
                    let failure = failure.from_provider(Arc::clone(&provider.name));
                    tracing::info!(request_id = %call.request_id, model = %model.id, reason = %failure, waited = effort.waits, "model has no place");
                    return Err(Missed::Busy(failure));
                }
                Err(Missed::Failed(failure)) => failure.from_provider(Arc::clone(&provider.name)),
            };
            tries += 1;
            let again = effort.tries_again && tries <= provider.config.retries;
            let pause = again.then(|| backoff::pause(&failure, tries, self.ledger.chance())).flatten();
            let pause_ms = pause.map(|pause| pause.as_millis() as u64);
            tracing::info!(request_id = %call.request_id, model = %model.id, class = failure.class.as_str(), reason = %failure, again_in_ms = pause_ms, "model did not answer");
            match pause {
                Some(pause) => self.clock.pause(pause).await,
                None => return Err(failure.into()),
            }
        }
    }

    /// One try; another with a changed request if it turns out what the model does not take, or wants. Each lesson is new, so they end.
    async fn attempt(
        &self,
        call: &ModelCall,
        provider: &Arc<Provider>,
        model: &Arc<Model>,
        is_last: bool,
    ) -> Result<ModelAnswer, Missed> {
        let mut learned = model.memory.learned();
        loop {
            let failure = match self.exchange(call, provider, model, learned, is_last).await {
                Ok(answer) => return Ok(answer),
                Err(Missed::Busy(failure)) => return Err(Missed::Busy(failure)),
                Err(Missed::Failed(failure)) => failure,
            };
            let Some(lesson) = Lesson::of(&failure).filter(|lesson| !learned.has(*lesson)) else {
                return Err(failure.into());
            };
            tracing::info!(request_id = %call.request_id, model = %model.id, reason = %failure, ?lesson, "model is asked in another way");
            model.memory.learn(lesson);
            learned = learned.and(lesson);
        }
    }
}

/// Whether HAIA itself could not ask any of them what was asked.
fn are_particular(failures: &[Failure]) -> bool {
    failures.iter().all(|failure| failure.is_particular)
}

/// What is told where nobody answered. Where none could be asked, the last reason is enough.
fn conclude(mut failures: Vec<Failure>) -> Failure {
    let told = if are_particular(&failures) { failures.pop() } else { merge(failures) };
    told.unwrap_or_else(|| Failure::new(FailureClass::NotFound, "the route has no entry"))
}
