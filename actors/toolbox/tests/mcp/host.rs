//! A small program for the tests of hosting: `guard` is HAIA's hidden mode; `host` hosts the servers of a file, as HAIA does, until it is
//! killed; it writes a line when all are ready.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a program for tests"
)]

#[path = "rig.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod rig;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let mode = arguments.next().unwrap_or_default();
    if mode == "guard" {
        let code = toolbox::mcp::guard(arguments);
        std::process::exit(code);
    }
    let file = arguments.next().expect("a file");
    let text = std::fs::read_to_string(file).expect("a readable file");
    rig::run(async move {
        let rig = rig::Rig::start(&text).await;
        rig.until("all are ready", |servers| {
            !servers.is_empty() && servers.iter().all(|server| server.state == contract::mcp::McpState::Ready)
        })
        .await;
        println!("ready");
        std::future::pending::<()>().await;
    });
}
