//! What a user can type: one table of commands, from which parsing, `/help`, completion and the
//! documentation are made.

use parlour_protocol::{Conversation, Refusal, SafeText, UserName};
use thiserror::Error;

use crate::asking::asker::AskError;
use crate::failure::{Explain, Explanation, Kind};

/// A command that begins with a slash.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// With its slash.
    pub name: &'static str,
    /// As `/help` shows them.
    pub arguments: &'static str,
    /// Its effect in a few words, for `/help`.
    pub help: &'static str,
    /// The people who may use it.
    pub open_to: OpenTo,
    /// The kind of its argument, for completion.
    pub completes: Completes,
    /// Whether it means something in the terminal alone.
    pub for_terminal: bool,
}

/// The people who may use a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenTo {
    /// Everyone.
    All,
    /// Guests alone.
    Guests,
    /// Users who are logged in.
    Users,
}

/// The kind of an argument, by which it is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completes {
    /// There is none, or it cannot be guessed.
    Nothing,
    /// A user whose keys are on this machine.
    Profile,
    /// A user.
    User,
    /// A conversation.
    Conversation,
}

/// All commands, in the order in which `/help` shows them.
pub const WORDS: &[Word] = &[
    word("/register", "NAME", "take a name on this server", OpenTo::Guests, Completes::Nothing),
    word("/login", "NAME", "log in with the keys on this machine", OpenTo::Guests, Completes::Profile),
    word("/users", "", "who is online", OpenTo::Users, Completes::Nothing),
    word("/open", "#CHANNEL or @NAME", "go to a conversation", OpenTo::Users, Completes::Conversation)
        .for_terminal(),
    word("/trust", "NAME", "accept somebody's changed account key", OpenTo::Users, Completes::User),
    word(
        "/why",
        "[CONVERSATION]",
        "what happened to what is kept here",
        OpenTo::Users,
        Completes::Conversation,
    ),
    word("/help", "", "show this", OpenTo::All, Completes::Nothing),
    word("/dialect", "json", "speak json from here on (without a terminal)", OpenTo::All, Completes::Nothing),
    word("/exit", "", "leave", OpenTo::All, Completes::Nothing),
];

const fn word(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    open_to: OpenTo,
    completes: Completes,
) -> Word {
    Word { name, arguments, help, open_to, completes, for_terminal: false }
}

impl Word {
    const fn for_terminal(self) -> Self {
        Self { for_terminal: true, ..self }
    }
}

/// Why a line is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// It means nothing, or nothing now.
    #[error("{0}")]
    Refused(Refusal),
    /// It means something to guests alone.
    #[error(transparent)]
    LoggedIn(AskError),
    /// It is a command that means nothing without a terminal.
    #[error("{0} is for the terminal")]
    ForTerminal(&'static str),
}

impl LineError {
    /// What [`parse`] said of a line that `user` has typed, or else a guest.
    pub fn new(refusal: Refusal, user: Option<&UserName>) -> Self {
        match (refusal, user) {
            (Refusal::NotNow, Some(name)) => Self::LoggedIn(AskError::LoggedIn(name.clone())),
            (refusal, _) => Self::Refused(refusal),
        }
    }
}

impl Explain for LineError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Refused(refusal) => refusal.explain(),
            Self::LoggedIn(error) => error.explain(),
            Self::ForTerminal(_) => Explanation::new("usage", Kind::Failed)
                .hint("in plain lines a text goes to #lobby, and @NAME TEXT to NAME"),
        }
    }
}

/// The meaning of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// `/register NAME`
    Register(UserName),
    /// `/login NAME`
    Login(UserName),
    /// `/users`
    Users,
    /// `/open CONVERSATION`, and `@NAME` alone
    Open(Conversation),
    /// `/trust NAME`
    Trust(UserName),
    /// `/why [CONVERSATION]`
    Why(Option<Conversation>),
    /// `/help`
    Help,
    /// `/dialect json`
    Json,
    /// `/exit`
    Exit,
    /// `@NAME text`
    SayTo(Conversation, SafeText),
    /// `text`, and `//text` for one that begins with a slash
    Say(SafeText),
}

/// Reads a line. What is wrong with it is judged in the order of the protocol: unknown, then not now,
/// then the format.
pub fn parse(line: &str, logged_in: bool) -> Result<Intent, Refusal> {
    if line.starts_with('/') && !line.starts_with("//") {
        return slash(line, logged_in);
    }
    if !logged_in {
        return Err(Refusal::NotNow);
    }
    if let Some(rest) = line.strip_prefix('@') {
        let (name, text) = rest.split_once(' ').unwrap_or((rest, ""));
        let name: UserName = name.parse().map_err(|_| Refusal::Format)?;
        let to = Conversation::Direct(name);
        return if text.trim().is_empty() {
            Ok(Intent::Open(to))
        } else {
            Ok(Intent::SayTo(to, SafeText::parse(text)?))
        };
    }
    let text = line.strip_prefix('/').unwrap_or(line);
    Ok(Intent::Say(SafeText::parse(text)?))
}

