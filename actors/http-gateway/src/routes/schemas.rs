//! The schemas that `/openapi.json` refers to: what programs rely on, member by member; what is open stays open.

use serde_json::{Map, Value, json};

/// Every schema by name.
pub(super) fn all() -> Value {
    let mut schemas = core();
    for more in [watching(), attached()] {
        if let (Some(all), Value::Object(more)) = (schemas.as_object_mut(), more) {
            all.extend(more);
        }
    }
    schemas
}

fn core() -> Value {
    json!({
        "Object": { "type": "object" },
        "Error": object(&["error"], json!({
            "error": object(&["message", "type", "param", "code"], json!({
                "message": text("One or two sentences for people"),
                "type": text("invalid_request_error, authentication_error, permission_error, rate_limit_error, provider_error, internal_error"),
                "param": { "type": ["string", "null"], "description": "The field that is wrong" },
                "code": { "type": ["string", "null"] },
            })),
        })),
        "ChatRequest": object(&["model", "messages"], json!({
            "model": text("haia, haia/<route> or <provider>/<model>"),
            "messages": { "type": "array", "minItems": 1, "items": reference("ChatMessage") },
            "stream": { "type": ["boolean", "null"] },
            "stream_options": { "type": ["object", "null"], "properties": { "include_usage": { "type": "boolean" } } },
            "tools": { "type": ["array", "null"], "items": { "type": "object" } },
        })),
        "ChatMessage": object(&["role"], json!({
            "role": { "type": "string", "enum": ["system", "developer", "user", "assistant", "tool", "function"] },
            "content": { "type": ["string", "array", "null"] },
        })),
        "ChatCompletion": object(&["id", "object", "created", "model", "choices"], json!({
            "id": text("The id of the answer"),
            "object": { "const": "chat.completion" },
            "created": integer("Unix seconds"),
            "model": text("The id that was asked for; of a relayed answer, the provider's own"),
            "choices": { "type": "array", "items": { "type": "object" } },
            "usage": { "type": "object", "description": "Only what the provider counted" },
        })),
        "EmbeddingsRequest": object(&["model", "input"], json!({
            "model": text("<provider>/<model>"),
            "input": { "type": ["string", "array"], "description": "A text, texts, or tokens where the provider takes them" },
            "dimensions": integer("The length of each vector"),
            "encoding_format": { "type": ["string", "null"], "enum": ["float", "base64", null] },
        })),
        "Embeddings": object(&["object", "data", "model"], json!({
            "object": { "const": "list" },
            "data": { "type": "array", "items": { "type": "object" } },
            "model": text("The provider's own name of the model"),
            "usage": { "type": "object", "description": "Only what the provider counted" },
        })),
        "SpeechRequest": object(&["model", "input"], json!({
            "model": text("<provider>/<model>"),
            "input": text("What is to be said"),
            "voice": { "type": ["string", "object"] },
            "response_format": text("mp3, opus, aac, flac, wav or pcm"),
        })),
        "TranscriptionForm": object(&["model", "file"], json!({
            "model": text("<provider>/<model>"),
            "file": { "type": "string", "format": "binary", "description": "The recording" },
            "response_format": text("json, text, srt, verbose_json or vtt"),
        })),
        "MessagesRequest": object(&["model", "messages"], json!({
            "model": text("haia, haia/<route> or <provider>/<model>"),
            "messages": { "type": "array", "minItems": 1, "items": { "type": "object" } },
            "max_tokens": integer("The most tokens to write"),
            "system": { "type": ["string", "array", "null"] },
            "stream": { "type": ["boolean", "null"] },
            "tools": { "type": ["array", "null"], "items": { "type": "object" } },
            "thinking": { "type": ["object", "null"] },
        })),
        "Message": object(&["id", "type", "role", "model", "content", "stop_reason", "usage"], json!({
            "id": text("The id of the answer"),
            "type": { "const": "message" },
            "role": { "const": "assistant" },
            "model": text("The id that was asked for; of a provider that speaks this format itself, its own"),
            "content": { "type": "array", "items": { "type": "object" } },
            "stop_reason": text("end_turn, max_tokens, tool_use, refusal, …"),
            "usage": { "type": "object", "description": "Null is unknown" },
        })),
        "ResponsesRequest": object(&["model", "input"], json!({
            "model": text("haia, haia/<route> or <provider>/<model>"),
            "input": { "type": ["string", "array"] },
            "instructions": { "type": ["string", "null"] },
            "stream": { "type": ["boolean", "null"] },
            "tools": { "type": ["array", "null"], "items": { "type": "object" }, "description": "Functions only" },
            "store": { "type": ["boolean", "null"], "enum": [false, null], "description": "Nothing is kept" },
        })),
        "Response": object(&["id", "object", "created_at", "status", "model", "output"], json!({
            "id": text("The id of the answer; it cannot be found again by it"),
            "object": { "const": "response" },
            "created_at": integer("Unix seconds"),
            "status": { "type": "string", "enum": ["completed", "incomplete"] },
            "model": text("The id that was asked for"),
            "output": { "type": "array", "items": { "type": "object" } },
            "usage": { "type": ["object", "null"], "description": "Null is unknown" },
        })),
        "Model": object(&["id", "object", "created", "owned_by"], json!({
            "id": text("The id to ask for"),
            "object": { "const": "model" },
            "created": integer("Unix seconds; 0 if not known"),
            "owned_by": text("The provider's name; haia for the agent"),
            "context_length": integer("Tokens it takes, if known"),
            "max_output_tokens": integer("The most tokens it writes, if known"),
            "capabilities": object(&[], json!({
                "tools": { "type": "boolean" },
                "vision": { "type": "boolean", "description": "Takes pictures" },
                "thinking": { "type": "boolean" },
                "embeddings": { "type": "boolean" },
            })),
        })),
        "ModelList": object(&["object", "data"], json!({
            "object": { "const": "list" },
            "data": { "type": "array", "items": reference("Model") },
        })),
        "Health": object(&["status"], json!({ "status": { "const": "ok" } })),
        "Ready": object(&["ready", "degraded"], json!({
            "ready": { "type": "boolean" },
            "degraded": { "type": "boolean", "description": "Only the built-in model can answer" },
            "reason": text("Why it is degraded or not ready"),
        })),
        "Status": object(
            &["version", "uptime_s", "generation", "turns", "streams", "provider_connections", "actors", "providers", "clusters",
              "alerts", "jobs", "channels", "mcp_servers"],
            json!({
                "version": text("HAIA's version"),
                "uptime_s": integer("Seconds since the start"),
                "generation": integer("Configurations taken over since the start"),
                "turns": { "type": "object" },
                "streams": { "type": "object" },
                "provider_connections": { "type": "object" },
                "actors": named_list(), "providers": named_list(), "keys": named_list(), "clusters": named_list(), "alerts": named_list(),
                "jobs": named_list(), "channels": named_list(), "mcp_servers": named_list(),
            }),
        ),
        "Named": object(&["name", "state"], json!({ "name": text("Its name"), "state": text("Its state as a word") })),
        "UsageHistory": object(&["since", "total", "days", "models", "keys"], json!({
            "since": text("The first day asked for"),
            "total": reference("UsageFigures"),
            "days": figures_of(&["day"], "The day, the newest first"),
            "models": figures_of(&["provider", "name"], "Of what, the dearest first"),
            "keys": figures_of(&["name"], "For whom, the dearest first"),
        })),
        "UsageFigures": object(&["calls"], usage_figures()),
        "AuditRows": object(&["rows"], json!({ "rows": { "type": "array", "items": reference("AuditRow") } })),
        "AuditRow": object(&["at", "kind", "request_id", "who", "what", "outcome"], json!({
            "at": text("When it began"),
            "kind": { "type": "string", "enum": ["tool", "provider", "admin"] },
            "request_id": text("The request that caused it"),
            "who": text("The caller's name"),
            "origin": text("chat, cli, job, alert or internal"),
            "what": text("The tool, <provider>/<model>, or the change"),
            "digest": text("Of a tool's arguments the beginning of their SHA-256, of a request to a provider its XXH3"),
            "bytes": integer("Size of the result"),
            "ms": integer("How long it took"),
            "outcome": text("ok, cancelled, or the class of the failure"),
        })),
        "Keys": object(&["keys"], json!({ "keys": { "type": "array", "items": reference("Key") } })),
        "Key": object(&["name", "scope", "source"], json!({
            "name": text("Its name"),
            "scope": scope(),
            "source": { "type": "string", "enum": ["config", "store"] },
            "created": text("When it was made, for keys of the store"),
        })),
        "NewKey": object(&["name"], json!({ "name": text("1 to 64 letters, digits, '-', '_' or '.'"), "scope": scope() })),
        "CreatedKey": object(&["name", "scope", "key", "created"], json!({
            "name": text("Its name"),
            "scope": scope(),
            "key": text("The key itself, shown this once"),
            "created": text("When it was made"),
        })),
        "RevokedKey": object(&["name", "revoked"], json!({ "name": text("Its name"), "revoked": { "const": true } })),
        "Reloaded": object(&["generation"], json!({ "generation": integer("The configuration now in force") })),
        "Checked": object(&["provider", "models"], json!({
            "provider": text("The provider's name"),
            "models": { "type": "array", "items": { "type": "object" } },
        })),
        "Fault": object(&["actor", "fault"], json!({ "actor": text("The actor's name"), "fault": { "const": "panic" } })),
    })
}

