//! Messages of a request as Gemini's: contents of the roles `user` and `model`, each a list of parts.
//!
//! System texts stand apart. Results of tools follow their calls at once, in a content of their own, in the order of the calls; they name the
//! tool, so the names are remembered by the calls' ids. Thought signatures go back into the parts that they came with.

use super::model::Known;
use super::picture;
use crate::formats::document;
use crate::formats::prompt::{self, Picture};
use contract::chat::{ChatRequest, Content, Message, OpaquePart, Part, Role};
use contract::failure::Failure;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// What stands for the signature of a call that this model did not make itself, or whose signature is gone: Google's own word for it. A
/// third-generation model refuses a call without any, and may refuse a picture of its own.
const NO_SIGNATURE: &str = "\"skip_thought_signature_validator\"";

/// Opens a conversation that begins with the model, which the API refuses.
const OPENING: &str = "(The conversation begins with the assistant.)";

/// A part of a content.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Piece<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Call<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_response: Option<Response<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a RawValue>,
}

/// Bytes in the request itself.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    mime_type: &'a str,
    data: Cow<'a, str>,
}

/// A file that Google keeps.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct File<'a> {
    file_uri: &'a str,
}

#[derive(Serialize)]
struct Call<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    args: Box<RawValue>,
}

#[derive(Serialize)]
struct Response<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    name: &'a str,
    response: Box<RawValue>,
}

/// What one side says.
#[derive(Serialize)]
pub struct Said<'a> {
    role: &'static str,
    parts: Vec<Piece<'a>>,
    /// Whether it holds results of tools, and nothing else.
    #[serde(skip)]
    results: bool,
}

/// A conversation.
pub struct Conversation<'a> {
    /// The system texts, joined.
    pub system: String,
    /// The contents; the first is the user's.
    pub contents: Vec<Said<'a>>,
}

/// Translates the messages.
///
/// # Errors
/// `InvalidRequest` naming the message that holds something that cannot be sent, or `messages` if nothing is left to be sent.
pub fn conversation<'a>(request: &'a ChatRequest, model: &str) -> Result<Conversation<'a>, Failure> {
    let known = Known::of(model);
    let mut system: Vec<String> = Vec::new();
    let mut contents: Vec<Said<'a>> = Vec::new();
    // By id: the tool's name, and the call's place in its message.
    let mut calls: HashMap<&str, (&str, usize)> = HashMap::new();
    // Places of the results in the last content, to put them into the order of their calls.
    let mut places: Vec<usize> = Vec::new();
    // Pictures of results: they have no place in a result, and between two results they would part these from their calls.
    let mut pictured: Vec<Piece<'a>> = Vec::new();
    for (at, message) in request.messages.iter().enumerate() {
        let (role, pieces) = match message.role {
            Role::System | Role::Developer => {
                system.push(message.plain_text());
                continue;
            }
            Role::User => ("user", parts(message, at, model)?),
            Role::Assistant => {
                calls.extend(
                    message
                        .tool_calls
                        .iter()
                        .enumerate()
                        .map(|(place, call)| (call.id.as_str(), (call.function.name.as_str(), place))),
                );
                ("model", assistant(message, known))
            }
            Role::Tool | Role::Function => {
                let (name, place) = answered(message, &calls, at)?;
                let id = message.tool_call_id.as_deref().filter(|_| known.is_third());
                let response = Response { id, name, response: response(&message.plain_text()) };
                let piece = Piece { function_response: Some(response), ..Piece::default() };
                if contents.last().is_none_or(|last| !last.results) {
                    places.clear();
                    contents.push(Said { role: "user", parts: Vec::new(), results: true });
                }
                if let Some(last) = contents.last_mut() {
                    let to = places.partition_point(|known| *known <= place);
                    places.insert(to, place);
                    last.parts.insert(to, piece);
                }
                pictured.extend(pictures(message, at, model)?);
                continue;
            }
        };
        say(&mut contents, "user", std::mem::take(&mut pictured));
        say(&mut contents, role, pieces);
    }
    say(&mut contents, "user", pictured);
    if contents.is_empty() {
        return Err(Failure::invalid("messages", "there is no message with any content beside the system's"));
    }
    system.retain(|text| !text.trim().is_empty());
    Ok(Conversation { system: system.join("\n\n"), contents })
}

