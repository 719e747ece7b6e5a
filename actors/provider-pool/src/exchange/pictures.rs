//! Pictures that a caller names by an address, for providers that take them in the request only: fetched from where HAIA stands, and put in.
//!
//! Only what is a picture by its first bytes is passed on, so that nothing else of the network HAIA stands in gets out this way; sizes, numbers
//! and waits are bounded. It sends no key and no cookie, and reads nothing for providers that fetch for themselves.

use crate::formats::{self, Format};
use awc::http::header::LOCATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use contract::chat::{ChatRequest, Content, Part};
use contract::clock::SharedClock;
use contract::failure::Failure;
use contract::provider::CallBody;
use memchr::memmem::Finder;
use runtime::http;
use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

/// The most pictures of one request, and the most bytes of one and of all of them.
const PICTURES: usize = 16;
const ONE: usize = 20 << 20;
const ALL: usize = 32 << 20;
/// How long fetching all of them may take.
const WITHIN: Duration = Duration::from_secs(20);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How often an address may lead to another one.
const HOPS: usize = 3;

/// The thread's client for pictures, made when the first is asked for.
#[derive(Default)]
pub struct Pictures(OnceCell<awc::Client>);

/// A picture to fetch: the places of its message and part, and its address.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    message: usize,
    part: usize,
    url: String,
}

impl Pictures {
    /// The body with every picture in it that the format's API does not fetch itself; `None` if there is none.
    ///
    /// # Errors
    /// `InvalidRequest` naming the message whose picture could not be had, and why.
    pub async fn put_in(
        &self,
        format: &dyn Format,
        body: &CallBody,
        clock: &SharedClock,
    ) -> Result<Option<CallBody>, Failure> {
        let Some((mut request, links)) = links(format, body) else { return Ok(None) };
        if let Some(link) = links.get(PICTURES) {
            return Err(refused(link, &format!("a request may name {PICTURES} pictures by their addresses")));
        }
        let client = self.0.get_or_init(|| {
            http::client(&http::Connect { timeout: CONNECT_WITHIN, tls: true, ..http::Connect::default() })
        });
        let mut deadline = clock.pause(WITHIN);
        let mut left = ALL;
        for link in links {
            let picture = tokio::select! {
                biased;
                picture = fetch(client, &link.url, left.min(ONE)) => picture,
                () = &mut deadline => Err(format!("it did not come within {} s", WITHIN.as_secs())),
            };
            let picture = picture.map_err(|reason| refused(&link, &reason))?;
            // What a server says of it is not trusted.
            let Some(media_type) = formats::picture_type(&picture) else {
                return Err(refused(&link, "what is there is no picture (PNG, JPEG, GIF or WebP)"));
            };
            left = left.saturating_sub(picture.len());
            let url = format!("data:{media_type};base64,{}", STANDARD.encode(&picture));
            let message = Rc::make_mut(&mut request).messages.get_mut(link.message);
            if let Some(Content::Parts(parts)) = message.and_then(|message| message.content.as_mut())
                && let Some(Part::Image { url: known, .. }) = parts.get_mut(link.part)
            {
                *known = url;
            }
        }
        Ok(Some(CallBody::Request(request)))
    }
}

/// What must be fetched. A body that cannot be read is the encoder's business.
fn links(format: &dyn Format, body: &CallBody) -> Option<(Rc<ChatRequest>, Vec<Link>)> {
    let request = match body {
        CallBody::Raw(bytes) => {
            static IMAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"image_url\""));
            IMAGE.find(bytes)?;
            memchr::memmem::find(bytes, b"http")?;
            Rc::new(ChatRequest::parse(bytes).ok()?)
        }
        CallBody::Request(request) => Rc::clone(request),
    };
    let is_link = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    let mut links = Vec::new();
    for (message, said) in request.messages.iter().enumerate() {
        let Some(Content::Parts(parts)) = &said.content else { continue };
        links.extend(parts.iter().enumerate().filter_map(|(part, content)| match content {
            Part::Image { url, .. } if is_link(url) && !format.fetches_picture(url) => {
                Some(Link { message, part, url: url.clone() })
            }
            _ => None,
        }));
    }
    (!links.is_empty()).then_some((request, links))
}

fn refused(link: &Link, reason: &str) -> Failure {
    // The address may hold a secret of the caller's in its query; the host is enough to know it by.
    let host = link.url.split('/').nth(2).and_then(|host| host.rsplit('@').next()).unwrap_or_default();
    let host: String = host.chars().filter(|c| !c.is_control()).take(100).collect();
    let message = format!("the picture at {host} could not be put into the request: {reason}; send it as a data URL");
    Failure::invalid(format!("messages[{}].content", link.message), message)
}

/// The bytes behind an address, or why there are none.
async fn fetch(client: &awc::Client, url: &str, limit: usize) -> Result<Bytes, String> {
    let mut url = url.to_owned();
    for _ in 0..=HOPS {
        let request = client.get(&url).insert_header(("accept", "image/*"));
        let mut response = request.send().await.map_err(|error| format!("no answer ({error})"))?;
        let status = response.status();
        if status.is_redirection()
            && let Some(next) = response.headers().get(LOCATION).and_then(|next| next.to_str().ok())
        {
            url = leads_to(&url, next).ok_or("it leads to an address that is none")?;
            continue;
        }
        if !status.is_success() {
            return Err(format!("HTTP status {}", status.as_u16()));
        }
        let too_large = || format!("it is larger than {} MiB", limit >> 20);
        return response.body().limit(limit).await.map_err(|error| match error {
            awc::error::PayloadError::Overflow => too_large(),
            error => format!("it broke off ({error})"),
        });
    }
    Err(format!("it leads on more than {HOPS} times"))
}

