//! Reads the one line of a connection.

use parlour_protocol::limits::AUTHORITY_LINE_BYTES;
use parlour_protocol::ttp::TtpRequest;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// The reasons why there is no request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// The other side closed without one.
    Gone,
    /// The line is not a request.
    Malformed(&'static str),
}

/// Reads a line of up to [`AUTHORITY_LINE_BYTES`] and parses it. Nothing after it is read.
pub(super) async fn read(stream: impl AsyncRead + Unpin) -> Result<TtpRequest, NoRequest> {
    let most = u64::try_from(AUTHORITY_LINE_BYTES).unwrap_or(u64::MAX);
    let mut line = Vec::new();
    // One byte more than the line: its line feed.
    let mut stream = BufReader::new(stream.take(most.saturating_add(1)));
    stream.read_until(b'\n', &mut line).await.map_err(|_| NoRequest::Gone)?;
    match line.strip_suffix(b"\n") {
        Some(line) => {
            let request = std::str::from_utf8(line).ok().map(TtpRequest::from_json);
            request.and_then(Result::ok).ok_or(NoRequest::Malformed("the line is not a request"))
        }
        None if line.is_empty() => Err(NoRequest::Gone),
        None if line.len() > AUTHORITY_LINE_BYTES => Err(NoRequest::Malformed("the line is too long")),
        None => Err(NoRequest::Malformed("the line has no end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(length: usize) -> Vec<u8> {
        let mut line = br#"{"op":"enrol","request":""#.to_vec();
        line.resize(length - 2, b'a');
        line.extend(b"\"}\n");
        line
    }

    #[tokio::test]
    async fn a_line_of_the_longest_length_is_read_and_one_byte_more_is_not() {
        assert!(matches!(read(line_of(AUTHORITY_LINE_BYTES).as_slice()).await, Ok(TtpRequest::Enrol { .. })));
        assert_eq!(
            read(line_of(AUTHORITY_LINE_BYTES + 1).as_slice()).await,
            Err(NoRequest::Malformed("the line is too long"))
        );
    }

    #[tokio::test]
    async fn malformed_requests_are_distinguished_from_a_closed_connection() {
        assert_eq!(read(&b""[..]).await, Err(NoRequest::Gone));
        for bytes in
            [&b"\n"[..], b"{}\n", b"\xff\n", b"[1]\n", b"{\"op\":\"watch\",\"after\":-1}\n", b"{\"op\""]
        {
            assert!(matches!(read(bytes).await, Err(NoRequest::Malformed(_))), "{bytes:?}");
        }
    }
}
