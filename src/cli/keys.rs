//! `haia keys`: makes, lists and revokes API keys, through the running daemon or, where none runs, in the store itself. A new key goes to
//! stdout once; it is kept nowhere.

use super::output::Output;
use super::socket::{Answer, Socket, encode};
use super::table::{Cell, Table};
use super::text::Style;
use super::{Exit, KeysAction};
use contract::caller::Scope;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewKey {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// The key itself.
    pub key: String,
}

/// A key as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedKey {
    /// Its name.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// `config` or `store`.
    pub source: String,
    /// When it was made, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Keys {
    keys: Vec<ListedKey>,
}

/// Where keys are kept.
pub trait Keyring {
    /// Makes a key and stores its hash.
    ///
    /// # Errors
    /// The name is taken, or the store cannot do it.
    fn create(&mut self, name: &str, scope: Scope) -> anyhow::Result<NewKey>;
    /// Every key.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&mut self) -> anyhow::Result<Vec<ListedKey>>;
    /// Forgets a key; `false` if there is none of that name.
    ///
    /// # Errors
    /// The key stands in the configuration, or the store cannot do it.
    fn revoke(&mut self, name: &str) -> anyhow::Result<bool>;
}

/// Keys through the running daemon: a change is in force at once.
pub struct DaemonKeys<'a>(pub &'a Socket);

impl Keyring for DaemonKeys<'_> {
    fn create(&mut self, name: &str, scope: Scope) -> anyhow::Result<NewKey> {
        let answer = self.0.ask("POST", "/api/keys", Some(&json!({"name": name, "scope": scope})))?;
        Ok(serde_json::from_slice(&done(answer)?.body)?)
    }

    fn list(&mut self) -> anyhow::Result<Vec<ListedKey>> {
        let answer = self.0.ask("GET", "/api/keys", None)?;
        Ok(serde_json::from_slice::<Keys>(&done(answer)?.body)?.keys)
    }

    fn revoke(&mut self, name: &str) -> anyhow::Result<bool> {
        let answer = self.0.ask("DELETE", &format!("/api/keys/{}", encode(name)), None)?;
        if answer.head.status == 404 {
            return Ok(false);
        }
        done(answer).map(|_| true)
    }
}

/// Keys while no daemon runs: those of the store, and those of the configuration, which cannot be changed here.
pub struct OfflineKeys {
    /// The store's keys. The composition root gives it: nothing else may open the store.
    pub stored: Box<dyn Keyring>,
    /// The names and scopes of the configuration's keys.
    pub configured: Vec<(String, Scope)>,
}

impl OfflineKeys {
    fn is_configured(&self, name: &str) -> bool {
        self.configured.iter().any(|(configured, _)| configured == name)
    }
}

impl Keyring for OfflineKeys {
    fn create(&mut self, name: &str, scope: Scope) -> anyhow::Result<NewKey> {
        let taken = self.is_configured(name) || self.stored.list()?.iter().any(|key| key.name == name);
        anyhow::ensure!(!taken, "there is a key {name:?} already");
        self.stored.create(name, scope)
    }

    fn list(&mut self) -> anyhow::Result<Vec<ListedKey>> {
        let configured = self.configured.iter().map(|(name, scope)| ListedKey {
            name: name.clone(),
            scope: *scope,
            source: "config".to_owned(),
            created: None,
        });
        let mut keys: Vec<ListedKey> = configured.collect();
        keys.extend(self.stored.list()?);
        Ok(keys)
    }

    fn revoke(&mut self, name: &str) -> anyhow::Result<bool> {
        let found = self.stored.revoke(name)?;
        anyhow::ensure!(
            found || !self.is_configured(name),
            "the key {name:?} stands in the configuration: remove it there"
        );
        Ok(found)
    }
}

fn done(answer: Answer) -> anyhow::Result<Answer> {
    anyhow::ensure!(answer.is_success(), "{}", answer.refusal());
    Ok(answer)
}

/// Does what was asked for.
///
/// # Errors
/// The keys cannot be read or changed, or stdout is closed.
pub fn run(action: &KeysAction, keys: &mut dyn Keyring, output: &mut Output) -> anyhow::Result<Exit> {
    match action {
        KeysAction::New { name, scope, json } => {
            let new = keys.create(name, *scope)?;
            if *json {
                output.json(&new)?;
            } else {
                output.progress(&format!(
                    "the key {:?} with scope {}; it is shown this once:",
                    new.name,
                    new.scope.as_str()
                ));
                output.line(&new.key)?;
            }
        }
        KeysAction::List { json } => {
            let listed = keys.list()?;
            if *json {
                output.json(&Keys { keys: listed })?;
            } else if listed.is_empty() {
                output.line("There are no keys: only this machine may use HAIA. Make one with \"haia keys new NAME --scope control\".")?;
            } else {
                output.write(&table(&listed).render(output.colour()))?;
            }
        }
        KeysAction::Revoke { name } => {
            if !keys.revoke(name)? {
                output.problem(&format!("there is no key {name:?}; \"haia keys list\" shows them"));
                return Ok(Exit::Failed);
            }
            output.progress(&format!("the key {name:?} is revoked"));
        }
    }
    Ok(Exit::Done)
}

