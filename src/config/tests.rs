//! The layers together, as a person meets them: files in a folder, variables, options; and the shipped `haia.toml`.

mod shipped;

use super::*;
use contract::caller::Scope;
use contract::units::{Size, Span};
use tempfile::TempDir;

struct Place {
    folder: TempDir,
    options: Options,
}

fn place<const N: usize>(file: &str, variables: [(&str, &str); N]) -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    if !file.is_empty() {
        std::fs::write(folder.path().join("haia.toml"), file).expect("written");
    }
    let options = Options {
        // Without a file of its own a test must not meet the machine's /etc/haia/haia.toml.
        file: file.is_empty().then(|| {
            std::fs::write(folder.path().join("empty.toml"), "").expect("written");
            PathBuf::from("empty.toml")
        }),
        overrides: Vec::new(),
        environment: Environment::of(variables),
        directory: folder.path().to_owned(),
    };
    Place { folder, options }
}

fn problems<const N: usize>(file: &str, variables: [(&str, &str); N]) -> Vec<String> {
    match load(&place(file, variables).options) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn loaded<const N: usize>(file: &str, variables: [(&str, &str); N]) -> Loaded {
    load(&place(file, variables).options).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let loaded = loaded("", []);
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!((loaded.time_factor, loaded.faults, loaded.warnings.len()), (1.0, false, 0));
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let file = "[server]\nlisten = '127.0.0.1:1'\nmax_body = '1MiB'\nworkers = 1\n[store]\npath = 'file.db'\n";
    let mut place = place(
        file,
        [("HAIA_SERVER__LISTEN", "127.0.0.1:2"), ("HAIA_SERVER__MAX_BODY", "2MiB"), ("HAIA_AGENT__ROUTE", "default")],
    );
    std::fs::write(place.folder.path().join(".env"), "HAIA_SERVER__MAX_BODY=9MiB\nHAIA_STORE__PATH=dotenv.db\n")
        .expect("written");
    place.options.overrides =
        vec![Override { option: "--listen", path: &["server", "listen"], text: "127.0.0.1:3".to_owned() }];
    let loaded = load(&place.options).unwrap_or_else(|problems| panic!("{problems:?}"));
    let settings = &loaded.settings;
    assert_eq!(settings.server.listen, "127.0.0.1:3");
    assert_eq!(settings.server.max_body, Size(2 << 20));
    assert_eq!(settings.server.workers, 1);
    assert_eq!(settings.store.path, PathBuf::from("dotenv.db"));
    let printed = text(&lines(&loaded.document));
    for (key, origin) in [
        ("listen", "--listen"),
        ("max_body", "HAIA_SERVER__MAX_BODY"),
        ("workers", "haia.toml:4"),
        ("path", "HAIA_STORE__PATH (in .env)"),
        ("max_tool_rounds", "default"),
    ] {
        let line = printed.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key);
        assert!(line.ends_with(&format!("# {origin}")), "{line}");
    }
}

#[test]
fn a_provider_is_read_whole_and_in_order() {
    let file = "[providers.zoo]\nkind = 'openai'\nbase_url = 'http://zoo:1/v1'\napi_key = 'env:ZOO'\nidle_timeout = '5s'\n\
                options = { top_k = 4, nested = { a = [1, 2.5, true] } }\nmodels = ['m']\n\
                [providers.zoo.model.m]\nmax_tokens = 7\nprice = { input = 1, output = 2.5 }\n\
                [providers.ape]\nkind = 'ollama'\n[routes]\ndefault = ['zoo/m', 'builtin/offline']\n";
    let loaded = loaded(file, [("ZOO", "key-of-the-zoo")]);
    let providers = &loaded.settings.providers.providers;
    let names: Vec<&str> = providers.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["zoo", "ape"]);
    let zoo = providers.get("zoo").expect("zoo");
    assert_eq!(zoo.api_key.as_ref().map(|key| key.expose()), Some("key-of-the-zoo"));
    assert_eq!(zoo.idle_timeout, Span::seconds(5));
    assert_eq!(serde_json::to_string(&zoo.options).expect("JSON"), r#"{"nested":{"a":[1,2.5,true]},"top_k":4}"#);
    assert_eq!(zoo.model["m"].price.map(|price| (price.input, price.output)), Some((1.0, 2.5)));
    let printed = text(&lines(&loaded.document));
    assert!(printed.contains("api_key = \"env:ZOO\"") && !printed.contains("key-of-the-zoo"));
    assert!(
        printed.contains("base_url = \"http://127.0.0.1:11434\"")
            && !format!("{:?}", loaded.settings).contains("key-of-the-zoo")
    );
}

