//! The json face, for scripts and bots: one JSON object a line, in and out. The socket of a running
//! client speaks the same, without events.
//!
//! `{"id":1,"do":"say","to":"@sam","text":"hello"}` is answered by `{"id":1,"ok":"said","message":{...}}`
//! or `{"id":1,"error":{"code":"...","message":"...","hint":"..."}}`; events have an `event`.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use parlour_protocol::LineSplitter;
use parlour_protocol::limits::LINE_BYTES;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::asking::action::{Action, Answer};
use crate::asking::failure::Failure;
use crate::asking::update::{Connection, Update};
use crate::engine::Asker;
use crate::start::oneshot::PATIENCE;

/// What somebody wants, with the name that they give it.
#[derive(Serialize, Deserialize)]
pub struct Wanted {
    /// Goes back with the answer.
    pub id: Value,
    /// What to do.
    #[serde(flatten)]
    pub action: Action,
}

/// What came of it.
#[derive(Serialize, Deserialize)]
pub struct Told {
    /// As it was given.
    pub id: Value,
    /// What was done.
    #[serde(flatten)]
    pub answer: Option<Answer>,
    /// What was not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<ErrorObject>,
}

/// What was not done, and what to do about it.
#[derive(Serialize, Deserialize)]
pub struct ErrorObject {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl ErrorObject {
    fn new(failure: &Failure) -> Self {
        Self { code: failure.code().to_owned(), message: failure.to_string(), hint: failure.hint() }
    }
}

/// What comes of an action.
pub type Outcome = oneshot::Receiver<Result<Answer, Failure>>;

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
            match line.map_err(|fault| (Value::Null, fault.to_string())).and_then(read) {
                Ok(Wanted { id, action }) => {
                    let quits = action == Action::Quit;
                    let asker = asker.clone();
                    under_way.push(async move { (id, asker.ask(action).await) });
                    open &= !quits;
                }
                Err((id, reason)) => {
                    all_done = false;
                    say(&mut output, &refused(id, &Failure::Usage(reason))).await?;
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
                let told = match outcome {
                    Ok(answer) => Told { id, answer: Some(answer), error: None },
                    Err(failure) => {
                        all_done = false;
                        refused(id, &failure)
                    }
                };
                say(&mut output, &told).await?;
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

/// Reads a request. What is wrong with one that has an `id` goes back under it.
fn read(line: &str) -> Result<Wanted, (Value, String)> {
    serde_json::from_str(line).map_err(|error| {
        let object: Option<Value> = serde_json::from_str(line).ok();
        let id = object.and_then(|mut object| object.get_mut("id").map(Value::take));
        (id.unwrap_or_default(), format!("not understood: {error}"))
    })
}

fn refused(id: Value, failure: &Failure) -> Told {
    Told { id, answer: None, error: Some(ErrorObject::new(failure)) }
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
        Update::Message(message) => json!({"event": "message", "message": message}),
        Update::Outbox(waiting) => json!({"event": "outbox", "waiting": waiting.len()}),
        Update::Notice(text) => json!({"event": "notice", "text": text}),
    })
}
