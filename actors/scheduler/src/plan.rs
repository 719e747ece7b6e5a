//! What begins at each tick, and what is skipped: misfires, coalescing, the most runs at once, jitter, pauses, clocks that jump. Pure: time
//! comes in with each call.

use crate::config::{Coalesce, Config, JobConfig};
use crate::trigger::Trigger;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// The longest grace a job has where none is configured.
const GRACE: SignedDuration = SignedDuration::from_mins(5);
/// The shortest: a tick may come late by itself.
const LEAST_GRACE: SignedDuration = SignedDuration::from_secs(5);
/// The most runs that wait for the one before them.
const MOST_WAITING: usize = 10;
/// A wall clock that moves by so much more or less than it should has jumped.
const JUMP: SignedDuration = SignedDuration::from_secs(2);

/// A run that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The job.
    pub job: Arc<str>,
    /// When it was due.
    pub due: Timestamp,
    /// Why: `schedule`, `start`, or who asked.
    pub trigger: Arc<str>,
}

/// A run that does not take place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The job.
    pub job: Arc<str>,
    /// When it was due.
    pub due: Timestamp,
    /// Why, for people.
    pub why: String,
}

/// What a tick leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// Runs that begin.
    pub begin: Vec<Begin>,
    /// Runs that do not.
    pub skip: Vec<Skip>,
    /// By how much the wall clock jumped since the last tick; 0 if it did not.
    pub jumped_s: i64,
}

#[derive(Debug)]
struct Entry {
    config: JobConfig,
    trigger: Trigger,
    next: Option<Timestamp>,
    is_paused: bool,
    running: u32,
    waiting: VecDeque<Timestamp>,
}

/// Every job and when it is due.
#[derive(Debug)]
pub struct Plan {
    jobs: BTreeMap<Arc<str>, Entry>,
    /// How much faster than the world HAIA's time runs.
    factor: f64,
    last: Option<(Timestamp, Duration)>,
}

impl Plan {
    /// An empty plan. `factor` is how much faster than the world HAIA's time runs.
    pub fn new(factor: f64) -> Self {
        Self { jobs: BTreeMap::new(), factor, last: None }
    }

    /// Takes over the jobs of a configuration. Jobs that are unchanged go on as they are. `last_due` tells when each ran last: what was
    /// missed since is judged by the next tick.
    pub fn take_over(
        &mut self,
        config: &Config,
        last_due: &BTreeMap<Arc<str>, Timestamp>,
        paused: &BTreeSet<Arc<str>>,
        now: Timestamp,
    ) {
        let mut before = std::mem::take(&mut self.jobs);
        for (name, job) in config.jobs.iter().filter(|(_, job)| job.enabled) {
            let old = before.remove(name.as_str());
            if let Some(same) = old.as_ref().filter(|old| old.config == *job) {
                let _ = same;
                self.jobs.extend(old.map(|old| (Arc::from(name.as_str()), old)));
                continue;
            }
            // The configuration was validated; a job that cannot be understood all the same is never due.
            let zone = job.zone().unwrap_or(TimeZone::UTC);
            let trigger = Trigger::of(job, &zone).unwrap_or(Trigger::Never);
            let last = last_due.get(name.as_str()).copied();
            let next = match (&trigger, last) {
                (Trigger::Once(at), Some(last)) if last >= *at => None,
                (Trigger::Once(at), _) => Some(*at),
                (trigger, last) => trigger.next_after(last.unwrap_or(now)),
            };
            let is_paused = paused.contains(name.as_str());
            let running = old.map_or(0, |old| old.running);
            let entry = Entry { config: job.clone(), trigger, next, is_paused, running, waiting: VecDeque::new() };
            self.jobs.insert(name.as_str().into(), entry);
        }
    }

    /// Jobs to run because HAIA starts.
    pub fn at_start(&mut self, now: Timestamp) -> Vec<Begin> {
        let mut begin = Vec::new();
        for (name, entry) in self.jobs.iter_mut().filter(|(_, entry)| entry.config.on_start && !entry.is_paused) {
            entry.running += 1;
            begin.push(Begin { job: Arc::clone(name), due: now, trigger: "start".into() });
        }
        begin
    }

    /// What begins now. `real` is time that never jumps.
    pub fn tick(&mut self, now: Timestamp, real: Duration) -> Decided {
        let mut decided = Decided { jumped_s: self.jumped(now, real), ..Decided::default() };
        let went_back = decided.jumped_s < 0;
        for (name, entry) in &mut self.jobs {
            if went_back && !matches!(entry.trigger, Trigger::Once(_)) {
                entry.next = entry.trigger.next_after(now);
            }
            entry.tick(name, now, &mut decided);
        }
        decided
    }

    fn jumped(&mut self, now: Timestamp, real: Duration) -> i64 {
        let before = self.last.replace((now, real));
        let Some((wall, mono)) = before else { return 0 };
        let passed = real.saturating_sub(mono).as_secs_f64() * self.factor;
        let jump = now.duration_since(wall).as_secs_f64() - passed;
        if jump.abs() > JUMP.as_secs_f64() * self.factor.max(1.0) { jump.round() as i64 } else { 0 }
    }