#[test]
fn every_problem_of_every_layer_comes_at_once() {
    let file = "[server]\nlistn = 'x'\nworkers = 'two'\n\n[server.keys.ui]\nkey = 'env:NOT_SET'\nscope = 'root'\n\
                [agent]\ntool_timeout = '30'\n[providers.x]\nkind = 'openai'\nbase_url = 'nowhere'\n[routes]\ndefault = ['y/z']\n";
    let found = problems(
        file,
        [
            ("HAIA_STORE__PTH", "x"),
            ("HAIA_MODEL", "gpt"),
            ("HAIA_TIME_FACTOR", "fast"),
            ("HAIA_FAULTS", "yes"),
            ("HAIA_TOOLS__MAX_ARGUMENTS", "5"),
        ],
    );
    let duration = "write for example \"500ms\", \"10s\", \"5m\", \"2h\" or \"1d\"";
    let expected = [
        "haia.toml:2: unknown key \"server.listn\"; did you mean \"server.listen\"?".to_owned(),
        "haia.toml:3: \"server.workers\" must be a whole number, 0 or more, not a text".to_owned(),
        "haia.toml:6: \"server.keys.ui.key\": the environment variable NOT_SET is not set".to_owned(),
        "haia.toml:7: \"server.keys.ui.scope\" must be one of \"read\", \"control\", \"admin\", not \"root\"".to_owned(),
        format!("haia.toml:9: \"agent.tool_timeout\": \"30\" is not a duration: {duration}"),
        "haia.toml:12: \"providers.x.base_url\": \"nowhere\" is not a URL; write for example \"http://127.0.0.1:11434\"".to_owned(),
        "haia.toml:14: \"routes.default\": \"y/z\" names no configured provider; known: builtin, x".to_owned(),
        "HAIA_FAULTS: \"yes\" is neither 1 nor 0: write 1 to allow faults for a rehearsal, or unset it".to_owned(),
        "HAIA_MODEL: \"gpt\" names no provider: write <provider>:<model>, for example \"anthropic:claude-haiku-4-5\" or \"ollama:qwen2.5-coder:7b\"".to_owned(),
        "HAIA_STORE__PTH: unknown key \"store.pth\"; did you mean \"store.path\"?".to_owned(),
        "HAIA_TIME_FACTOR: \"fast\" is no factor for time: write a number from 1 to 100000, or unset it".to_owned(),
        "HAIA_TOOLS__MAX_ARGUMENTS: \"tools.max_arguments\": \"5\" is not a size: write for example \"512B\", \"64KiB\", \"10MiB\" or \"1GiB\"".to_owned(),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_value_that_cannot_be_read_hides_no_other_problem() {
    let file = "[agent]\ntool_timeout = 'soon'\nmax_concurrent_turns = 0\nroute = 'nowhere'\n\
                [providers.a]\nkind = 'anthropc'\nidle_timeout = '5 parsecs'\n[providers.b]\nkind = 'openai'\nbase_url = 'ftp://x'\nmax_concurrent = 0\n\
                [routes]\nfast = ['a/x', 'c/y']\n";
    let found = problems(file, []);
    let of_line =
        |line: usize| found.iter().filter(|problem| problem.starts_with(&format!("haia.toml:{line}:"))).count();
    for line in [2, 3, 4, 6, 7, 10, 11, 13] {
        assert_eq!(of_line(line), 1, "line {line}: {found:#?}");
    }
    assert_eq!(found.len(), 8, "{found:#?}");
    // What could not be read at all is not missed elsewhere.
    let found = problems(
        "[providers.a]\nbase_url = 7\n[routes]\ndefault = ['a/x']\nfast = 'a/x'\n[agent]\nroute = 'fast'\n",
        [],
    );
    assert!(
        !found.iter().any(|problem| problem.contains("no configured provider") || problem.contains("agent.route")),
        "{found:#?}"
    );
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    let found = problems("[server]\nlisten = 'x\n[store\n", [("HAIA_SERVER__LISTN", "1")]);
    assert!(
        found.iter().any(|line| line.starts_with("haia.toml:2:") && line.contains("this is not TOML")),
        "{found:?}"
    );
    assert!(found.iter().any(|line| line.starts_with("haia.toml:3:")), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("HAIA_SERVER__LISTN: unknown key")), "{found:?}");
}

#[test]
fn a_named_file_must_be_there_and_readable() {
    let mut place = place("", []);
    place.options.file = Some("elsewhere.toml".into());
    let found = load(&place.options).err().unwrap_or_default();
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "elsewhere.toml: the configuration cannot be read: No such file or directory (os error 2); check the path after --config"
        ]
    );
    std::fs::write(place.folder.path().join("elsewhere.toml"), b"a = \"\xff\"").expect("written");
    let found = load(&place.options).err().unwrap_or_default();
    assert!(found[0].message.contains("it must be a text in UTF-8"), "{found:?}");
    assert!(locate(&place.options).is_err());
}

