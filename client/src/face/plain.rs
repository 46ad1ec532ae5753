//! The plain face, for pipes and scripts: lines as a person types them on standard input; answers,
//! errors and messages on standard output; hints, progress and news of the connection on standard error.

use std::collections::HashMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use parlour_protocol::limits::LINE_BYTES;
use parlour_protocol::{Conversation, LineSplitter, Refusal, SafeText, Seq, UserName};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::asking::action::{Action, Answer};
use crate::asking::asker::AskError;
use crate::asking::asker::{Asker, PATIENCE};
use crate::asking::update::{Connection, Update};
use crate::face::paper::Paper;
use crate::face::why;
use crate::face::wording;
use crate::face::words::{self, Intent, LineError, Misread};
use crate::failure::Failure;
use crate::reading::shown::Shown;

/// The end of a plain face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// At the end of input, or by `/exit`.
    Left {
        /// False if anything was refused.
        all_done: bool,
    },
    /// By `/dialect json`: the json face goes on.
    Json,
}

/// The plain face over any input and output.
pub struct Plain<O, E> {
    asker: Asker,
    updates: mpsc::Receiver<Update>,
    output: O,
    news: E,
    zone: TimeZone,
    paper: Paper,
    news_paper: Paper,
    user: Option<UserName>,
    /// The place of the newest message that was shown in each conversation: its generation and `seq`.
    shown: HashMap<Conversation, (u64, Seq)>,
    /// Messages that came during a login, whose answer must be shown before them.
    held: Vec<Shown>,
    holding: bool,
    offline: bool,
    /// True if there was a connection that can be lost.
    connected: bool,
    all_done: bool,
    /// Input that was read already and is for the face that goes on.
    rest: Vec<u8>,
}

impl<O: AsyncWrite + Unpin, E: AsyncWrite + Unpin> Plain<O, E> {
    /// A face that writes answers to `output` and news to `news`, with times in `zone`.
    pub fn new(
        asker: Asker,
        updates: mpsc::Receiver<Update>,
        (output, paper): (O, Paper),
        (news, news_paper): (E, Paper),
        zone: TimeZone,
    ) -> Self {
        Self {
            asker,
            updates,
            output,
            news,
            zone,
            paper,
            news_paper,
            user: None,
            shown: HashMap::new(),
            held: Vec::new(),
            holding: false,
            offline: false,
            connected: false,
            all_done: true,
            rest: Vec::new(),
        }
    }

    /// Hands over to another face: the updates, and the input that was read already.
    pub fn into_parts(self) -> (mpsc::Receiver<Update>, Vec<u8>) {
        (self.updates, self.rest)
    }

    /// Logs in, if a user is named, and serves `input` to its end. Returns only errors that end the client.
    pub async fn run(
        &mut self,
        mut input: impl AsyncRead + Unpin,
        user: Option<UserName>,
    ) -> Result<Ended, Failure> {
        match user {
            Some(name) => {
                let outcome = self.login(name).await;
                self.settle(outcome).await?;
            }
            None => {
                self.wait_for(Action::Connect).await?;
            }
        }
        let mut lines = LineSplitter::new(LINE_BYTES);
        let mut chunk = vec![0; 8_192];
        loop {
            while let Some(line) = lines.next_line() {
                let line = line.map(str::to_owned).map_err(Refusal::from);
                match self.carry_out(line).await? {
                    None => {}
                    Some(ended) => {
                        self.rest = lines.into_rest();
                        return Ok(ended);
                    }
                }
            }
            tokio::select! {
                count = input.read(&mut chunk) => match chunk.get(..count.unwrap_or(0)) {
                    Some(bytes) if !bytes.is_empty() => lines.feed(bytes),
                    // A last line without a line feed counts as well.
                    _ if !lines.is_empty() => lines.feed(b"\n"),
                    _ => return Ok(Ended::Left { all_done: self.all_done }),
                },
                Some(update) = self.updates.recv() => self.take(update).await?,
            }
        }
    }

    /// Ends the client by an error that no command can correct; any other error is shown.
    async fn settle(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        match outcome {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_final() => Err(failure),
            Err(failure) => self.refuse(&failure).await,
        }
    }