fn table(listed: &[ListedKey]) -> Table {
    let mut table = Table::new(["NAME", "SCOPE", "FROM", "CREATED"]);
    for key in listed {
        let from = if key.source == "config" { "configuration" } else { "store" };
        let created = key.created.as_deref().map_or("", |created| created.split(['T', ' ']).next().unwrap_or_default());
        table.row([
            Cell::from(&key.name),
            Cell::from(key.scope.as_str()),
            Cell::from(from),
            Cell::styled(created, Style::Dim),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::output;
    use super::super::socket::testing::{Daemon, json as answer};
    use super::*;

    fn run_with(action: KeysAction, reply: String) -> (anyhow::Result<Exit>, String, String, String) {
        let daemon = Daemon::start(vec![reply]);
        let (mut output, out, error) = output();
        let exit = run(&action, &mut DaemonKeys(&daemon.socket()), &mut output);
        (exit, out.text(), error.text(), daemon.request())
    }

    #[test]
    fn a_new_key_is_alone_on_stdout() {
        let reply =
            answer("201 Created", r#"{"name":"ui","scope":"admin","key":"haia-123","created":"2026-11-21T10:00:00Z"}"#);
        let action = KeysAction::New { name: "ui".into(), scope: Scope::Admin, json: false };
        let (exit, out, error, request) = run_with(action, reply);
        assert_eq!((exit.expect("done"), out.as_str()), (Exit::Done, "haia-123\n"));
        assert!(error.contains("shown this once") && !error.contains("haia-123"));
        assert!(
            request.starts_with("POST /api/keys ") && request.contains(r#"{"name":"ui","scope":"admin"}"#),
            "{request}"
        );
    }

    #[test]
    fn keys_are_listed_for_people_and_programs() {
        let body = r#"{"keys":[{"name":"ui","scope":"control","source":"config"},{"name":"a","scope":"read","source":"store","created":"2026-11-21T10:00:00Z"}]}"#;
        let (_, out, ..) = run_with(KeysAction::List { json: false }, answer("200 OK", body));
        assert_eq!(
            out,
            "NAME  SCOPE    FROM           CREATED\nui    control  configuration\na     read     store          2026-11-21\n"
        );
        let (_, out, ..) = run_with(KeysAction::List { json: true }, answer("200 OK", body));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&out).ok(), serde_json::from_str(body).ok());
        let (_, out, ..) = run_with(KeysAction::List { json: false }, answer("200 OK", r#"{"keys":[]}"#));
        assert!(out.starts_with("There are no keys"));
    }

    struct Stored(Vec<ListedKey>);

    impl Keyring for Stored {
        fn create(&mut self, name: &str, scope: Scope) -> anyhow::Result<NewKey> {
            self.0.push(ListedKey { name: name.into(), scope, source: "store".into(), created: None });
            Ok(NewKey { name: name.into(), scope, key: "haia-1".into() })
        }

        fn list(&mut self) -> anyhow::Result<Vec<ListedKey>> {
            Ok(self.0.clone())
        }

        fn revoke(&mut self, name: &str) -> anyhow::Result<bool> {
            let before = self.0.len();
            self.0.retain(|key| key.name != name);
            Ok(self.0.len() < before)
        }
    }

    #[test]
    fn without_a_daemon_the_configurations_keys_count_too() {
        let mut keys =
            OfflineKeys { stored: Box::new(Stored(Vec::new())), configured: vec![("ui".to_owned(), Scope::Control)] };
        assert!(keys.create("ui", Scope::Read).is_err());
        assert_eq!(keys.create("a", Scope::Read).expect("made").key, "haia-1");
        assert!(keys.create("a", Scope::Read).is_err());
        let names: Vec<String> = keys.list().expect("listed").into_iter().map(|key| key.name).collect();
        assert_eq!(names, ["ui", "a"]);
        assert!(keys.revoke("a").expect("revoked") && !keys.revoke("a").expect("asked"));
        assert!(keys.revoke("ui").is_err());
    }

    #[test]
    fn revoking_tells_whether_there_was_one() {
        let action = || KeysAction::Revoke { name: "u i".into() };
        let (exit, _, error, request) = run_with(action(), answer("200 OK", r#"{"name":"u i","revoked":true}"#));
        assert_eq!((exit.expect("done"), error.as_str()), (Exit::Done, "the key \"u i\" is revoked\n"));
        assert!(request.starts_with("DELETE /api/keys/u%20i "));
        let (exit, ..) = run_with(action(), answer("404 Not Found", "{}"));
        assert_eq!(exit.expect("told"), Exit::Failed);
        let (exit, ..) =
            run_with(action(), answer("400 Bad Request", r#"{"error":{"message":"it stands in the configuration"}}"#));
        assert_eq!(exit.expect_err("refused").to_string(), "it stands in the configuration");
    }
}