#[test]
fn sections_of_later_versions_are_told_and_their_spelling_is_checked() {
    let file = "[home_assistant]\nurl = 'http://x:8123'\ntoken = 'env:NOT_SET'\n\
                [mcp]\nallowed_hosts = ['haia.lan']\n[mqtt]\nurl = 'mqtt://x'\n";
    let loaded = loaded(file, []);
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "haia.toml:1: [home_assistant] is not used by this version",
            "haia.toml:6: [mqtt] is not used by this version",
        ]
    );
    assert_eq!(loaded.settings.server.allowed_hosts, ["haia.lan"]);
    assert_eq!(
        problems("[home_assistant]\nurrl = 'x'\n[mcp]\nallowed_hosts = ['http://x']\n", []),
        [
            "haia.toml:2: unknown key \"home_assistant.urrl\"; did you mean \"home_assistant.url\"?",
            "haia.toml:4: \"mcp.allowed_hosts\": \"http://x\" is not a host name: write it as in the address bar, without http://",
        ]
    );
}

#[test]
fn the_built_in_model_may_stand_among_the_providers() {
    let file = "[providers.builtin]\nkind = 'builtin'\n[routes]\ndefault = ['builtin/offline']\n";
    let loaded = loaded(file, []);
    let printed = text(&lines(&loaded.document));
    assert!(printed.contains("kind = \"builtin\"") && !printed.contains("base_url"), "{printed}");
    assert_eq!(
        problems("[providers.mine]\nkind = 'builtin'\nmax_concurrent = 1\n", []),
        [
            "haia.toml:1: \"providers.mine\": the built-in model needs no server: beside its kind there is nothing to set",
            "haia.toml:2: \"providers.mine.kind\": the built-in model is always builtin/offline: name this section [providers.builtin]",
        ]
    );
}

