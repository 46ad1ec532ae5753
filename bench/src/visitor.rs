//! One connection of the load generator.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parlour_protocol::{
    Dialect, EXPORTER_BYTES, EXPORTER_LABEL, MessageId, Timestamp, UserName, login_transcript,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::machine::now_millis;
use crate::peers::Program;
use crate::people::People;
use crate::speech::Speech;
use crate::target::{Kind, Target};

/// The reading side.
pub(crate) struct Ear {
    stream: ReadHalf<TlsStream<TcpStream>>,
    speech: Speech,
    held: Vec<u8>,
    chunk: Vec<u8>,
}

/// The writing side.
pub(crate) struct Mouth {
    stream: WriteHalf<TlsStream<TcpStream>>,
    speech: Speech,
}

/// Connects as a user and gets ready to talk: logs in to the server, or enters the room of the reference.
pub(crate) async fn enter(
    target: &Target,
    people: &People,
    number: usize,
    tls: Arc<ClientConfig>,
    room: &str,
    dialect: Dialect,
) -> Result<(Ear, Mouth)> {
    let stream = TcpStream::connect(target.address).await?;
    enter_over(stream, target, (people, number), tls, room, dialect).await
}

/// Like [`enter`], over an existing connection; `who` is the user's number.
pub(crate) async fn enter_over(
    stream: TcpStream,
    target: &Target,
    (people, number): (&People, usize),
    tls: Arc<ClientConfig>,
    room: &str,
    dialect: Dialect,
) -> Result<(Ear, Mouth)> {
    stream.set_nodelay(true)?;
    let mut stream = stream;
    if target.kind == Kind::Peer(Program::Nats) {
        greeting(&mut stream).await?;
    }
    let stream = TlsConnector::from(tls).connect(ServerName::try_from("localhost")?, stream).await?;
    let exporter = stream.get_ref().1.export_keying_material([0; EXPORTER_BYTES], EXPORTER_LABEL, None)?;
    let (read, write) = split(stream);
    let speech = Speech::with(target.kind, dialect);
    let mut ear = Ear { stream: read, speech, held: Vec::new(), chunk: vec![0; 32_768] };
    let mut mouth = Mouth { stream: write, speech };
    match target.kind {
        Kind::Ours => {
            let name = People::name(number)?;
            let signature = STANDARD.encode(people.sign(&login_transcript(&name, &exporter))?);
            mouth.say(&format!("/login {name} {signature}\n")).await?;
            let answer = ear.line().await?;
            if answer != b"Authentication Succeeded" {
                bail!("login: {}", String::from_utf8_lossy(&answer));
            }
            if dialect == Dialect::Json {
                mouth.say("/dialect json\n").await?;
                ear.line().await?;
            }
        }
        Kind::Bare => mouth.say(&format!("{room}\n")).await?,
        Kind::Peer(Program::Ngircd) => {
            mouth.say(&format!("NICK u{number}\r\nUSER u{number} 0 * :u\r\nJOIN #{room}\r\n")).await?;
            // The end of the list of names is the end of the answer to JOIN.
            while !ear.line().await?.windows(5).any(|window| window == b" 366 ") {}
        }
        Kind::Peer(Program::Nats) => {
            mouth.say(&format!("CONNECT {{\"verbose\":false}}\r\nSUB {room} 1\r\nPING\r\n")).await?;
            while !ear.line().await?.starts_with(b"PONG") {}
        }
    }
    Ok((ear, mouth))
}

/// Reads the line that a NATS server sends before TLS begins, and nothing more.
async fn greeting(stream: &mut TcpStream) -> Result<()> {
    while stream.read_u8().await? != b'\n' {}
    Ok(())
}

/// A new message id.
pub(crate) fn fresh_id() -> MessageId {
    MessageId::v7(Timestamp::from_millis(now_millis()), rand::random())
}

impl Ear {
    /// The next line, without its line feed.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(end) = self.held.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.held.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes and passes every complete line that delivers a message to `each`.
    pub(crate) async fn lines(&mut self, mut each: impl FnMut(&[u8])) -> Result<()> {
        self.fill().await?;
        let mut begin = 0;
        while let Some(length) = self.held.get(begin..).and_then(|r| r.iter().position(|b| *b == b'\n')) {
            let line = self.held.get(begin..begin + length).unwrap_or_default();
            if self.speech.tells_of_message(line) {
                each(line);
            }
            begin += length + 1;
        }
        self.held.drain(..begin);
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        let count = self.stream.read(&mut self.chunk).await?;
        let bytes =
            self.chunk.get(..count).filter(|bytes| !bytes.is_empty()).context("the target hung up")?;
        self.held.extend_from_slice(bytes);
        Ok(())
    }
}

impl Mouth {
    /// Returns true if it receives its own messages.
    pub(crate) const fn echoes(&self) -> bool {
        self.speech.echoes()
    }

    /// The line that posts to the lobby.
    pub(crate) fn public(&self, text: &str) -> String {
        self.speech.public(text)
    }

    /// The line that sends the sealed message `id` to a user.
    pub(crate) fn private(&self, to: &UserName, id: MessageId, sealed: &str) -> String {
        self.speech.private(to, id, sealed)
    }

    /// Text near the beginning of every line that delivers a message for a user.
    pub(crate) fn mark(&self, user: &UserName) -> String {
        self.speech.mark(user)
    }

    /// Sends text unchanged.
    pub(crate) async fn say(&mut self, text: &str) -> Result<()> {
        self.stream.write_all(text.as_bytes()).await?;
        Ok(self.stream.flush().await?)
    }
}
