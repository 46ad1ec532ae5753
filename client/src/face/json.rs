//! The json face, for scripts and bots: requests and responses as [`asking::json`](crate::asking::json) defines them,
//! with events between them, which have an `event`. It also serves the socket of a running client, without events.

mod requests;

use futures_util::StreamExt as _;
use parlour_protocol::LineSplitter;
use parlour_protocol::limits::LINE_BYTES;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

pub use requests::Requests;

use crate::asking::action::Action;
use crate::asking::asker::Outcome;
use crate::asking::json::{ErrorObject, Request, Response};
use crate::asking::update::{Connection, Update};
use crate::failure::Failure;
use requests::{Done, Patience};

/// Serves one program until its input ends or it quits, and all its requests are answered. Returns true if everything
/// was done. `login` is a login that no request asked for: events report its success or failure.
pub async fn serve(
    mut input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
    mut requests: Requests,
    mut updates: Option<mpsc::Receiver<Update>>,
    mut login: Option<Outcome>,
) -> std::io::Result<bool> {
    let mut lines = LineSplitter::new(LINE_BYTES);
    let mut chunk = vec![0; 8_192];
    let mut patience = Patience::new(updates.is_some());
    let mut open = true;
    let mut all_done = true;
    loop {
        while requests.has_room()
            && let Some(line) = lines.next_line()
        {
            let request = match line {
                Ok(line) => Request::parse(line),
                Err(fault) => {
                    let failure = Failure::usage(fault.to_string());
                    Err(Box::new(Response::new(Value::Null, Err(failure))))
                }
            };
            match request {
                Ok(request) => {
                    open &= request.action != Action::Quit;
                    requests.begin(request);
                }
                Err(response) => {
                    all_done = false;
                    say(&mut output, &response).await?;
                }
            }
        }
        if !open && requests.under_way.is_empty() {
            return Ok(all_done);
        }
        patience.waits(!open || !requests.has_room());
        tokio::select! {
            count = input.read(&mut chunk), if open && requests.has_room() => match chunk.get(..count?) {
                Some(bytes) if !bytes.is_empty() => lines.feed(bytes),
                // A last line without a line feed counts as well.
                _ if !lines.is_empty() => lines.feed(b"\n"),
                _ => open = false,
            },
            Some(Done { id, outcome, ended }) = requests.under_way.next(), if !requests.under_way.is_empty() => {
                patience.answered();
                all_done &= outcome.is_ok();
                say(&mut output, &Response::new(id, outcome)).await?;
                if let Some(failure) = requests.after(ended) {
                    all_done = false;
                    say(&mut output, &logged_out(&failure)).await?;
                }
            }
            outcome = async { Some(login.as_mut()?.await) }, if login.is_some() => {
                login = None;
                if let Some(Err(failure)) = outcome {
                    all_done = false;
                    say(&mut output, &logged_out(&failure)).await?;
                }
            }
            () = patience.end(requests.logins) => {
                requests.give_up();
                patience.begin_anew();
            }
            update = next(&mut updates) => match update {
                Some(update) => {
                    patience.note(&update);
                    all_done &= !matches!(update, Update::NotSent(_));
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

/// An update as a JSON event, if programs get one for it.
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
        Update::Regrouped { name, generation, begins, last, set_aside, .. } => json!({
            "event": "regrouped", "conversation": name, "generation": generation, "begins": begins, "last": last,
            "set_aside": set_aside,
        }),
        // Each message is reported once, with its final verdict.
        Update::Newest { .. } => return None,
        Update::Backlog(messages) => json!({"event": "backlog", "messages": messages}),
        Update::Judged(messages) => json!({"event": "judged", "messages": messages}),
        Update::Message(message) => json!({"event": "message", "message": message}),
        Update::Outbox { count, .. } => json!({"event": "outbox", "waiting": count}),
        Update::NotSent(not_sent) => json!({
            "event": "not_sent", "to": not_sent.to, "text": not_sent.text,
            "error": ErrorObject::new(&not_sent.reason),
        }),
        Update::Notice(text) => json!({"event": "notice", "text": text}),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::requests::AT_ONCE;
    use super::*;
    use crate::asking::action::Answer;
    use crate::asking::asker::{Asked, Asker};
    use crate::link::LinkError;

    /// `count` lines with requests, the last without a line feed.
    fn says(count: usize) -> Vec<u8> {
        let say = |id| json!({"id": id, "do": "say", "to": "#lobby", "text": "hi"}).to_string();
        (0..count).map(say).collect::<Vec<_>>().join("\n").into_bytes()
    }

    /// The answers' ids, sorted, and the codes of errors.
    fn answers(output: &[u8]) -> (Vec<u64>, Vec<String>) {
        let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
        let mut ids: Vec<u64> = lines.iter().filter_map(|line| line["id"].as_u64()).collect();
        ids.sort_unstable();
        let codes = lines.iter().filter_map(|line| line["error"]["code"].as_str());
        (ids, codes.map(str::to_owned).collect())
    }

    /// Answers one request in each `pause`, and notes the most that waited.
    async fn answer_slowly(mut asked: mpsc::Receiver<Asked>, most: &mut usize, pause: Duration) {
        let mut waiting = std::collections::VecDeque::new();
        loop {
            tokio::select! {
                asked = asked.recv() => waiting.push_back(asked.unwrap()),
                () = tokio::time::sleep(pause), if !waiting.is_empty() => {
                    let Asked { answer, .. } = waiting.pop_front().unwrap();
                    answer.send(Ok(Answer::Done)).unwrap();
                }
            }
            *most = waiting.len().max(*most);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_request_is_answered_even_if_the_server_is_slow() {
        let ((asker, asked), (_updates, updated)) = (Asker::new(), mpsc::channel(1));
        let (input, mut output, mut most) = (says(6_000), Vec::new(), 0);
        let all_done = tokio::select! {
            served = serve(input.as_slice(), &mut output, Requests::new(asker), Some(updated), None) => served.unwrap(),
            () = answer_slowly(asked, &mut most, Duration::from_millis(50)) => unreachable!(),
        };
        assert!(all_done);
        assert_eq!(answers(&output), ((0..6_000).collect(), vec![]));
        assert!(most > AT_ONCE / 2 && most <= AT_ONCE, "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_for_a_server_that_cannot_be_reached_are_answered_with_an_error() {
        let ((asker, mut asked), (updates, updated)) = (Asker::new(), mpsc::channel(1));
        let (input, mut output) = (says(1_000), Vec::new());
        let begun = tokio::time::Instant::now();
        let reason = LinkError::Lost.into();
        updates.send(Update::Connection(Connection::Offline { reason, retry: None })).await.unwrap();
        // Takes requests and never answers them.
        let keeping = async {
            let mut kept = Vec::new();
            while let Some(asked) = asked.recv().await {
                kept.push(asked);
            }
        };
        let all_done = tokio::select! {
            served = serve(input.as_slice(), &mut output, Requests::new(asker), Some(updated), None) => served.unwrap(),
            () = keeping => unreachable!(),
        };
        assert!(!all_done);
        assert_eq!(answers(&output), ((0..1_000).collect(), vec!["unsent".to_owned(); 1_000]));
        assert!(begun.elapsed() < Duration::from_mins(3), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_registration_logs_in_before_the_next_request_is_carried_out() {
        let ((asker, mut asked), (_updates, updated)) = (Asker::new(), mpsc::channel(1));
        let input = concat!(
            r#"{"id":1,"do":"register","name":"sam"}"#,
            "\n",
            r#"{"id":2,"do":"users"}"#,
            "\n",
            r#"{"id":3,"do":"login","name":"sam"}"#
        );
        let (mut output, mut done) = (Vec::new(), Vec::new());
        let serving = serve(input.as_bytes(), &mut output, Requests::new(asker), Some(updated), None);
        let acting = async {
            while let Some(Asked { action, answer }) = asked.recv().await {
                let name = "sam".parse().unwrap();
                let said = match action {
                    Action::Register { .. } => Answer::Registered { name },
                    Action::Login { .. } => Answer::LoggedIn { name, backlog: Vec::new() },
                    _ => Answer::Users { users: vec![name] },
                };
                done.push(action);
                answer.send(Ok(said)).unwrap();
            }
        };
        tokio::select! {
            served = serving => assert!(served.unwrap()),
            () = acting => unreachable!(),
        }
        assert_eq!(answers(&output), (vec![1, 2, 3], vec![]));
        let name = || "sam".parse().unwrap();
        let login = Action::Login { name: name(), patient: false };
        assert_eq!(done, [Action::Register { name: name() }, login, Action::Users]);
    }
}
