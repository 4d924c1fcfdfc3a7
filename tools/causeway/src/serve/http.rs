//! One connection, as hyper speaks it: one request, one answer. hyper is asynchronous; all that a connection
//! waits for is its own socket, so the thread waits for that, and no executor is needed.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use cni_common::Result;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

use super::stream::Stream;
use crate::output;

/// How long the request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long reading the answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes: the least that hyper allows.
const MAX_HEAD: usize = 8192;

/// What Prometheus expects.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>causeway</title></head>\
    <body><a href=\"/metrics\">metrics</a></body></html>\n";

/// Answers one request and closes. `asked` is called when there is one.
pub(super) fn converse(stream: TcpStream, asked: &dyn Fn(), text: &dyn Fn() -> Result<String>) {
    let stream = Stream::new(stream, REQUEST_TIMEOUT);
    let (deadline, Ok(arrival)) = (stream.deadline(), stream.arrival()) else { return };
    let service = service_fn(|request| {
        asked();
        let response = answer(&request, text);
        deadline.extend(ANSWER_TIMEOUT);
        ready(Ok::<_, Infallible>(response))
    });
    let mut http = http1::Builder::new();
    http.keep_alive(false).max_buf_size(MAX_HEAD);
    // The deadline of the stream holds for the head, too.
    http.header_read_timeout(None);
    let mut connection = pin!(http.serve_connection(stream, service));
    let again = Arc::new(Again::default());
    let waker = Waker::from(Arc::clone(&again));
    let mut context = Context::from_waker(&waker);
    // How it ended is the client's business.
    while connection.as_mut().poll(&mut context).is_pending() {
        if !again.0.swap(false, Ordering::Relaxed) && arrival.wait().is_err() {
            return;
        }
    }
}

/// Whether hyper wants to go on without anything that has come.
#[derive(Default)]
struct Again(AtomicBool);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn answer(request: &Request<Incoming>, text: &dyn Fn() -> Result<String>) -> Response<String> {
    let is_known = ["/", "/metrics"].contains(&request.uri().path());
    match request.uri().path() {
        _ if is_known && request.method() != Method::GET => {
            let text = "only GET\n".to_owned();
            respond(StatusCode::METHOD_NOT_ALLOWED, (ALLOW, "GET"), text)
        }
        "/" => respond(StatusCode::OK, (CONTENT_TYPE, HTML), PAGE.to_owned()),
        "/metrics" => match text() {
            Ok(text) => respond(StatusCode::OK, (CONTENT_TYPE, METRICS), text),
            Err(error) => {
                output::complain(&error.to_string());
                let text = format!("{error}\n");
                respond(StatusCode::INTERNAL_SERVER_ERROR, (CONTENT_TYPE, PLAIN), text)
            }
        },
        _ => {
            let text = "only /metrics is here\n".to_owned();
            respond(StatusCode::NOT_FOUND, (CONTENT_TYPE, PLAIN), text)
        }
    }
}

fn respond(
    status: StatusCode,
    (name, value): (HeaderName, &'static str),
    text: String,
) -> Response<String> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    response.headers_mut().insert(name, hyper::header::HeaderValue::from_static(value));
    response
}