#[test]
fn shorthands_are_enough_for_a_first_run() {
    let loaded = loaded(
        "",
        [("HAIA_MODEL", "anthropic:claude-haiku-4-5"), ("ANTHROPIC_API_KEY", "sk-ant"), ("OLLAMA_HOST", "nas")],
    );
    let providers = &loaded.settings.providers;
    assert_eq!(
        providers.providers.get("anthropic").and_then(|p| p.api_key.as_ref()).map(|key| key.expose()),
        Some("sk-ant")
    );
    assert_eq!(providers.providers.get("ollama").and_then(|p| p.base_url.as_deref()), Some("http://nas:11434"));
    assert_eq!(
        providers.routes.get("default").map(|route| route.entries.as_slice()),
        Some(&["anthropic/claude-haiku-4-5".to_owned(), "builtin/offline".to_owned()][..])
    );
    let printed = text(&lines(&loaded.document));
    assert!(printed.contains("api_key = \"env:ANTHROPIC_API_KEY\"") && !printed.contains("sk-ant"), "{printed}");
    assert_eq!(
        problems("", [("HAIA_MODEL", "openai:gpt-5")]),
        ["HAIA_MODEL: \"providers.openai.api_key\": the environment variable OPENAI_API_KEY is not set"]
    );
}

#[test]
fn a_variable_adds_to_a_shorthand_and_an_override_wins_over_the_model() {
    let loaded = loaded(
        "",
        [
            ("ANTHROPIC_API_KEY", "sk"),
            ("HAIA_PROVIDERS__ANTHROPIC__MAX_CONCURRENT", "3"),
            ("HAIA_MODEL", "anthropic:a"),
            ("HAIA_ROUTES__DEFAULT", "[\"anthropic/b\"]"),
        ],
    );
    let providers = &loaded.settings.providers;
    assert_eq!(providers.providers.get("anthropic").map(|provider| provider.max_concurrent), Some(3));
    assert_eq!(
        providers.routes.get("default").map(|route| route.entries.as_slice()),
        Some(&["anthropic/b".to_owned()][..])
    );
}

#[test]
fn listening_beyond_loopback_asks_for_keys() {
    for (listen, needed) in [
        ("127.0.0.1:8000", false),
        ("[::1]:8000", false),
        ("localhost:8000", false),
        ("0.0.0.0:8000", true),
        ("[::]:8000", true),
        ("haia.lan:8000", true),
    ] {
        let open = loaded("", [("HAIA_SERVER__LISTEN", listen)]);
        assert_eq!(needs_keys(&open.settings.server), needed, "{listen}");
    }
    let keyed = loaded(
        "[server]\nlisten = '0.0.0.0:1'\nkeys.a = { key = 'env:K', scope = 'read' }\n",
        [("K", "12345678901234567890")],
    );
    assert!(!needs_keys(&keyed.settings.server));
    assert_eq!(keyed.settings.server.keys["a"].scope, Scope::Read);
    let open = loaded("[server]\nlisten = '0.0.0.0:1'\n", []);
    let told = keys_missing(&open.document, &open.settings.server).to_string();
    assert!(
        told.starts_with("haia.toml:2: \"server.listen\": \"0.0.0.0:1\" is reachable from other machines"),
        "{told}"
    );
    let wrong = problems("[server]\nlisten = ':8000'\n", []);
    assert!(
        wrong.len() == 1 && wrong[0].starts_with("haia.toml:2: \"server.listen\": \":8000\" is not an address"),
        "{wrong:?}"
    );
}

#[test]
fn daemon_and_store_are_found_without_secrets_and_in_spite_of_other_errors() {
    let file = "[server]\nlistn = 1\n[server.keys]\na = { key = 'env:NOT_SET', scope = 'read' }\nb = { key = 'env:NOT_SET' }\n\
                [store]\npath = 'data/x.db'\n[providers.a]\nkind = 'openai'\napi_key = 'env:NOT_SET'\n";
    let place = place(file, []);
    let located = locate(&place.options).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(located.sockets, [place.folder.path().join("data/haia.sock")]);
    assert_eq!(located.store.path, place.folder.path().join("data/x.db"));
    assert_eq!(located.keys, [("a".to_owned(), Scope::Read), ("b".to_owned(), Scope::Control)]);
    assert!(load(&place.options).is_err());
}

