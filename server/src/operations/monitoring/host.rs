//! Refuses requests that were not made for this machine. A web page can have its own name resolve to a loopback
//! address, to read these answers through a browser on this machine (DNS rebinding). But the browser sends that name
//! in `Host`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

const ELSEWHERE: &str = "only requests to localhost, with the port of this server, are answered\n";

/// Passes on a request whose only `Host` names this machine, and this port if it names any. If the request names a
/// host in its target as well, that one too.
pub(super) async fn check(port: u16, request: Request, next: Next) -> Response {
    let target = request.uri().authority();
    if is_here(request.headers(), port) && target.is_none_or(|authority| is_local(authority, port)) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, ELSEWHERE).into_response()
    }
}

fn is_here(headers: &HeaderMap, port: u16) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Some(authority) = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) else {
        return false;
    };
    is_local(&authority, port)
}

fn is_local(authority: &Authority, port: u16) -> bool {
    let name = authority.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    // With a user's name in front, as in `a@localhost`, there is no such prefix.
    let rest = authority.as_str().strip_prefix(name);
    is_loopback && (rest == Some("") || rest == Some(format!(":{port}").as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_with_this_port_or_none_are_accepted() {
        let is = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, host.parse().unwrap());
            is_here(&headers, 9_275)
        };
        for here in
            ["localhost", "LOCALHOST:9275", "127.0.0.1:9275", "127.3.2.1", "[::1]:9275", "[::ffff:127.0.0.1]"]
        {
            assert!(is(here), "{here}");
        }
        for elsewhere in [
            "",
            "example.org:9275",
            "localhost:9276",
            "localhost:",
            "a@localhost:9275",
            "10.0.0.1",
            "[::2]:9275",
        ] {
            assert!(!is(elsewhere), "{elsewhere}");
        }
        assert!(!is_here(&HeaderMap::new(), 9_275));
    }
}
