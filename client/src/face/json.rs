//! The json face, for scripts and bots: requests and responses as [`asking::json`](crate::asking::json) has
//! them, and between them events, which have an `event`. The socket of a running client is served here too,
//! without events.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parlour_protocol::LineSplitter;
use parlour_protocol::limits::LINE_BYTES;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::asking::action::Action;
use crate::asking::asker::{Asker, Outcome, PATIENCE};
use crate::asking::json::{ErrorObject, Request, Response};
use crate::asking::update::{Connection, Update};
use crate::failure::Failure;

/// Serves one side until its input ends or it quits. Returns whether everything was done. `login` is one that nobody
/// asked for by a line: events tell that it succeeded, and one tells that it did not.
pub async fn serve(
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    asker: Asker,
    mut updates: Option<mpsc::Receiver<Update>>,
    mut login: Option<Outcome>,
) -> std::io::Result<bool> {
    let mut lines = LineSplitter::new(LINE_BYTES);
    let mut chunk = vec![0; 8_192];
    let mut under_way = FuturesUnordered::new();
    let mut open = true;
    let mut all_done = true;
    // After the end of input, how long a server that is away is waited for.
    let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
    loop {
        while let Some(line) = lines.next_line() {
            match line.map_err(|fault| (Value::Null, fault.to_string())).and_then(Request::parse) {
                Ok(Request { id, action }) => {
                    let quits = action == Action::Quit;
                    let asker = asker.clone();
                    under_way.push(async move { (id, asker.ask(action).await) });
                    open &= !quits;
                }
                Err((id, reason)) => {
                    all_done = false;
                    let refused = Response::new(id, Err(Failure::usage(reason)));
                    say(&mut output, &refused).await?;
                }
            }
        }
        if !open && under_way.is_empty() {
            return Ok(all_done);
        }
        tokio::select! {
            count = input.read(&mut chunk), if open => match chunk.get(..count?) {
                Some(bytes) if !bytes.is_empty() => lines.feed(bytes),
                // A last line without a line feed counts as well.
                _ if !lines.is_empty() => lines.feed(b"\n"),
                _ => {
                    open = false;
                    patience.as_mut().reset(Instant::now() + PATIENCE);
                }
            },
            Some((id, outcome)) = under_way.next(), if !under_way.is_empty() => {
                all_done &= outcome.is_ok();
                say(&mut output, &Response::new(id, outcome)).await?;
            }
            outcome = async { login.as_mut()?.await.ok() }, if login.is_some() => {
                login = None;
                if let Some(Err(failure)) = outcome {
                    all_done = false;
                    say(&mut output, &logged_out(&failure)).await?;
                }
            }
            () = &mut patience, if !open => return Ok(false),
            update = next(&mut updates) => match update {
                Some(update) => {
                    if let Some(event) = event(&update) {
                        say(&mut output, &event).await?;
                    }
                }
                None => updates = None,
            },
        }
    }
}

async fn next(updates: &mut Option<mpsc::Receiver<Update>>) -> Option<Update> {
    match updates {
        Some(updates) => updates.recv().await,
        None => std::future::pending().await,
    }
}

async fn say(output: &mut (impl AsyncWrite + Unpin), line: &impl Serialize) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(line)?;
    line.push(b'\n');
    output.write_all(&line).await?;
    output.flush().await
}

fn logged_out(reason: &Failure) -> Value {
    json!({"event": "logged_out", "error": ErrorObject::new(reason)})
}

/// An update as its JSON, if it is one for programs.
fn event(update: &Update) -> Option<Value> {
    Some(match update {
        Update::Connection(connection) => match connection {
            Connection::Connecting { server } => {
                json!({"event": "connection", "is": "connecting", "server": server.to_string()})
            }
            Connection::Guest { server } => {
                json!({"event": "connection", "is": "guest", "server": server.to_string()})
            }
            Connection::Online { server } => {
                json!({"event": "connection", "is": "online", "server": server.to_string()})
            }
            Connection::Offline { reason, retry } => json!({
                "event": "connection", "is": "offline", "reason": reason.to_string(),
                "retry_seconds": retry.map(|retry| retry.as_secs_f64()),
            }),
        },
        Update::Progress(text) => json!({"event": "progress", "text": text}),
        Update::LoggedIn { user, device } => json!({"event": "logged_in", "user": user, "device": device}),
        Update::LoggedOut { reason } => logged_out(reason),
        Update::Conversation { name, last, read } => {
            json!({"event": "conversation", "name": name, "last": last, "read": read})
        }
        Update::Forgotten { name } => json!({"event": "forgotten", "conversation": name}),
        // Each message is told once, when it stays as it is.
        Update::Newest { .. } => return None,
        Update::Backlog(messages) => json!({"event": "backlog", "messages": messages}),
        Update::Judged(messages) => json!({"event": "judged", "messages": messages}),
        Update::Message(message) => json!({"event": "message", "message": message}),
        Update::Outbox(waiting) => json!({"event": "outbox", "waiting": waiting.len()}),
        Update::Notice(text) => json!({"event": "notice", "text": text}),
    })
}
