//! The commands that a user can type. One table feeds parsing, `/help`, completion and the documentation; [`guess`] finds
//! what a mistyped command may have meant.

mod guess;

use parlour_protocol::{Conversation, Refusal, SafeText, TextError, UserName, plain};
use thiserror::Error;

use crate::asking::advice;
use crate::asking::asker::AskError;
use crate::failure::{Explain, Explanation, Kind};

/// A command that begins with a slash.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// The name, with its slash.
    pub name: &'static str,
    /// Another name, which people know from other programs.
    pub alias: Option<&'static str>,
    /// The arguments, as `/help` shows them.
    pub arguments: &'static str,
    /// The effect in a few words, for `/help`.
    pub help: &'static str,
    /// The people who may use it.
    pub open_to: OpenTo,
    /// The kind of the argument, for completion.
    pub completes: Completes,
    /// True if it works only in the terminal.
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
    /// No argument, or one that cannot be guessed.
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
    word("/msg", "NAME TEXT", "the same as @NAME TEXT", OpenTo::Users, Completes::User),
    word("/trust", "NAME", "accept somebody's changed account key", OpenTo::Users, Completes::User),
    word(
        "/why",
        "[CONVERSATION]",
        "explain what differs from the server",
        OpenTo::Users,
        Completes::Conversation,
    ),
    word("/help", "", "show this", OpenTo::All, Completes::Nothing),
    word("/dialect", "json", "speak json from here on (without a terminal)", OpenTo::All, Completes::Nothing),
    word("/exit", "", "leave (also /quit)", OpenTo::All, Completes::Nothing).alias("/quit"),
];

const fn word(
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    open_to: OpenTo,
    completes: Completes,
) -> Word {
    Word { name, alias: None, arguments, help, open_to, completes, for_terminal: false }
}

impl Word {
    const fn for_terminal(self) -> Self {
        Self { for_terminal: true, ..self }
    }

    const fn alias(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    /// Finds a command by its name or its alias.
    fn named(name: &str) -> Option<&'static Self> {
        WORDS.iter().find(|word| word.name == name || word.alias == Some(name))
    }

    fn written(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

/// The fault in a line: a refusal, whose words are fixed, and a hint that says more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misread {
    refusal: Refusal,
    hint: Option<String>,
}

impl Misread {
    fn format(hint: impl Into<String>) -> Self {
        Self { refusal: Refusal::Format, hint: Some(hint.into()) }
    }
}

impl From<Refusal> for Misread {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, hint: None }
    }
}

/// The reason why a line is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// It is wrong, or not possible now.
    #[error("{}", .0.refusal)]
    Refused(Misread),
    /// It is for guests, and a user is logged in.
    #[error(transparent)]
    LoggedIn(AskError),
    /// It is a command for the terminal alone.
    #[error("{0} is for the terminal")]
    ForTerminal(&'static str),
}

impl LineError {
    /// The error of a line that [`parse`] refused, typed by `user` or, without one, by a guest.
    pub fn new(misread: Misread, user: Option<&UserName>) -> Self {
        match (&misread.refusal, user) {
            (Refusal::NotNow, Some(name)) => Self::LoggedIn(AskError::LoggedIn(name.clone())),
            _ => Self::Refused(misread),
        }
    }
}

impl Explain for LineError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Refused(Misread { refusal, hint: None }) => refusal.explain(),
            Self::Refused(Misread { refusal, hint: Some(hint) }) => refusal.explain().hint(hint),
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
    /// `/open CONVERSATION`, and `@NAME` or `#CHANNEL` alone
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
    /// `@NAME text`, `#CHANNEL text`, and `/msg NAME text`
    SayTo(Conversation, SafeText),
    /// `text`, and `//text` for one that begins with a slash
    Say(SafeText),
}

