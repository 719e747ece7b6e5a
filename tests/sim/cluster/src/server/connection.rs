//! One connection: reads requests, has them answered, plays the faults. It ends after as many requests as a real one.

use super::Shared;
use super::head::Head;
use crate::api::Answer;
use crate::cluster::Heard;
use crate::fault::Fault;
use crate::text::http_date;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Serves until the client leaves, a fault cuts, or the connection's requests are used up.
pub(super) async fn serve<S>(shared: &Shared, endpoint: usize, mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = Vec::new();
    let mut count = 0;
    let drops = shared.state(|cluster| cluster.model.drops);
    while let Some(head) = Head::read(&mut stream, &mut buffer).await? {
        count += 1;
        if shared.state(|cluster| cluster.model.drops) != drops {
            return Ok(());
        }
        let heard = Heard {
            method: &head.method,
            target: &head.target,
            authorization: head.authorization.as_deref(),
            body: &head.body,
            chunked: head.chunked,
        };
        let plan = shared.state(|cluster| cluster.hear(endpoint, &heard));
        let last = count >= shared.requests_per_connection || head.close || head.chunked;
        match plan.fault {
            Some(Fault::Hang) => return until_gone(&mut stream).await,
            Some(Fault::Refuse) => return Ok(()),
            Some(Fault::NotHttp) => {
                stream.write_all(b"\x16\x03\x01SSH-2.0-not-a-web-server\r\n").await?;
                return stream.shutdown().await;
            }
            Some(Fault::NoAnswer) => return stream.shutdown().await,
            Some(Fault::CloseAfter(requests)) if count > requests => return Ok(()),
            Some(Fault::Slow(by)) => shared.clock.pause(by).await,
            _ => {}
        }
        // Without an answer the node is gone: the connection ends without a word.
        let Some(answer) = plan.answer else { return Ok(()) };
        if answer.status == 401 && !shared.refused_login_delay.is_zero() {
            shared.clock.pause(shared.refused_login_delay).await;
        }
        let bytes = response(&answer, plan.date, last);
        if plan.fault == Some(Fault::DropMidBody) {
            let half = bytes.len() - answer.body.len() / 2;
            stream.write_all(&bytes[..half]).await?;
            stream.flush().await?;
            return Ok(());
        }
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        if last {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// The answer as pveproxy writes it.
fn response(answer: &Answer, date: i64, last: bool) -> Vec<u8> {
    // What an operator sees as the error is the reason phrase; it must stay on its line.
    let reason: String = answer.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let connection = if last { "close" } else { "Keep-Alive" };
    let mut head = format!(
        "HTTP/1.1 {} {}\r\nCache-Control: max-age=0\r\nConnection: {connection}\r\nDate: {}\r\nPragma: no-cache\r\nServer: pve-api-daemon/3.0\r\nContent-Length: {}\r\n",
        answer.status,
        reason.trim_end(),
        http_date(date),
        answer.body.len()
    );
    if !answer.body.is_empty() {
        head.push_str("Content-Type: application/json;charset=UTF-8\r\n");
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}

/// Reads and forgets until the client leaves.
async fn until_gone<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut waste = [0; 1024];
    while stream.read(&mut waste).await? > 0 {}
    Ok(())
}
