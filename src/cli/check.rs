//! `haia check`: the result of probing everything that is configured, as a table or as JSON. The probes themselves are made elsewhere.

use super::Exit;
use super::output::Output;
use super::table::{Cell, Table};
use super::text::Style;
use crate::config::Problem;
use serde::Serialize;
use std::io;

/// One thing that was probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// What it is called in the configuration: `providers.anthropic`, `store`.
    pub name: String,
    /// What was tried: an address, a path.
    pub what: String,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a probe went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Outcome {
    /// It can be used.
    Ok {
        /// What was seen: `12 models`.
        detail: String,
    },
    /// It cannot.
    Failed {
        /// What is wrong.
        problem: String,
        /// What to do about it.
        advice: String,
    },
}

impl Probe {
    /// Something that can be used.
    pub fn ok(name: impl Into<String>, what: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), what: what.into(), outcome: Outcome::Ok { detail: detail.into() } }
    }

    /// Something that cannot be used, and what to do about it.
    pub fn failed(
        name: impl Into<String>,
        what: impl Into<String>,
        problem: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let outcome = Outcome::Failed { problem: problem.into(), advice: advice.into() };
        Self { name: name.into(), what: what.into(), outcome }
    }

    fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok { .. })
    }
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    probes: &'a [Probe],
    warnings: Vec<String>,
}

/// Shows the result. Anything unusable is exit code 1.
///
/// # Errors
/// stdout is closed.
pub fn report(probes: &[Probe], warnings: &[Problem], json: bool, output: &mut Output) -> io::Result<Exit> {
    let failed: Vec<&Probe> = probes.iter().filter(|probe| !probe.is_ok()).collect();
    let exit = if failed.is_empty() { Exit::Done } else { Exit::Failed };
    if json {
        let warnings = warnings.iter().map(ToString::to_string).collect();
        output.json(&Report { ok: failed.is_empty(), probes, warnings })?;
        return Ok(exit);
    }
    warnings.iter().for_each(|warning| output.warning(&warning.to_string()));
    let mut table = Table::new(["WHAT", "WHERE", "RESULT", ""]);
    for probe in probes {
        let (result, note) = match &probe.outcome {
            Outcome::Ok { detail } => (Cell::styled("ok", Style::Good), detail),
            Outcome::Failed { problem, .. } => (Cell::styled("failed", Style::Bad), problem),
        };
        table.row([Cell::from(&probe.name), Cell::from(&probe.what), result, Cell::from(note)]);
    }
    output.write(&table.render(output.colour()))?;
    if !failed.is_empty() {
        output.line("\nWhat to do:")?;
    }
    for probe in &failed {
        if let Outcome::Failed { advice, .. } = &probe.outcome {
            output.line(&format!("  {}: {}", super::text::one_line(&probe.name), super::text::one_line(advice)))?;
        }
    }
    Ok(exit)
}

/// Shows what is wrong with the configuration, on stderr and, if wanted, as JSON on stdout. Always exit code 2.
///
/// # Errors
/// stdout is closed.
pub fn refuse(problems: &[Problem], json: bool, output: &mut Output) -> io::Result<Exit> {
    if json {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        output.json(&serde_json::json!({ "ok": false, "problems": problems }))?;
    } else {
        problems.iter().for_each(|problem| output.problem(&problem.to_string()));
    }
    Ok(Exit::Usage)
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::*;
    use crate::config::Origin;

    fn probes() -> Vec<Probe> {
        vec![
            Probe::ok("store", "/var/lib/haia/haia.db", "schema 1"),
            Probe::failed(
                "providers.ollama",
                "http://nas:11434",
                "connection refused",
                "start ollama, or correct base_url",
            ),
        ]
    }

    #[test]
    fn people_get_a_table_and_what_to_do() {
        let (mut output, out, error) = output();
        let warning = Problem::at(&Origin::line(&"haia.toml".into(), 3), "[mqtt] is not used by this version");
        assert_eq!(report(&probes(), &[warning], false, &mut output).expect("written"), Exit::Failed);
        assert_eq!(
            out.text(),
            "WHAT              WHERE                  RESULT\n\
             store             /var/lib/haia/haia.db  ok      schema 1\n\
             providers.ollama  http://nas:11434       failed  connection refused\n\
             \nWhat to do:\n  providers.ollama: start ollama, or correct base_url\n"
        );
        assert_eq!(error.text(), "warning: haia.toml:3: [mqtt] is not used by this version\n");
    }

    #[test]
    fn programs_get_the_same() {
        let (mut output, out, _) = output();
        assert_eq!(report(&probes()[..1], &[], true, &mut output).expect("written"), Exit::Done);
        let read: serde_json::Value = serde_json::from_str(&out.text()).expect("JSON");
        assert_eq!(
            read,
            serde_json::json!({"ok": true, "warnings": [],
                "probes": [{"name": "store", "what": "/var/lib/haia/haia.db", "result": "ok", "detail": "schema 1"}]})
        );
    }

    #[test]
    fn a_wrong_configuration_is_another_exit_code() {
        let (mut output, out, error) = output();
        let problem = Problem::at(&Origin::Default, "wrong");
        assert_eq!(refuse(std::slice::from_ref(&problem), false, &mut output).expect("written"), Exit::Usage);
        assert_eq!((out.text().as_str(), error.text().as_str()), ("", "error: wrong\n"));
        assert_eq!(refuse(&[problem], true, &mut output).expect("written"), Exit::Usage);
        assert!(out.text().contains("\"wrong\""));
    }
}
