//! Reads a request: its head, then as much body as it announces. Only what pveproxy takes (HTTP/1.x, no chunked bodies).

use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

const HEAD_MAX: usize = 64 * 1024;
const BODY_MAX: usize = 1024 * 1024;

/// A request with what it carries.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    /// The client wants the connection closed after the answer.
    pub(super) close: bool,
    pub(super) chunked: bool,
    /// How much its head announces.
    pub(super) length: usize,
    pub(super) body: Vec<u8>,
}

impl Head {
    /// The next request of a connection; nothing at its end.
    pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> io::Result<Option<Self>> {
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            if buffer.len() > HEAD_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if stream.read_buf(buffer).await? == 0 {
                return if buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        let mut head = Self::parse(&String::from_utf8_lossy(&buffer[..end])).ok_or(io::ErrorKind::InvalidData)?;
        buffer.drain(..end + 4);
        if head.length > BODY_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        while !head.chunked && buffer.len() < head.length {
            if stream.read_buf(buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        head.body = buffer.drain(..head.length.min(buffer.len())).collect();
        Ok(Some(head))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        let mut head = Self {
            method: method.to_owned(),
            target: target.to_owned(),
            close: version == "HTTP/1.0",
            ..Self::default()
        };
        if !version.starts_with("HTTP/1.") || first.next().is_some() {
            return None;
        }
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "authorization" => head.authorization = Some(value.to_owned()),
                "connection" => head.close |= value.eq_ignore_ascii_case("close"),
                "transfer-encoding" => head.chunked = value.to_ascii_lowercase().contains("chunked"),
                "content-length" => head.length = value.parse().ok()?,
                _ => {}
            }
        }
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head::parse(
            "POST /api2/json/x?y=1 HTTP/1.1\r\nHost: pve1\r\nauthorization: PVEAPIToken=a@b!c=d\r\nContent-Length: 12\r\nConnection: close",
        );
        let expected = Head {
            method: "POST".into(),
            target: "/api2/json/x?y=1".into(),
            authorization: Some("PVEAPIToken=a@b!c=d".into()),
            close: true,
            chunked: false,
            length: 12,
            body: Vec::new(),
        };
        assert_eq!(head, Some(expected));
        for broken in ["", "GET", "GET / HTTP/2", "GET / HTTP/1.1\r\nno colon", "GET / HTTP/1.1\r\ncontent-length: x"] {
            assert_eq!(Head::parse(broken), None, "{broken:?}");
        }
    }
}