/// Adds what one side says: to what it said last, or as a content of its own.
fn say<'a>(contents: &mut Vec<Said<'a>>, role: &'static str, pieces: Vec<Piece<'a>>) {
    if pieces.is_empty() {
        return;
    }
    match contents.last_mut() {
        Some(last) if last.role == role && !last.results => last.parts.extend(pieces),
        None if role == "model" => {
            let opening = vec![Piece { text: Some(OPENING), ..Piece::default() }];
            contents.push(Said { role: "user", parts: opening, results: false });
            contents.push(Said { role, parts: pieces, results: false });
        }
        _ => contents.push(Said { role, parts: pieces, results: false }),
    }
}

/// The name of the tool whose result this is, and the place of its call.
fn answered<'a>(
    message: &'a Message,
    calls: &HashMap<&'a str, (&'a str, usize)>,
    at: usize,
) -> Result<(&'a str, usize), Failure> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    calls.get(id).copied().or_else(|| Some((message.name.as_deref()?, usize::MAX))).ok_or_else(|| {
        let text = format!("the result of the call {id:?} stands without that call: Gemini needs the tool's name");
        Failure::invalid(format!("messages[{at}].tool_call_id"), text)
    })
}

/// A result as the object that the API wants: as it is if it is one.
fn response(text: &str) -> Box<RawValue> {
    let trimmed = text.trim();
    let object = RawValue::from_string(trimmed.to_owned()).ok().filter(|raw| raw.get().starts_with('{'));
    let wrapped = || RawValue::from_string(json!({ "result": text }).to_string()).ok();
    object.or_else(wrapped).unwrap_or_else(|| RawValue::NULL.to_owned())
}

fn filled(text: &str) -> Option<Piece<'_>> {
    (!text.is_empty()).then(|| Piece { text: Some(text), ..Piece::default() })
}

fn parts<'a>(message: &'a Message, at: usize, model: &str) -> Result<Vec<Piece<'a>>, Failure> {
    match &message.content {
        None => Ok(Vec::new()),
        Some(Content::Text(text)) => Ok(filled(text).into_iter().collect()),
        Some(Content::Parts(parts)) => {
            let mut pieces = Vec::with_capacity(parts.len());
            for part in parts {
                pieces.extend(piece(part, at, model)?);
            }
            Ok(pieces)
        }
    }
}

/// The parts of a tool's result that are no text.
fn pictures<'a>(message: &'a Message, at: usize, model: &str) -> Result<Vec<Piece<'a>>, Failure> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(Vec::new()) };
    let mut pieces = Vec::new();
    for part in parts.iter().filter(|part| !matches!(part, Part::Text(_) | Part::Refusal(_))) {
        pieces.extend(piece(part, at, model)?);
    }
    Ok(pieces)
}

fn piece<'a>(part: &'a Part, at: usize, model: &str) -> Result<Option<Piece<'a>>, Failure> {
    let inline = |mime_type, data| Piece { inline_data: Some(Data { mime_type, data }), ..Piece::default() };
    Ok(match part {
        Part::Text(text) | Part::Refusal(text) => filled(text),
        Part::Image { url, .. } => Some(match prompt::picture(url, at)? {
            Picture::Inline { media_type, base64 } => inline(media_type, base64.into()),
            Picture::Link(url) if is_googles(url) => {
                Piece { file_data: Some(File { file_uri: url }), ..Piece::default() }
            }
            Picture::Link(_) => {
                let message = "Gemini cannot fetch pictures: send the picture as a data URL (data:image/png;base64,…)";
                return Err(Failure::invalid(format!("messages[{at}].content"), message));
            }
        }),
        Part::Other { kind, json } => {
            let (mime_type, data) = other(kind, json).ok_or_else(|| prompt::unusable_part(kind, at, model))?;
            Some(inline(mime_type, data))
        }
    })
}

