//! `GET /`: what this is and where to connect, for a person who opened the address in a browser.

use super::{About, Endpoint, Verb};
use crate::answers;
use crate::openai::error::Refusal;
use crate::routes::models::{PATIENCE, models};
use crate::thread::Call;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use contract::provider::ListModels;

pub(super) const ENDPOINTS: &[Endpoint] = &[Endpoint {
    method: Verb::Get,
    path: "/",
    scope: None,
    starts_work: false,
    handler: |call| Box::pin(home(call)),
    about: About {
        summary: "A page for people: what this is and where to connect",
        parameters: &[],
        takes: None,
        gives: ("text/html", None),
        status: 200,
    },
}];

const KIND: &str = "text/html; charset=utf-8";

async fn home(call: Call) -> Result<HttpResponse, Refusal> {
    let host = call.http.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let base = match host {
        Some(host) => format!("http://{host}/v1"),
        None => format!("http://{}/v1", call.shared().listen()),
    };
    // The list is for those who may read it; the rest of the page tells nothing that is not in the README.
    let ids = match &call.known {
        None => None,
        Some(_) => {
            let known = call.ports().models.ask(ListModels, PATIENCE).await;
            known.ok().map(|known| models(&known).into_iter().map(|model| model.id).collect::<Vec<_>>())
        }
    };
    let page = page(&base, ids.as_deref());
    Ok(answers::bytes(StatusCode::OK, KIND, page.into()))
}

fn page(base: &str, ids: Option<&[String]>) -> String {
    let models = match ids {
        None => "<p>With a key, <code>GET /v1/models</code> lists the models.</p>".to_owned(),
        Some(ids) => {
            let items: String = ids.iter().map(|id| format!("<li><code>{}</code></li>", escape(id))).collect();
            format!("<p>Models:</p><ul>{items}</ul>")
        }
    };
    let base = escape(base);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>HAIA</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}}\
         code{{background:#8882;padding:.1em .3em;border-radius:.2em}}</style></head><body>\
         <h1>HAIA is running</h1><p>The assistant of this homelab speaks OpenAI's protocol. In Open WebUI, an SDK or any other client, \
         use this base URL:</p><p><code>{base}</code></p>\
         <p>The model <code>haia</code> is the assistant with its tools; <code>provider/model</code> is that model as it is.</p>\
         {models}\
         <p><a href=\"/status\">Status</a> · <a href=\"/ready\">Readiness</a> · <a href=\"/metrics\">Metrics</a> · \
         <a href=\"/openapi.json\">All routes</a></p></body></html>\n"
    )
}

/// Names of models and hosts are data: they never become part of the page's markup.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_data() {
        let page = page("http://<b>/v1", Some(&["a/<script>".to_owned()]));
        assert!(page.contains("a/&lt;script&gt;") && page.contains("http://&lt;b&gt;/v1"));
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }
}
