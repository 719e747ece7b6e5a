//! The configuration as an operator meets it: every error at once, secrets never shown.

use crate::daemon::Setup;

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_error_is_told_at_once_with_its_place() {
    let config = "[server]\nlisten = \"nowhere\"\nmax_bdy = \"1MiB\"\n[agent]\nmax_tool_rounds = \"many\"\n\
        tool_timeout = \"30 parsecs\"\n[providers.x]\nkind = \"telepathy\"\n[routes]\ndefault = [\"nobody/nothing\"]\n";
    let output = Setup::with_server(config).run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let told = told(&output);
    for expected in ["listen", "max_bdy", "max_body", "max_tool_rounds", "tool_timeout", "telepathy", "haia.toml"] {
        assert!(told.contains(expected), "no {expected} in:\n{told}");
    }
    for line in ["2", "3", "5", "6", "8"] {
        assert!(told.contains(&format!("haia.toml:{line}")), "no line {line} in:\n{told}");
    }
}

#[test]
fn text_that_is_no_toml_is_told_with_its_line() {
    let output = Setup::with_server("[server]\nlisten = \n").run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("haia.toml:2"), "{}", told(&output));
}

#[test]
fn the_environment_overrides_and_its_errors_name_the_variable() {
    let setup = Setup::new().environment("HAIA_AGENT__MAX_TOOL_ROUNDS", "5");
    let printed = setup.run(&["config", "print"]);
    assert_eq!(printed.status.code(), Some(0), "{}", told(&printed));
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("max_tool_rounds")).expect("every value is printed");
    assert!(line.contains('5') && line.contains("HAIA_AGENT__MAX_TOOL_ROUNDS"), "with its origin: {line}");

    let output = Setup::new().environment("HAIA_AGENT__MAX_TOOL_RONDS", "5").run(&["serve"]);
    assert_eq!(output.status.code(), Some(2));
    let told = told(&output);
    assert!(told.contains("HAIA_AGENT__MAX_TOOL_RONDS") && told.contains("max_tool_rounds"), "{told}");
}

#[test]
fn secrets_are_masked_wherever_they_come_from() {
    let config = "[providers.a]\nkind = \"openai\"\napi_key = \"env:SOME_SECRET\"\n\
        [providers.b]\nkind = \"openai\"\napi_key = \"sk-literal-secret\"\n";
    let setup = Setup::new().config(config).environment("SOME_SECRET", "sk-from-environment");
    let printed = setup.run(&["config", "print"]);
    assert_eq!(printed.status.code(), Some(0), "{}", told(&printed));
    let text = format!("{}{}", String::from_utf8_lossy(&printed.stdout), told(&printed));
    for secret in ["sk-from-environment", "sk-literal-secret", crate::daemon::ADMIN] {
        assert!(!text.contains(secret), "{text}");
    }
    let missing = Setup::new().config("[providers.a]\nkind = \"openai\"\napi_key = \"env:NOT_SET\"\n").run(&["serve"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(told(&missing).contains("NOT_SET"), "{}", told(&missing));
}

#[test]
fn the_built_in_model_may_stand_among_the_providers() {
    let config =
        "[providers.builtin]\nkind = \"builtin\"\nmodels = [\"offline\"]\n[routes]\ndefault = [\"builtin/offline\"]\n";
    let setup = Setup::new().config(config);
    let checked = setup.run(&["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", String::from_utf8_lossy(&checked.stdout));
    let daemon = setup.start();
    for model in ["haia", "builtin/offline"] {
        let answer = daemon.chat(&crate::ask(model, false));
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert!(!answer.content().is_empty(), "{model}");
    }
}

#[test]
fn the_shipped_configuration_changes_nothing() {
    let shipped = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/haia.toml")).expect("haia.toml");
    let values = |setup: &Setup| -> String {
        let output = setup.run(&["config", "print"]);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(values(&Setup::with_server(&shipped)), values(&Setup::with_server("")));
}

#[test]
fn nonsense_on_the_command_line_is_a_usage_error() {
    for arguments in [&["dance"][..], &["--no-such-option"], &["keys", "new", "x", "--scope", "everything"]] {
        assert_eq!(Setup::new().run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