/// Files that were uploaded to the API, and videos: what it fetches itself.
pub fn is_googles(url: &str) -> bool {
    url.starts_with("https://generativelanguage.googleapis.com/") || url.starts_with("https://www.youtube.com/watch")
}

/// OpenAI's parts for sound and for files, as type and base64.
fn other<'a>(kind: &str, json: &'a RawValue) -> Option<(&'static str, Cow<'a, str>)> {
    if kind == "file" {
        return document::read(json).map(|document| (document::PDF, document.base64));
    }
    #[derive(Deserialize)]
    struct Wire<'a> {
        #[serde(borrow)]
        input_audio: Audio<'a>,
    }
    #[derive(Deserialize)]
    struct Audio<'a> {
        #[serde(borrow)]
        data: Cow<'a, str>,
        #[serde(borrow)]
        format: Cow<'a, str>,
    }
    if kind != "input_audio" {
        return None;
    }
    let Audio { data, format } = serde_json::from_str::<Wire<'a>>(json.get()).ok()?.input_audio;
    let mime_type = match &*format {
        "wav" => "audio/wav",
        "mp3" => "audio/mp3",
        "ogg" | "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        _ => return None,
    };
    Some((mime_type, data))
}

/// What the model said: its text, then its calls, each with the signature that came with it.
fn assistant(message: &Message, known: Known) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = match &message.content {
        None => Vec::new(),
        Some(Content::Text(text)) => said(text, known),
        Some(Content::Parts(parts)) => parts
            .iter()
            .flat_map(|part| match part {
                Part::Text(text) | Part::Refusal(text) => said(text, known),
                Part::Image { .. } | Part::Other { .. } => Vec::new(),
            })
            .collect(),
    };
    // A signature of text goes into a part of its own: the text it came with may have been joined with other text.
    pieces.extend(message.opaque.iter().filter(|part| part.call.is_none()).filter_map(|part| {
        Some(Piece { text: Some(""), thought_signature: Some(signature(part)?), ..Piece::default() })
    }));
    for (place, call) in message.tool_calls.iter().enumerate() {
        let own = |part: &&OpaquePart| part.call.is_some_and(|index| index as usize == place);
        let proof = message.opaque.iter().filter(own).find_map(signature);
        // Of parallel calls only the first has one.
        let stand_in = || (place == 0 && known.is_third()).then(|| serde_json::from_str(NO_SIGNATURE).ok()).flatten();
        pieces.push(Piece {
            function_call: Some(Call {
                id: Some(call.id.as_str()).filter(|id| known.is_third() && !id.is_empty()),
                name: &call.function.name,
                args: prompt::arguments_object(&call.function.arguments),
            }),
            thought_signature: proof.or_else(stand_in),
            ..Piece::default()
        });
    }
    pieces
}

/// The model's text, with the pictures that it drew as pictures.
fn said(text: &str, known: Known) -> Vec<Piece<'_>> {
    let pictures = picture::pieces(text);
    if !pictures.iter().any(|piece| matches!(piece, picture::Piece::Picture(..))) {
        return filled(text).into_iter().collect();
    }
    let stand_in = || known.is_third().then(|| serde_json::from_str(NO_SIGNATURE).ok()).flatten();
    let piece = |piece| match piece {
        picture::Piece::Text(text) => Piece { text: Some(text), ..Piece::default() },
        // Like a call, it came with a signature, which no client sends back with the text.
        picture::Piece::Picture(mime_type, data) => Piece {
            inline_data: Some(Data { mime_type, data: data.into() }),
            thought_signature: stand_in(),
            ..Piece::default()
        },
    };
    pictures.into_iter().map(piece).collect()
}

fn signature(part: &OpaquePart) -> Option<&RawValue> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Proof<'a> {
        #[serde(borrow)]
        thought_signature: &'a RawValue,
    }
    let proof: Proof<'_> =
        Some(part).filter(|part| part.format == "gemini").and_then(|part| serde_json::from_slice(&part.json).ok())?;
    Some(proof.thought_signature)
}