/// Reads a line. Faults are checked in the order of the protocol: first for an unknown command, then for one that is not
/// available now, then for the format.
pub fn parse(line: &str, logged_in: bool) -> Result<Intent, Misread> {
    if is_command(line) {
        return slash(line, logged_in);
    }
    if !logged_in {
        return Err(Refusal::NotNow.into());
    }
    if line.starts_with('@') {
        let (to, text) = line.split_once(' ').unwrap_or((line, ""));
        return say_to(conversation(to)?, text);
    }
    if let Some((name, text)) = plain::channel(line) {
        return say_to(conversation(&format!("#{name}"))?, text);
    }
    let said = line.strip_prefix('/').unwrap_or(line);
    text(said).map(Intent::Say)
}

/// True for a line that is a command, and never a text.
pub fn is_command(line: &str) -> bool {
    line.starts_with('/') && !line.starts_with("//")
}

/// The line that sends in any conversation what `line` would send in `to`.
pub fn addressed(to: &Conversation, line: &str) -> String {
    if is_command(line) || line.starts_with('@') || plain::channel(line).is_some() {
        return line.to_owned();
    }
    format!("{to} {}", line.strip_prefix('/').unwrap_or(line))
}

/// The line that sends this text in its conversation.
pub fn line_for(to: &Conversation, text: &str) -> String {
    match parse(text, true) {
        Ok(Intent::Say(said)) if said.as_str() == text => text.to_owned(),
        _ => format!("{to} {text}"),
    }
}

fn say_to(to: Conversation, said: &str) -> Result<Intent, Misread> {
    if said.trim().is_empty() { Ok(Intent::Open(to)) } else { Ok(Intent::SayTo(to, text(said)?)) }
}

fn text(text: &str) -> Result<SafeText, Misread> {
    SafeText::parse(text).map_err(|error| {
        let hint = match error {
            TextError::TooLong => Some(advice::too_long(text.len())),
            TextError::Empty => Some(advice::EMPTY.to_owned()),
            TextError::ControlCharacter => None,
        };
        Misread { refusal: error.into(), hint }
    })
}

fn conversation(text: &str) -> Result<Conversation, Misread> {
    text.parse().map_err(|_| Misread::format(advice::conversation(text)))
}

fn slash(line: &str, logged_in: bool) -> Result<Intent, Misread> {
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let Some(word) = Word::named(name) else {
        return Err(Misread { refusal: Refusal::unknown(name), hint: Some(guess::meant(name)) });
    };
    let available = match word.open_to {
        OpenTo::All => true,
        OpenTo::Guests => !logged_in,
        OpenTo::Users => logged_in,
    };
    if !available {
        return Err(Refusal::NotNow.into());
    }
    let arguments: Vec<&str> = rest.split_ascii_whitespace().collect();
    let user = |text: &str| text.parse::<UserName>().map_err(|_| Misread::format(advice::name(text)));
    match (word.name, arguments.as_slice()) {
        ("/register", [name]) => user(name).map(Intent::Register),
        ("/login", [name]) => user(name).map(Intent::Login),
        ("/users", []) => Ok(Intent::Users),
        ("/open", [to]) => conversation(to).map(Intent::Open),
        ("/msg", [to, ..]) => {
            let said = rest.trim_start().get(to.len()..).unwrap_or_default();
            let to = if to.starts_with(['@', '#']) { (*to).to_owned() } else { format!("@{to}") };
            say_to(conversation(&to)?, said.strip_prefix([' ', '\t']).unwrap_or(said))
        }
        ("/trust", [name]) => user(name).map(Intent::Trust),
        ("/why", []) => Ok(Intent::Why(None)),
        ("/why", [about]) => conversation(about).map(|name| Intent::Why(Some(name))),
        ("/help", []) => Ok(Intent::Help),
        ("/dialect", ["json"]) => Ok(Intent::Json),
        ("/exit", []) => Ok(Intent::Exit),
        _ => Err(Misread::format(format!("it is written {}; /help lists the commands", word.written()))),
    }
}

/// The command of a line, if it is for the terminal alone.
pub fn for_terminal(line: &str) -> Option<&'static str> {
    let name = line.split([' ', '\t']).next();
    WORDS.iter().find(|word| word.for_terminal && Some(word.name) == name).map(|word| word.name)
}

