//! `haia demo`: the daemon on embedded defaults, and what to open and to try, printed once it serves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What to print once the demo serves. Every line of it can be tried as it stands, in any folder. `program` is how a shell finds HAIA.
pub fn banner(program: &str, address: SocketAddr, needs_key: bool, model: Option<&str>) -> String {
    let base = format!("http://{address}");
    let answers = match model {
        Some(model) => format!("It answers with {model}, and with the built-in responder when that is down."),
        None => "No model is configured, so the built-in responder answers: it needs no key and no network.".to_owned(),
    };
    let key = if needs_key { " -H \"Authorization: Bearer YOUR_KEY\"" } else { "" };
    format!(
        "\
HAIA is running. {answers}

Open     {base}/            what this is, with every model id
Connect  {base}/v1          as an OpenAI API: in Open WebUI under Settings, Connections

Try, in another terminal:
  {program} ask \"what can you do?\"
  {program} ask \"how are you?\"
  {program} status
  curl {base}/v1/models{key}
  curl {base}/v1/chat/completions{key} -H 'Content-Type: application/json' \\
    -d '{{\"model\":\"haia\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"what time is it?\"}}]}}'

With a model: ANTHROPIC_API_KEY=… {program} demo, or HAIA_MODEL=ollama:qwen2.5-coder:7b {program} demo.
Ctrl-C ends it.
"
    )
}

/// How a shell finds this program: by its name where `path` leads to it, else by its place, as after `cargo run`.
pub fn program(this: Option<&Path>, path: Option<&str>) -> String {
    const NAME: &str = "haia";
    let Some(this) = this else { return NAME.to_owned() };
    let first =
        path.into_iter().flat_map(std::env::split_paths).map(|folder| folder.join(NAME)).find(|file| file.is_file());
    let same = |file: &Path| matches!((file.canonicalize(), this.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let place = this.to_string_lossy();
    match first {
        Some(file) if same(&file) => NAME.to_owned(),
        _ if place.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c)) => place.into_owned(),
        _ => format!("'{}'", place.replace('\'', r"'\''")),
    }
}

/// Where a demo without a configured store keeps its store and socket.
pub fn folder() -> PathBuf {
    std::env::temp_dir().join("haia-demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_what_is_there() {
        let address: SocketAddr = "127.0.0.1:8000".parse().expect("an address");
        let plain = banner("/opt/haia", address, false, None);
        assert!(plain.contains("http://127.0.0.1:8000/v1 ") && plain.contains("built-in responder answers"));
        assert!(!plain.contains("Bearer") && plain.contains("\n  /opt/haia status\n"));
        let keyed = banner("haia", address, true, Some("anthropic/claude-haiku-4-5"));
        assert!(keyed.contains("Bearer YOUR_KEY") && keyed.contains("anthropic/claude-haiku-4-5"));
    }

    #[test]
    fn a_shell_finds_the_program() {
        let folder = tempfile::tempdir().expect("a folder");
        let on_path = folder.path().join("haia");
        std::fs::write(&on_path, "").expect("written");
        let path = format!("/nowhere:{}", folder.path().display());
        assert_eq!(program(Some(&on_path), Some(&path)), "haia");
        assert_eq!(program(Some(Path::new("/src/target/release/haia")), Some(&path)), "/src/target/release/haia");
        assert_eq!(program(Some(Path::new("/my src/it's/haia")), None), r"'/my src/it'\''s/haia'");
        assert_eq!(program(None, Some(&path)), "haia");
    }
}
