//! The table of runs of jobs.

use crate::column;
use crate::words;
use contract::jobs::{JobRun, RunState};
use contract::store::{KeepRun, ReadRuns};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

/// The most runs of each job that one question is answered with.
const READ_LIMIT: u32 = 1_000;

/// Keeps a run and forgets the oldest beyond so many.
pub(crate) fn keep(connection: &Connection, kept: &KeepRun) -> rusqlite::Result<()> {
    put(connection, &kept.run)?;
    connection
        .prepare_cached(
            "DELETE FROM job_runs WHERE job = ?1 AND id NOT IN
             (SELECT id FROM job_runs WHERE job = ?1 ORDER BY id DESC LIMIT ?2)",
        )?
        .execute(params![&*kept.run.job, kept.keep.max(1)])
        .map(|_| ())
}

fn put(connection: &Connection, run: &JobRun) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO job_runs (id, job, trigger_by, due, started, ended, state, error, output)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET ended = excluded.ended, state = excluded.state, error = excluded.error,
             output = excluded.output",
        )?
        .execute(params![
            &*run.id,
            &*run.job,
            &*run.trigger,
            run.due.as_microsecond(),
            run.started.as_microsecond(),
            run.ended.map(Timestamp::as_microsecond),
            run.state.as_str(),
            run.error,
            run.output,
        ])
        .map(|_| ())
}

/// Marks every run that is still running as interrupted.
pub(crate) fn interrupt(connection: &Connection, at: Timestamp) -> rusqlite::Result<Vec<JobRun>> {
    let sql = format!("{COLUMNS} WHERE state = 'running' ORDER BY id");
    let running: Vec<JobRun> =
        connection.prepare_cached(&sql)?.query_map([], from_row)?.collect::<rusqlite::Result<_>>()?;
    let error = Some("HAIA ended while it ran".to_owned());
    let ended = |run: JobRun| JobRun { ended: Some(at), state: RunState::Interrupted, error: error.clone(), ..run };
    let interrupted: Vec<JobRun> = running.into_iter().map(ended).collect();
    for run in &interrupted {
        put(connection, run)?;
    }
    Ok(interrupted)
}

/// Runs, newest first; so many of each job.
pub(crate) fn read(connection: &Connection, asked: &ReadRuns) -> rusqlite::Result<Vec<JobRun>> {
    let sql = "SELECT id, job, trigger_by, due, started, ended, state, error, output FROM
         (SELECT *, row_number() OVER (PARTITION BY job ORDER BY id DESC) AS place FROM job_runs
          WHERE (?1 IS NULL OR job = ?1) AND (?2 IS NULL OR state = ?2))
         WHERE place <= ?3 ORDER BY id DESC";
    let values = params![asked.job.as_deref(), asked.state.map(RunState::as_str), asked.limit.clamp(1, READ_LIMIT)];
    connection.prepare_cached(sql)?.query_map(values, from_row)?.collect()
}

const COLUMNS: &str = "SELECT id, job, trigger_by, due, started, ended, state, error, output FROM job_runs";

fn from_row(row: &Row<'_>) -> rusqlite::Result<JobRun> {
    let ended: Option<i64> = row.get(5)?;
    Ok(JobRun {
        id: row.get::<_, String>(0)?.into(),
        job: row.get::<_, String>(1)?.into(),
        trigger: row.get::<_, String>(2)?.into(),
        due: column::time(row, 3)?,
        started: column::time(row, 4)?,
        ended: ended.map(|_| column::time(row, 5)).transpose()?,
        state: words::get(row, 6)?,
        error: row.get(7)?,
        output: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{NOON, migrated};

    fn run(id: &str, job: &str, state: RunState) -> JobRun {
        let ended = (state != RunState::Running).then_some(NOON);
        let (error, output) = (None, Some("done".to_owned()));
        JobRun {
            id: id.into(),
            job: job.into(),
            trigger: "schedule".into(),
            due: NOON,
            started: NOON,
            ended,
            state,
            error,
            output,
        }
    }

    #[test]
    fn runs_are_kept_ended_and_forgotten_by_job() {
        let connection = migrated();
        let keep_run = |run: JobRun| keep(&connection, &KeepRun { run, keep: 2 }).unwrap();
        for id in ["1", "2", "3"] {
            keep_run(run(id, "report", RunState::Running));
            keep_run(run(id, "report", RunState::Ok));
        }
        keep_run(run("0", "other", RunState::Running));
        let ids = |asked: ReadRuns| -> Vec<String> {
            read(&connection, &asked).unwrap().iter().map(|run| run.id.to_string()).collect()
        };
        assert_eq!(ids(ReadRuns { limit: 10, ..ReadRuns::default() }), ["3", "2", "0"]);
        assert_eq!(ids(ReadRuns { limit: 1, ..ReadRuns::default() }), ["3", "0"], "one of each job");
        assert_eq!(ids(ReadRuns { job: Some("report".into()), limit: 10, state: None }), ["3", "2"]);
        let interrupted = interrupt(&connection, NOON).unwrap();
        assert_eq!((interrupted.len(), interrupted[0].state), (1, RunState::Interrupted));
        assert_eq!(interrupt(&connection, NOON).unwrap(), []);
        assert_eq!(ids(ReadRuns { state: Some(RunState::Interrupted), limit: 10, job: None }), ["0"]);
    }
}