#[test]
fn only_a_folder_of_ones_own_is_trusted_with_a_socket() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().expect("a folder");
    assert!(is_ours(folder.path()) && !is_ours(&folder.path().join("nothing")));
    let link = folder.path().join("link");
    symlink(folder.path(), &link).expect("linked");
    assert!(!is_ours(&link));
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).expect("opened");
    assert!(!is_ours(folder.path()));
}

#[test]
fn a_wrong_store_is_told_to_every_command() {
    let found = locate(&place("[store]\npath = ''\n", []).options).err().unwrap_or_default();
    assert!(found.iter().map(ToString::to_string).eq(
        ["haia.toml:2: \"store.path\" is empty: write the path of the file to keep, for example \"/var/lib/haia/haia.db\""]
    ), "{found:?}");
}

#[test]
fn the_texts_of_the_agent_are_read_and_judged() {
    let place = place("[agent]\nsystem_prompt_file = 'prompt.md'\nprofile = 'mine.toml'\nroute = 'nowhere'\n", []);
    let told = || load(&place.options).err().unwrap_or_default().iter().map(ToString::to_string).collect::<Vec<_>>();
    let folder = place.folder.path();
    assert_eq!(
        told(),
        [
            format!(
                "haia.toml:2: \"agent.system_prompt_file\": the file {}/prompt.md does not exist",
                folder.display()
            ),
            format!("haia.toml:3: \"agent.profile\": the file {}/mine.toml does not exist", folder.display()),
            "haia.toml:4: \"agent.route\": there is no route \"nowhere\"; known: default".to_owned(),
        ]
    );
    std::fs::write(folder.join("prompt.md"), "You are Marvin.").expect("written");
    std::fs::write(folder.join("mine.toml"), "notes = []\nhots = 1\n").expect("written");
    assert!(
        told()[0].starts_with(&format!("{}/mine.toml:2: \"agent.profile\": unknown field", folder.display())),
        "{:?}",
        told()
    );
    std::fs::write(folder.join("mine.toml"), "notes = ['Cold.']\n").expect("written");
    std::fs::write(folder.join("haia.toml"), "[agent]\nsystem_prompt_file = 'prompt.md'\nprofile = 'mine.toml'\n")
        .expect("written");
    let loaded = load(&place.options).unwrap_or_else(|problems| panic!("{problems:?}"));
    let prompts = &loaded.settings.prompts;
    assert_eq!(
        (prompts.system_prompt.as_deref(), prompts.profile.as_deref()),
        (Some("You are Marvin."), Some("notes = ['Cold.']\n"))
    );
}

#[test]
fn a_profile_beside_the_file_is_read_by_itself() {
    let place = place("[agent]\n", []);
    std::fs::write(place.folder.path().join("haia_profile.toml"), "notes = ['Cold.']\n").expect("written");
    let loaded = load(&place.options).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert!(loaded.settings.prompts.profile.is_some());
    assert!(text(&lines(&loaded.document)).contains("profile = \"haia_profile.toml\""));
}