    /// A run has ended; the one that waited for it, if any.
    pub fn ended(&mut self, job: &str) -> Option<Begin> {
        let (name, entry) = self.find(job)?;
        entry.running = entry.running.saturating_sub(1);
        if entry.is_paused {
            entry.waiting.clear();
        }
        let due = entry.waiting.pop_front()?;
        entry.running += 1;
        Some(Begin { job: name, due, trigger: "schedule".into() })
    }

    /// Runs a job now, beside its schedule.
    ///
    /// # Errors
    /// There is no such job (`None`), or it runs already.
    pub fn run_now(&mut self, job: &str, who: &str, now: Timestamp) -> Result<Begin, Option<String>> {
        let (name, entry) = self.find(job).ok_or(None)?;
        if entry.running >= entry.config.max_instances {
            return Err(Some(format!("{name} is running already")));
        }
        entry.running += 1;
        Ok(Begin { job: name, due: now, trigger: who.into() })
    }

    /// Pauses or resumes a job. Whether there is one of that name. What passed during a pause is not made up for.
    pub fn pause(&mut self, job: &str, pause: bool, now: Timestamp) -> bool {
        let Some((_, entry)) = self.find(job) else { return false };
        if entry.is_paused && !pause && !matches!(entry.trigger, Trigger::Once(_)) {
            entry.next = entry.trigger.next_after(now);
        }
        entry.is_paused = pause;
        true
    }

    fn find(&mut self, job: &str) -> Option<(Arc<str>, &mut Entry)> {
        let name = self.jobs.get_key_value(job).map(|(name, _)| Arc::clone(name))?;
        self.jobs.get_mut(job).map(|entry| (name, entry))
    }

    /// The jobs: name, configuration, state as a word, and the next time.
    pub fn jobs(&self) -> impl Iterator<Item = (&Arc<str>, &JobConfig, &'static str, Option<Timestamp>)> {
        self.jobs.iter().map(|(name, entry)| {
            let state = match entry {
                Entry { running: 1.., .. } => "running",
                Entry { is_paused: true, .. } => "paused",
                Entry { next: None, trigger: Trigger::Once(_), .. } => "done",
                _ => "scheduled",
            };
            let next = entry.next.filter(|_| !entry.is_paused);
            (name, &entry.config, state, next.map(|due| entry.start_of(name, due)))
        })
    }

    /// The configuration of a job.
    pub fn config(&self, job: &str) -> Option<&JobConfig> {
        self.jobs.get(job).map(|entry| &entry.config)
    }
}

impl Entry {
    fn tick(&mut self, name: &Arc<str>, now: Timestamp, decided: &mut Decided) {
        let Some(next) = self.next.filter(|next| self.start_of(name, *next) <= now) else { return };
        if self.is_paused {
            self.next = self.trigger.next_after(now);
            return;
        }
        let mut due = self.passed(name, next, now);
        let last = due.back().copied().unwrap_or(next);
        self.next = self.trigger.next_after(last.max(next));
        let grace = self.grace(last);
        due.retain(|due| {
            let late = now.duration_since(self.start_of(name, *due));
            if late > grace {
                let why =
                    format!("it was due {} s earlier and may be at most {} s late", late.as_secs(), grace.as_secs());
                decided.skip.push(Skip { job: Arc::clone(name), due: *due, why });
            }
            late <= grace
        });
        for due in due {
            if self.running < self.config.max_instances {
                self.running += 1;
                decided.begin.push(Begin { job: Arc::clone(name), due, trigger: "schedule".into() });
            } else if self.config.coalesce == Coalesce::All && self.waiting.len() < MOST_WAITING {
                self.waiting.push_back(due);
            } else {
                let why = "the run before it was still going".to_owned();
                decided.skip.push(Skip { job: Arc::clone(name), due, why });
            }
        }
    }

    /// The times that have come, from `next` on: the latest alone, or the latest ten.
    fn passed(&self, name: &str, next: Timestamp, now: Timestamp) -> VecDeque<Timestamp> {
        let most = match self.config.coalesce {
            Coalesce::Latest => 1,
            Coalesce::All => MOST_WAITING,
        };
        let mut due = VecDeque::new();
        let mut at = self.trigger.latest(next, now);
        while let Some(one) = at.filter(|one| *one >= next && due.len() < most) {
            if self.start_of(name, one) <= now {
                due.push_front(one);
            }
            at = self.trigger.before(one);
        }
        if due.is_empty() {
            due.push_back(next);
        }
        due
    }

    fn grace(&self, due: Timestamp) -> SignedDuration {
        match self.config.grace {
            Some(grace) => SignedDuration::try_from(grace.0).unwrap_or(SignedDuration::MAX),
            None => self.trigger.period(due).unwrap_or(GRACE).clamp(LEAST_GRACE, GRACE),
        }
    }

    /// When a run that is due at `due` begins: the same for the same job and time, over restarts.
    fn start_of(&self, name: &str, due: Timestamp) -> Timestamp {
        let jitter_ms = u64::try_from(self.config.jitter.0.as_millis()).unwrap_or(u64::MAX);
        if jitter_ms == 0 {
            return due;
        }
        // FNV-1a: any even spread will do, but it must be the same tomorrow.
        let bytes = name.bytes().chain(due.as_second().to_le_bytes());
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        let delay = SignedDuration::from_millis(i64::try_from(hash % jitter_ms.saturating_add(1)).unwrap_or(0));
        due.checked_add(delay).unwrap_or(due)
    }
}
