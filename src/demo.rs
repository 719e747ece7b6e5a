//! `haia demo`: the daemon on embedded defaults, and what to open and to try, printed once it serves.

use std::net::SocketAddr;

/// What to print once the demo serves. Every line of it can be tried as it stands.
pub fn banner(address: SocketAddr, needs_key: bool, model: Option<&str>) -> String {
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
  haia ask \"what can you do?\"
  haia ask \"how are you?\"
  haia status
  curl {base}/v1/models{key}
  curl {base}/v1/chat/completions{key} -H 'Content-Type: application/json' \\
    -d '{{\"model\":\"haia\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"what time is it?\"}}]}}'

With a model: ANTHROPIC_API_KEY=… haia demo, or HAIA_MODEL=ollama:qwen2.5-coder:7b haia demo.
Ctrl-C ends it.
"
    )
}

/// Where a demo without a configuration keeps its store and socket.
pub fn folder() -> std::path::PathBuf {
    std::env::temp_dir().join("haia-demo")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_names_what_is_there() {
        let address: SocketAddr = "127.0.0.1:8000".parse().expect("an address");
        let plain = banner(address, false, None);
        assert!(plain.contains("http://127.0.0.1:8000/v1 ") && plain.contains("built-in responder answers"));
        assert!(!plain.contains("Bearer"));
        let keyed = banner(address, true, Some("anthropic/claude-haiku-4-5"));
        assert!(keyed.contains("Bearer YOUR_KEY") && keyed.contains("anthropic/claude-haiku-4-5"));
    }
}