#[test]
fn a_route_is_a_list_or_a_section() {
    let file = "[providers.a]\nkind = 'openai'\n[routes.fast]\nstrategy = 'weighted'\nentries = ['a/x', 'a/y']\nweights = [3, 1]\n";
    let loaded = loaded(file, [("HAIA_ROUTES__SLOW", "[\"a/z\"]")]);
    let routes = &loaded.settings.providers.routes;
    assert_eq!(routes.get("fast").map(|route| route.weights.as_slice()), Some(&[3, 1][..]));
    assert_eq!(routes.get("slow").map(|route| route.entries.as_slice()), Some(&["a/z".to_owned()][..]));
    let printed = print::text(&print::lines(&loaded.document));
    assert!(
        printed.contains("[routes]\nslow = [\"a/z\"]") && printed.contains("[routes.fast]\nstrategy = \"weighted\""),
        "{printed}"
    );
    let wrong = "[providers.a]\nkind = 'openai'\n[routes]\none = 5\n[routes.two]\nstrategy = 'fastest'\nentries = ['a/x']\n\
                 [routes.three]\nentries = ['a/x']\nweights = [1]\n";
    let told = problems(wrong, []);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("haia.toml:4: \"routes.one\" must be a list of"), "{told:?}");
    assert!(told[1].contains("haia.toml:6: \"routes.two.strategy\" must be one of"), "{told:?}");
    assert!(told[2].contains("haia.toml:10: \"routes.three.weights\""), "{told:?}");
}

#[test]
fn stored_keys_have_limits_too() {
    let file = "[server.keys.ui]\nkey = 'env:K'\n[server.limits.tablet]\ntokens_per_day = 5\nusd_per_day = 1\n";
    let variables = [("K", "key-of-the-ui")];
    let loaded_once = loaded(file, variables);
    let limits = &loaded_once.settings.providers.limits;
    assert_eq!((limits.len(), limits["tablet"].tokens_per_day), (1, Some(5)));
    let warned: Vec<String> = loaded_once.warnings.iter().map(ToString::to_string).collect();
    assert!(warned.len() == 1 && warned[0].contains(":5: \"server.limits.tablet.usd_per_day\" is never"), "{warned:?}");
    let wrong = format!("{file}[server.limits.ui]\ntokens_per_month = 0\n[server.limits.'a b']\n");
    let told = problems(&wrong, variables);
    for part in ["\"server.limits.ui\"", "\"server.limits.ui.tokens_per_month\"", "a b"] {
        assert!(told.iter().any(|problem| problem.contains(part)), "{part}: {told:?}");
    }
}

#[test]
fn limits_of_keys_go_to_the_pool_and_money_needs_prices() {
    let file = "[server.keys.tablet]\nkey = 'env:K'\nlimits = { tokens_per_day = 5, usd_per_month = 1.5 }\n[server.keys.other]\nkey = 'env:L'\n";
    let variables = [("K", "key-of-the-tablet"), ("L", "key-of-another")];
    let loaded_once = loaded(file, variables);
    let limits = &loaded_once.settings.providers.limits;
    assert_eq!(
        (limits.len(), limits["tablet"].tokens_per_day, limits["tablet"].usd_per_month),
        (1, Some(5), Some(1.5))
    );
    let warnings: Vec<String> = loaded_once.warnings.iter().map(ToString::to_string).collect();
    assert!(
        warnings.len() == 1 && warnings[0].contains("\"server.keys.tablet.limits.usd_per_month\" is never reached"),
        "{warnings:?}"
    );
    let priced =
        format!("{file}[providers.a]\nkind = 'openai'\n[providers.a.model.m]\nprice = {{ input = 1, output = 2 }}\n");
    let warnings = |text: &str| loaded(text, variables).warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
    let told = warnings(&priced);
    assert!(told.len() == 1 && told[0].contains("does not count the calls of a (all models but m)"), "{told:?}");
    let listed = priced.replace("kind = 'openai'", "kind = 'openai'\nmodels = ['m']");
    assert_eq!(warnings(&listed), [""; 0], "every model has a price");
    let one_more = listed.replace("['m']", "['m', 'n']");
    let with_others = format!(
        "{one_more}[providers.or]\nkind = 'openrouter'\n[providers.local]\nkind = 'ollama'\n[providers.b]\nkind = 'anthropic'\n"
    );
    let told = warnings(&with_others);
    assert!(told.len() == 1 && told[0].contains("calls of a/n, b: no price"), "{told:?}");
}