fn attached() -> Value {
    json!({
        "McpServers": object(&["servers"], json!({ "servers": { "type": "array", "items": reference("McpServer") } })),
        "McpServer": object(&["name", "state", "transport", "tools", "withheld", "restarts"], json!({
            "name": text("Its name in the configuration"),
            "state": text("disabled, idle, starting, ready, degraded, failed or stopping"),
            "transport": text("stdio, http or sse"),
            "era": text("The protocol revision agreed on last"),
            "tools": { "type": "array", "items": { "type": "object" }, "description": "name, offered_as" },
            "withheld": { "type": "array", "items": { "type": "object" }, "description": "name, change, difference" },
            "restarts": integer("Restarts since HAIA's start"),
            "last_error": text("Why it failed last"),
        })),
        "McpLog": object(&["lines"], json!({ "lines": { "type": "array", "items": { "type": "object" }, "description": "at, source, text" } })),
        "McpReleased": object(&["released"], json!({ "released": { "type": "array", "items": { "type": "string" } } })),
    })
}

fn watching() -> Value {
    json!({
        "Alerts": object(&["alerts"], json!({ "alerts": { "type": "array", "items": reference("Alert") } })),
        "Alert": object(&["id", "name", "state", "severity", "rule", "object", "subject", "summary", "since"], json!({
            "id": integer("The number of this occurrence; 0 while pending"),
            "name": text("rule:object"),
            "state": { "type": "string", "enum": ["pending", "firing", "acknowledged", "resolved"] },
            "severity": { "type": "string", "enum": ["info", "warning", "critical"] },
            "opened": text("When it fired"),
            "ended": text("When it ended"),
            "rule": text("The rule"),
            "object": text("What it is about, stable"),
            "subject": text("What it is about, for people"),
            "summary": text("What happened"),
            "since": text("When it began"),
            "held": text("What holds its messages"),
            "cause": text("The root cause it is told within"),
            "explanation": text("What explains it"),
        })),
        "AlertWithEvents": object(&["alert", "events"], json!({
            "alert": reference("Alert"),
            "events": { "type": "array", "items": reference("AlertEvent") },
        })),
        "AlertEvents": object(&["events"], json!({ "events": { "type": "array", "items": reference("AlertEvent") } })),
        "AlertEvent": object(&["alert", "at", "what", "name", "severity", "text"], json!({
            "alert": integer("The alert's number"),
            "at": text("When"),
            "what": text("opened, told, acknowledged, resolved, …"),
            "name": text("rule:object"),
            "severity": text("How bad it was"),
            "who": text("Who, for what people did"),
            "text": text("One line"),
        })),
        "NewSilence": object(&["for"], json!({
            "for": text("How long: 30m, 2h, 1d"),
            "reason": text("Why"),
            "match": { "type": "object", "additionalProperties": { "type": "string" },
                "description": "Labels and patterns that must all fit; not needed for a silence of one alert" },
        })),
        "Silences": object(&["silences"], json!({ "silences": { "type": "array", "items": reference("Silence") } })),
        "Silence": object(&["id", "matchers", "from", "until", "by", "reason"], json!({
            "id": integer("Its number"),
            "matchers": { "type": "array", "items": { "type": "object" } },
            "from": text("When it begins"),
            "until": text("When it ends"),
            "by": text("Who made it"),
            "reason": text("Why"),
        })),
        "Received": object(&["received"], json!({ "received": integer("Alerts in the payload") })),
        "Heartbeats": object(&["heartbeats"], json!({ "heartbeats": named_list() })),
        "Beat": object(&["name", "ok"], json!({ "name": text("The heartbeat's name"), "ok": { "const": true } })),
        "Jobs": object(&["jobs"], json!({ "jobs": { "type": "array", "items": reference("Job") } })),
        "Job": object(&["name", "state", "kind", "schedule"], json!({
            "name": text("Its name"),
            "state": text("scheduled, running, paused or done"),
            "kind": text("ask, check or digest"),
            "schedule": text("When it runs"),
            "next": text("The next time"),
            "last": reference("JobRun"),
            "failures": integer("Runs that did not end well"),
        })),
        "JobRuns": object(&["runs"], json!({ "runs": { "type": "array", "items": reference("JobRun") } })),
        "JobRun": object(&["id", "job", "trigger", "due", "started", "state"], json!({
            "id": text("Sorts by time"),
            "job": text("The job"),
            "trigger": text("schedule, start, or who asked"),
            "due": text("When it was due"),
            "started": text("When it began"),
            "ended": text("When it ended"),
            "state": { "type": "string", "enum": ["running", "ok", "failed", "timeout", "interrupted", "skipped"] },
            "error": text("Why it failed or was skipped"),
            "output": text("What it brought"),
        })),
        "Proposals": object(&["proposals"], json!({ "proposals": { "type": "array", "items": reference("Proposal") } })),
        "Proposal": object(&["id", "state", "plan", "proposed_by", "proposed", "expires", "approvals_needed", "decisions"], json!({
            "id": integer("Its number"),
            "state": text("proposed, approved, denied, expired, stale, running, done, failed or unknown"),
            "plan": { "type": "object", "description": "What would be done: tool, class, risk, arguments, action, subject, labels, options, reason, effect, dependents, warnings, state, state_digest, evidence" },
            "owner": text("Who offers the tool"),
            "proposed_by": text("Whose turn proposed it"),
            "origin": text("chat, cli, job, alert or internal"),
            "request_id": text("That turn's request"),
            "proposed": text("When it was proposed"),
            "expires": text("When it can no longer be approved"),
            "approvals_needed": integer("How many people must approve"),
            "decisions": { "type": "array", "items": { "type": "object" }, "description": "approve, by, identity, channel, at" },
            "began": text("When it began to run"),
            "ended": text("When it ended, however"),
            "progress": { "type": "array", "items": { "type": "object" }, "description": "at, text" },
            "reference": text("What the other side calls the work"),
            "result": text("What came of it"),
        })),
        "Decided": object(&["counted", "said", "proposal"], json!({
            "counted": { "const": true },
            "said": text("What happens now"),
            "proposal": reference("Proposal"),
        })),
        "ActionRows": object(&["rows"], json!({ "rows": { "type": "array", "items": reference("ActionRow") } })),
        "ActionRow": object(&["id", "at", "proposal", "what", "who", "via", "text", "hash"], json!({
            "id": integer("Its place in the record, from 1, without gaps"),
            "at": text("When"),
            "proposal": integer("The proposal's number; 0 for what became none"),
            "what": text("proposed, refused, decided, began, progress or ended"),
            "who": text("Who"),
            "via": text("From where"),
            "request_id": text("The request that caused it"),
            "text": text("One line"),
            "data": text("The details as JSON"),
            "hash": text("SHA-256 over the hash of the row before and this row"),
        })),
        "ActionReport": object(&["rows", "head"], json!({
            "rows": integer("Rows that were looked at"),
            "broken": { "type": ["string", "null"], "description": "The first row that is not as it was written" },
            "head": text("The hash of the last row"),
        })),
        "Channels": object(&["channels"], json!({ "channels": named_list() })),
        "DeadLetters": object(&["dead_letters"], json!({ "dead_letters": { "type": "array", "items": { "type": "object" } } })),
        "ChannelTest": object(&["channel", "result"], json!({ "channel": text("Its name"), "result": text("How it went") })),
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn integer(description: &str) -> Value {
    json!({ "type": "integer", "description": description })
}

fn scope() -> Value {
    json!({ "type": "string", "enum": ["read", "control", "admin"], "default": "control" })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// The members of sums; what nobody told is null.
fn usage_figures() -> Value {
    let known = |kind: &str, what: &str| json!({ "type": [kind, "null"], "description": what });
    json!({
        "calls": integer("Calls that have ended"),
        "errors": integer("Of those, the failed ones"),
        "cancelled": integer("Of those, the ones that the caller left"),
        "uncounted": integer("Of those, the ones without any token count"),
        "input_tokens": known("integer", "Tokens read, cached ones included"),
        "output_tokens": known("integer", "Tokens written, thinking included"),
        "cached_tokens": known("integer", "Of the tokens read, those from the provider's cache"),
        "reasoning_tokens": known("integer", "Of the tokens written, those spent on thinking"),
        "cost": known("number", "USD"),
        "first_token_ms": known("number", "Milliseconds to the first event of streamed answers, the mean"),
        "total_ms": known("number", "Milliseconds to the end, the mean"),
    })
}

/// Sums, each of something that has these names.
fn figures_of(names: &[&str], what: &str) -> Value {
    let named: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), text(what))).collect();
    json!({ "type": "array", "items": { "allOf": [object(names, Value::Object(named)), reference("UsageFigures")] } })
}

fn named_list() -> Value {
    json!({ "type": "array", "items": reference("Named") })
}
