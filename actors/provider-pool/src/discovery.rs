//! Asks a provider which models it has, and with which context those run that it would have to load anew for another. Costs nothing at the provider, so it is also the probe of `haia check`.

use crate::exchange::unreachable;
use crate::formats::ErrorAnswer;
use crate::provider::Provider;
use bytes::Bytes;
use contract::clock::SharedClock;
use contract::failure::{Failure, FailureClass};
use contract::provider::ModelEntry;
use std::sync::Arc;
use std::time::Duration;

/// The longest a whole discovery may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// The most pages and models taken from one provider.
const MAX_PAGES: usize = 20;
const MAX_MODELS: usize = 2000;
/// The largest page.
const MAX_BODY: usize = 16 << 20;
/// The most models that are asked for their capabilities one by one.
const MAX_DESCRIBED: usize = 64;

/// Every model of a provider.
///
/// # Errors
/// What the provider or the network said.
pub async fn models(
    provider: Arc<Provider>,
    client: awc::Client,
    clock: SharedClock,
) -> Result<Vec<ModelEntry>, Failure> {
    let deadline = clock.pause(DEADLINE);
    tokio::select! {
        found = fetch(&provider, &client, &clock) => found,
        () = deadline => Err(Failure::new(FailureClass::Timeout, "the list of models did not come within 20 s")
            .from_provider(Arc::clone(&provider.name))),
    }
}

async fn fetch(provider: &Provider, client: &awc::Client, clock: &SharedClock) -> Result<Vec<ModelEntry>, Failure> {
    let key_path = provider.format.key_path().filter(|_| provider.config.api_key.is_some());
    if let Some(path) = key_path
        && let Err(failure) = get(provider, client, clock, path, None).await
        // A server in between may know the models alone.
        && failure.class == FailureClass::Authentication
    {
        return Err(failure);
    }
    let mut entries: Vec<ModelEntry> = Vec::new();
    let mut path = provider.format.models_path().to_owned();
    for _ in 0..MAX_PAGES {
        let body = get(provider, client, clock, &path, None).await?;
        let page = provider
            .format
            .decode_models(&body)
            .map_err(|failure| failure.from_provider(Arc::clone(&provider.name)))?;
        let full = MAX_MODELS.saturating_sub(entries.len());
        entries.extend(page.entries.into_iter().take(full).map(|mut entry| {
            entry.provider = Arc::clone(&provider.name);
            entry
        }));
        match page.next {
            Some(next) if entries.len() < MAX_MODELS => path = next,
            _ => break,
        }
    }
    for entry in entries.iter_mut().take(MAX_DESCRIBED) {
        let Some((path, question)) = provider.format.describe_model(&entry.model) else { break };
        // A model that cannot be described is still a model.
        if let Ok(body) = get(provider, client, clock, path, Some(question)).await {
            provider.format.decode_description(&body, entry);
            if let Some(tokens) = provider.format.decode_context(&body) {
                provider.standing.model(&entry.model, true).has_context(tokens);
            }
        }
    }
    // What another program loaded is not to be loaded anew for HAIA, nor what HAIA itself had loaded before its own start.
    if let Some(path) = provider.format.loaded_path()
        && let Ok(body) = get(provider, client, clock, path, None).await
    {
        for (model, tokens) in provider.format.decode_loaded(&body) {
            if let Some(entry) = entries.iter().find(|entry| entry.model.as_ref() == model) {
                provider.standing.model(&entry.model, true).has_context(tokens);
            }
        }
    }
    Ok(entries)
}

async fn get(
    provider: &Provider,
    client: &awc::Client,
    clock: &SharedClock,
    path: &str,
    question: Option<Bytes>,
) -> Result<Bytes, Failure> {
    let url = provider.url(path);
    let mut request = if question.is_some() { client.post(&url) } else { client.get(&url) };
    for (name, value) in provider.format.headers(provider.config.api_key.as_ref()) {
        request = request.insert_header((name, value.expose()));
    }
    let sent = match question {
        Some(body) => request.insert_header(("content-type", "application/json")).send_body(body),
        None => request.send(),
    };
    let mut response = sent.await.map_err(|error| unreachable(provider, &error))?;
    let body = response.body().limit(MAX_BODY).await.map_err(|error| {
        let message = format!("the answer could not be read: {error}");
        Failure::new(FailureClass::Unreachable, message).from_provider(Arc::clone(&provider.name))
    })?;
    if response.status().is_success() {
        return Ok(body);
    }
    let headers: Vec<(&str, &[u8])> =
        response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let answer = ErrorAnswer { status: response.status().as_u16(), headers: &headers, body: &body, now: clock.wall() };
    Err(provider.format.failure(&answer).from_provider(Arc::clone(&provider.name)))
}