/// `/help` on one line, for plain lines.
pub fn help_line() -> String {
    let words = WORDS.iter().filter(|word| !word.for_terminal);
    let mut parts: Vec<String> = words.map(Word::written).collect();
    parts.push("@NAME TEXT".to_owned());
    parts.push("#CHANNEL TEXT".to_owned());
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
    fn lines_have_the_meaning_that_people_expect() {
        let sam: UserName = "sam".parse().unwrap();
        let direct = Conversation::Direct(sam.clone());
        assert_eq!(parse("/register sam", false), Ok(Intent::Register(sam.clone())));
        assert_eq!(parse("/login  sam ", false), Ok(Intent::Login(sam)));
        assert_eq!(parse("hello all", true), Ok(Intent::Say(text("hello all"))));
        assert_eq!(parse("//etc", true), Ok(Intent::Say(text("/etc"))));
        assert_eq!(parse("@sam hello there", true), Ok(Intent::SayTo(direct.clone(), text("hello there"))));
        assert_eq!(parse("@sam", true), Ok(Intent::Open(direct.clone())));
        for line in ["/msg sam hello there", "/msg @sam hello there", "/msg\tsam\thello there"] {
            assert_eq!(parse(line, true), Ok(Intent::SayTo(direct.clone(), text("hello there"))), "{line}");
        }
        assert_eq!(parse("/msg sam", true), Ok(Intent::Open(direct)));
        let lobby = Conversation::lobby();
        assert_eq!(parse("#lobby @sam hi", true), Ok(Intent::SayTo(lobby.clone(), text("@sam hi"))));
        assert_eq!(parse("#lobby", true), Ok(Intent::Open(lobby)));
        let dev = "#dev".parse().unwrap();
        assert_eq!(parse("/msg #dev hi", true), Ok(Intent::SayTo(dev, text("hi"))));
        assert_eq!(parse("# hello", true), Ok(Intent::Say(text("# hello"))));
        assert_eq!(parse("/quit", false), Ok(Intent::Exit));
        assert_eq!(parse("/dialect json", false), Ok(Intent::Json));
    }

    #[test]
    fn a_line_is_checked_for_its_command_then_its_time_then_its_format() {
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
            assert_eq!(parse(line, logged_in).map_err(|misread| misread.refusal), Err(refusal), "{line}");
        }
    }

    #[test]
    fn the_hint_says_what_the_fixed_words_leave_out() {
        let hint = |line: &str, logged_in| {
            let misread = parse(line, logged_in).unwrap_err();
            LineError::new(misread, None).explain().hint.unwrap_or_default()
        };
        for (line, logged_in, said) in [
            ("/register Sam", false, "names are lower case: did you mean sam?"),
            ("/open sam", true, "did you mean @sam?"),
            ("@SAM", true, "names are lower case: did you mean @sam?"),
            ("@Sam hi", true, "did you mean @sam?"),
            ("#Lobby hi", true, "did you mean #lobby?"),
            ("/register a b", false, "it is written /register NAME"),
            ("/msg", true, "it is written /msg NAME TEXT"),
            ("/user", true, "did you mean /users?"),
            ("/qiut", true, "did you mean /quit?"),
            ("/query", true, "@NAME TEXT"),
            ("/me", true, "there is no /me"),
            ("/xyzzy", true, "/help lists the commands"),
        ] {
            assert!(hint(line, logged_in).contains(said), "{line}: {}", hint(line, logged_in));
        }
        assert_eq!(hint(&"x".repeat(9_000), true), "it has 9000 bytes, and a message has at most 8192");
    }

    #[test]
    fn every_command_is_parsed_and_is_in_the_help_of_its_faces() {
        for word in WORDS {
            for name in [Some(word.name), word.alias].into_iter().flatten() {
                let misread = parse(name, word.open_to == OpenTo::Users).err();
                assert_ne!(misread.map(|misread| misread.refusal), Some(Refusal::unknown(name)));
                assert!(help_line().contains(name) || word.help.contains(name) || word.for_terminal);
            }
            assert_ne!(help_line().contains(word.name), word.for_terminal);
        }
    }
}