    async fn carry_out(&mut self, line: Result<String, Refusal>) -> Result<Option<Ended>, Failure> {
        // Scripts often end with blank lines, which are ignored.
        if line.as_ref().is_ok_and(|line| line.trim().is_empty()) {
            return Ok(None);
        }
        if let Some(word) = line.as_ref().ok().and_then(|line| words::for_terminal(line)) {
            return self.refuse(&LineError::ForTerminal(word).into()).await.map(|()| None);
        }
        let intent = line.map_err(Misread::from).and_then(|line| words::parse(&line, self.user.is_some()));
        let outcome = match intent {
            Err(refusal) => Err(LineError::new(refusal, self.user.as_ref()).into()),
            Ok(Intent::Exit) => return Ok(Some(Ended::Left { all_done: self.all_done })),
            Ok(Intent::Json) => {
                self.print(r#"{"dialect":"json"}"#).await?;
                return Ok(Some(Ended::Json));
            }
            Ok(Intent::Help) => self.print(&words::help_line()).await,
            // Plain lines have no conversation that could be open.
            Ok(Intent::Open(to)) => {
                Err(Failure::from(Refusal::Format).hinted(format!("nothing was said: write {to} TEXT")))
            }
            Ok(Intent::Register(name)) => self.register(name).await,
            Ok(Intent::Login(name)) => self.login(name).await,
            Ok(Intent::Users) => self.users().await,
            Ok(Intent::Why(conversation)) => self.why(conversation.unwrap_or_else(Conversation::lobby)).await,
            Ok(Intent::Trust(name)) => self.wait_for(Action::Trust { name }).await.map(|_| ()),
            Ok(Intent::SayTo(to, text)) => self.say(to, text).await,
            Ok(Intent::Say(text)) => self.say(Conversation::lobby(), text).await,
        };
        if let Err(failure) = outcome {
            self.refuse(&failure).await?;
        }
        Ok(None)
    }

    async fn register(&mut self, name: UserName) -> Result<(), Failure> {
        self.wait_for(Action::Register { name: name.clone() }).await?;
        self.print("Registration Succeeded").await?;
        self.login(name).await
    }

    async fn login(&mut self, name: UserName) -> Result<(), Failure> {
        self.holding = true;
        let outcome = self.wait_for(Action::Login { name: name.clone(), patient: false }).await;
        self.holding = false;
        let held = std::mem::take(&mut self.held);
        let Answer::LoggedIn { backlog, .. } = outcome? else { return Err(AskError::Ending.into()) };
        self.user = Some(name);
        self.print("Authentication Succeeded").await?;
        for shown in backlog.iter().chain(&held) {
            self.show(shown).await?;
        }
        Ok(())
    }

    async fn users(&mut self) -> Result<(), Failure> {
        let Answer::Users { users } = self.wait_for(Action::Users).await? else {
            return Err(AskError::Ending.into());
        };
        let names: Vec<&str> = users.iter().map(UserName::as_str).collect();
        self.print(&names.join(" ")).await
    }

    async fn why(&mut self, conversation: Conversation) -> Result<(), Failure> {
        let Answer::Why { conversation, ended, refused } =
            self.wait_for(Action::Why { conversation }).await?
        else {
            return Err(AskError::Ending.into());
        };
        for line in why::lines(&conversation, &ended, refused, &self.zone) {
            self.print(&line).await?;
        }
        Ok(())
    }

    async fn say(&mut self, to: Conversation, text: SafeText) -> Result<(), Failure> {
        // The message itself comes as an update, in order with the others.
        self.wait_for(Action::Say { to, text }).await.map(|_| ())
    }

    /// Carries out an action, and shows updates meanwhile. Waits for a server that cannot be reached, up to a limit.
    async fn wait_for(&mut self, action: Action) -> Result<Answer, Failure> {
        let mut answer = self.asker.begin(action).await?;
        let mut offline_since: Option<Instant> = None;
        let outcome = loop {
            offline_since = if self.offline { offline_since.or_else(|| Some(Instant::now())) } else { None };
            let given_up = offline_since.map(|since| since + PATIENCE);
            let far = Instant::now() + Duration::from_hours(24);
            tokio::select! {
                outcome = timeout_at(given_up.unwrap_or(far), &mut answer) => match outcome {
                    Ok(outcome) => break outcome,
                    Err(_) if given_up.is_some() => break Err(AskError::Unsent.into()),
                    Err(_) => {}
                },
                Some(update) = self.updates.recv() => self.take(update).await?,
            }
        };
        // Updates that came before the answer are shown before it.
        while let Ok(update) = self.updates.try_recv() {
            self.take(update).await?;
        }
        outcome
    }

    async fn take(&mut self, update: Update) -> Result<(), Failure> {
        match update {
            Update::Message(shown) if self.holding => {
                self.held.push(*shown);
                Ok(())
            }
            Update::Message(shown) => self.show(&shown).await,
            Update::Judged(messages) => {
                for shown in messages {
                    let line = wording::line(&shown, &self.zone);
                    self.report(&format!("judged again: {line}")).await?;
                }
                Ok(())
            }
            Update::NotSent(not_sent) => {
                self.refuse(&not_sent.failure()).await?;
                self.report(&format!("its text was: {}", not_sent.text)).await
            }
            Update::Progress(text) | Update::Notice(text) => self.report(&text).await,
            Update::Connection(connection) => self.report_connection(connection).await,
            Update::LoggedOut { reason } => {
                self.user = None;
                self.shown.clear();
                self.refuse(&reason).await
            }
            // Each message is shown once, with its final verdict.
            Update::Newest { .. }
            | Update::Regrouped { .. }
            | Update::LoggedIn { .. }
            | Update::Backlog(_)
            | Update::Conversation { .. }
            | Update::Outbox { .. } => Ok(()),
        }
    }

    async fn report_connection(&mut self, connection: Connection) -> Result<(), Failure> {
        match connection {
            Connection::Connecting { server } => self.report(&format!("connecting to {server}")).await,
            Connection::Guest { server } => {
                self.offline = false;
                self.connected = true;
                self.report(&format!("connected to {server} as a guest")).await
            }
            Connection::Online { server } => {
                self.offline = false;
                self.connected = true;
                self.report(&format!("connected to {server}")).await
            }
            Connection::Offline { reason, retry: Some(retry) } => {
                self.offline = true;
                let seconds = retry.as_secs_f32();
                self.report(&format!("not connected: {reason}; trying again in {seconds:.1} s")).await
            }
            Connection::Offline { reason, retry: None } if std::mem::take(&mut self.connected) => {
                self.report(&format!("not connected: {reason}")).await
            }
            // The command that needs a connection reports why there is none.
            Connection::Offline { retry: None, .. } => Ok(()),
        }
    }

    async fn show(&mut self, shown: &Shown) -> Result<(), Failure> {
        let newest = self.shown.entry(shown.conversation.clone()).or_default();
        if shown.place() <= *newest {
            return Ok(());
        }
        *newest = shown.place();
        let line = wording::line(shown, &self.zone);
        self.print(&line).await
    }

    async fn refuse(&mut self, failure: &Failure) -> Result<(), Failure> {
        self.all_done = false;
        self.print(&parlour_protocol::clean(&format!("error: {failure}"))).await?;
        match failure.hint() {
            Some(hint) => self.report(&format!("hint: {hint}")).await,
            None => Ok(()),
        }
    }

    async fn print(&mut self, line: &str) -> Result<(), Failure> {
        write_line(&mut self.output, &self.paper.rows(line)).await
    }

    async fn report(&mut self, line: &str) -> Result<(), Failure> {
        write_line(&mut self.news, &self.news_paper.rows(&parlour_protocol::clean(line))).await
    }
}

async fn write_line(output: &mut (impl AsyncWrite + Unpin), line: &str) -> Result<(), Failure> {
    let written = async {
        output.write_all(format!("{line}\n").as_bytes()).await?;
        output.flush().await
    };
    // The reader of the output is gone, so the client ends.
    written.await.map_err(|_: std::io::Error| AskError::Ending.into())
}