/// Where a redirect leads: a whole address, or a path of the same host.
fn leads_to(from: &str, to: &str) -> Option<String> {
    if to.starts_with("http://") || to.starts_with("https://") {
        return Some(to.to_owned());
    }
    let (scheme, rest) = from.split_once("://")?;
    if let Some(host) = to.strip_prefix("//") {
        return Some(format!("{scheme}://{host}"));
    }
    let host = rest.split(['/', '?', '#']).next()?;
    to.starts_with('/').then(|| format!("{scheme}://{host}{to}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::failure::FailureClass;
    use serde_json::json;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Arc;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    /// A server that gives these answers, one per connection, each to whoever comes.
    fn server(answers: Vec<Vec<u8>>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let serve = move || {
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let mut head = [0; 4096];
                let _ = stream.read(&mut head);
                let _ = stream.write_all(&answer);
            }
        };
        std::thread::Builder::new().spawn(serve).expect("a thread");
        format!("http://{address}")
    }

    fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    fn asking(urls: &[&str]) -> CallBody {
        let parts: Vec<_> = urls.iter().map(|url| json!({"type": "image_url", "image_url": {"url": url}})).collect();
        let request = json!({"model": "p/m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": parts}]});
        CallBody::Raw(request.to_string().into())
    }

    async fn put_in(kind: &str, body: &CallBody) -> Result<Option<Vec<String>>, Failure> {
        let clock: SharedClock = Arc::new(runtime::SystemClock::real());
        let format = formats::by_kind(kind).expect("a format");
        let put = Pictures::default().put_in(format, body, &clock).await?;
        Ok(put.map(|body| {
            let CallBody::Request(request) = body else { panic!("a request") };
            let Some(Content::Parts(parts)) = &request.messages[1].content else { panic!("parts") };
            let url = |part: &Part| match part {
                Part::Image { url, .. } => url.clone(),
                other => panic!("{other:?}"),
            };
            parts.iter().map(url).collect()
        }))
    }

    #[test]
    fn pictures_are_put_into_the_request() {
        actix_rt::System::new().block_on(async {
            let there = server(vec![
                answer("302 Found", "location: /b.png\r\n", b""),
                answer("200 OK", "content-type: text/plain\r\n", PNG),
            ]);
            let data = "data:image/gif;base64,AA==";
            let put =
                put_in("gemini", &asking(&[&format!("{there}/a.png"), data])).await.expect("fetched").expect("links");
            assert_eq!(put, [format!("data:image/png;base64,{}", STANDARD.encode(PNG)), data.to_owned()]);
        });
    }

    #[test]
    fn nobody_fetches_what_need_not_be_fetched() {
        actix_rt::System::new().block_on(async {
            let googles = "https://generativelanguage.googleapis.com/v1beta/files/abc";
            for (kind, url) in [
                ("openai", "http://127.0.0.1:1/x.png"),
                ("anthropic", "http://127.0.0.1:1/x.png"),
                ("gemini", "data:image/png;base64,http"),
                ("gemini", googles),
                ("ollama", "file:///etc/passwd"),
            ] {
                assert_eq!(put_in(kind, &asking(&[url])).await, Ok(None), "{kind} {url}");
            }
            assert_eq!(put_in("ollama", &CallBody::Raw(Bytes::from_static(b"\"image_url\" http"))).await, Ok(None));
        });
    }

    #[test]
    fn what_is_no_picture_stays_where_it_is() {
        actix_rt::System::new().block_on(async {
            let circle: Vec<Vec<u8>> = (0..5).map(|_| answer("301 Moved", "location: /again\r\n", b"")).collect();
            for (answers, reason) in [
                (vec![answer("200 OK", "content-type: image/png\r\n", b"<html>secret")], "is no picture"),
                (vec![answer("404 Not Found", "", b"")], "HTTP status 404"),
                (vec![answer("302 Found", "location: file:///etc/passwd\r\n", b"")], "an address that is none"),
                (circle, "more than 3 times"),
                (vec![], "no answer"),
            ] {
                let url = format!("{}/x?token=hunter2", server(answers));
                let failure = put_in("ollama", &asking(&[&url])).await.expect_err("refused");
                assert_eq!(
                    (failure.class, failure.param.as_deref()),
                    (FailureClass::InvalidRequest, Some("messages[1].content"))
                );
                assert!(failure.message.contains(reason) && !failure.message.contains("hunter2"), "{failure}");
                assert!(!failure.message.contains("secret"), "{failure}");
            }
            let many: Vec<&str> = vec!["http://127.0.0.1:1/x"; PICTURES + 1];
            assert!(put_in("ollama", &asking(&many)).await.is_err());
        });
    }

    #[test]
    fn redirects_lead_to_addresses() {
        for (from, to, wanted) in [
            ("http://a/b?c", "/d", Some("http://a/d")),
            ("https://a", "//b/c", Some("https://b/c")),
            ("http://a/b", "https://c/d", Some("https://c/d")),
            ("http://a/b", "d", None),
            ("http://a/b", "ftp://c", None),
        ] {
            assert_eq!(leads_to(from, to).as_deref(), wanted);
        }
    }
}