fn slash(line: &str, logged_in: bool) -> Result<Intent, Refusal> {
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let word = WORDS.iter().find(|word| word.name == name).ok_or_else(|| Refusal::unknown(name))?;
    let available = match word.open_to {
        OpenTo::All => true,
        OpenTo::Guests => !logged_in,
        OpenTo::Users => logged_in,
    };
    if !available {
        return Err(Refusal::NotNow);
    }
    let arguments: Vec<&str> = rest.split_ascii_whitespace().collect();
    let user = |text: &str| text.parse::<UserName>().map_err(|_| Refusal::Format);
    match (word.name, arguments.as_slice()) {
        ("/register", [name]) => user(name).map(Intent::Register),
        ("/login", [name]) => user(name).map(Intent::Login),
        ("/users", []) => Ok(Intent::Users),
        ("/open", [conversation]) => conversation.parse().map(Intent::Open).map_err(|_| Refusal::Format),
        ("/trust", [name]) => user(name).map(Intent::Trust),
        ("/why", []) => Ok(Intent::Why(None)),
        ("/why", [conversation]) => {
            conversation.parse().map(|name| Intent::Why(Some(name))).map_err(|_| Refusal::Format)
        }
        ("/help", []) => Ok(Intent::Help),
        ("/dialect", ["json"]) => Ok(Intent::Json),
        ("/exit", []) => Ok(Intent::Exit),
        _ => Err(Refusal::Format),
    }
}

/// The command of a line that means something in the terminal alone.
pub fn for_terminal(line: &str) -> Option<&'static str> {
    let name = line.split([' ', '\t']).next();
    WORDS.iter().find(|word| word.for_terminal && Some(word.name) == name).map(|word| word.name)
}

/// `/help` on one line, for faces without a terminal.
pub fn help_line() -> String {
    let words = WORDS.iter().filter(|word| !word.for_terminal);
    let mut parts: Vec<String> =
        words.map(|word| format!("{} {}", word.name, word.arguments).trim_end().to_owned()).collect();
    parts.push("@NAME TEXT".to_owned());
    parts.push("TEXT (//TEXT for one that begins with a slash)".to_owned());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SafeText {
        SafeText::parse(text).unwrap()
    }

    #[test]
    fn lines_mean_what_people_expect() {
        let sam: UserName = "sam".parse().unwrap();
        let direct = Conversation::Direct(sam.clone());
        assert_eq!(parse("/register sam", false), Ok(Intent::Register(sam.clone())));
        assert_eq!(parse("/login  sam ", false), Ok(Intent::Login(sam)));
        assert_eq!(parse("hello all", true), Ok(Intent::Say(text("hello all"))));
        assert_eq!(parse("//etc", true), Ok(Intent::Say(text("/etc"))));
        assert_eq!(parse("@sam hello there", true), Ok(Intent::SayTo(direct.clone(), text("hello there"))));
        assert_eq!(parse("@sam", true), Ok(Intent::Open(direct)));
        assert_eq!(parse("/dialect json", false), Ok(Intent::Json));
    }

    #[test]
    fn unknown_comes_before_not_now_and_not_now_before_the_format() {
        for (line, logged_in, refusal) in [
            ("/nonsense", false, Refusal::UnknownCommand("/nonsense".into())),
            ("/users now", false, Refusal::NotNow),
            ("/users now", true, Refusal::Format),
            ("/login", true, Refusal::NotNow),
            ("/login", false, Refusal::Format),
            ("/register Sam", false, Refusal::Format),
            ("/register a b", false, Refusal::Format),
            ("@Sam hello", false, Refusal::NotNow),
            ("@Sam hello", true, Refusal::Format),
            ("@ hello", true, Refusal::Format),
            ("hello", false, Refusal::NotNow),
            ("", true, Refusal::Format),
        ] {
            assert_eq!(parse(line, logged_in), Err(refusal), "{line}");
        }
    }

    #[test]
    fn every_word_is_parsed_and_in_the_help_of_its_faces() {
        for word in WORDS {
            assert_ne!(
                parse(word.name, word.open_to == OpenTo::Users).err(),
                Some(Refusal::unknown(word.name))
            );
            assert_ne!(help_line().contains(word.name), word.for_terminal);
        }
    }
}
