//! The plain relay: the libraries that HAIA is built with, and nothing else. It takes no key, understands no JSON, counts nothing and logs nothing.

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, HttpServer};
use std::net::TcpListener;
use std::rc::Rc;

/// Runs until it is killed. Prints its address first.
pub fn run(provider: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket2::SockRef::from(&listener).listen(4096).expect("a longer queue of connections");
    println!("{}", listener.local_addr().expect("an address"));
    let url = format!("http://{provider}/v1/chat/completions");
    actix_rt::System::new().block_on(async {
        let server = HttpServer::new(move || {
            let client = runtime::http::client(&runtime::http::Connect::default());
            let request = client.post(&url).insert_header(("content-type", "application/json"));
            let frozen = Rc::new(request.freeze().expect("a good address"));
            App::new()
                .app_data(web::PayloadConfig::new(16 << 20))
                .app_data(frozen)
                .route("/v1/chat/completions", web::post().to(pass))
        });
        let server = server.workers(1).tcp_nodelay(true).h1_allow_half_closed(false).max_connections(100_000);
        server.listen(listener).expect("the port is ours").run().await.expect("the relay runs");
    });
}

async fn pass(asked: HttpRequest, body: Bytes) -> HttpResponse {
    let Some(request) = asked.app_data::<Rc<awc::FrozenClientRequest>>() else {
        return HttpResponse::InternalServerError().finish();
    };
    let Ok(mut answer) = Rc::clone(request).send_body(body).await else { return HttpResponse::BadGateway().finish() };
    let mut response = HttpResponse::build(answer.status());
    if let Some(kind) = answer.headers().get("content-type") {
        response.insert_header(("content-type", kind.as_bytes()));
    }
    let length = answer.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let body = answer.take_payload();
    drop(answer);
    match length {
        Some(length) => response.body(actix_web::body::SizedStream::new(length, body)),
        None => response.streaming(body),
    }
}
