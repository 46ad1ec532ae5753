//! The sets of words that label counters.

use parlour_protocol::{Conversation, Farewell, Refusal, Verb};
use rustls::{CertificateError, Error};

use super::labels::{Label, labels, words};
use crate::audit::Kind;

labels! {
    /// The readers of a message.
    Audience, "kind",
    /// Said in a channel.
    Public = "public";
    /// Sealed for one user.
    Private = "private";
}

impl Audience {
    /// The readers of that conversation.
    pub fn of(conversation: &Conversation) -> Self {
        match conversation {
            Conversation::Channel(_) => Self::Public,
            Conversation::Direct(_) => Self::Private,
        }
    }
}

labels! {
    /// Why there was no TLS connection.
    HandshakeFault, "reason",
    /// It took longer than the limit `handshake_seconds`.
    Timeout = "timeout";
    /// The client went away in the middle.
    Closed = "closed";
    /// The client said why it did not go on: most often it does not trust our certificate.
    ByClient = "refused_by_client";
    /// The client knows no TLS 1.3, or none of our algorithms.
    Incompatible = "incompatible";
    /// The client spoke no TLS, or broke its rules.
    NoTls = "not_tls";
    /// An expired client certificate.
    CertificateExpired = "certificate_expired";
    /// A client certificate that is not valid yet.
    CertificateNotYet = "certificate_not_yet_valid";
    /// A client certificate of another authority.
    CertificateIssuer = "certificate_of_another_authority";
    /// Another fault of a client certificate.
    Certificate = "certificate_refused";
    /// Anything else.
    Other = "other";
}

impl HandshakeFault {
    /// The fault behind an error of a handshake.
    pub fn of(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            None => Self::of_system(error.kind()),
            Some(Error::InvalidCertificate(fault)) => Self::of_certificate(fault),
            Some(Error::AlertReceived(_)) => Self::ByClient,
            Some(Error::PeerIncompatible(_)) => Self::Incompatible,
            Some(
                Error::InvalidMessage(_)
                | Error::InappropriateMessage { .. }
                | Error::InappropriateHandshakeMessage { .. }
                | Error::PeerMisbehaved(_)
                | Error::PeerSentOversizedRecord
                | Error::DecryptError,
            ) => Self::NoTls,
            Some(_) => Self::Other,
        }
    }

    fn of_system(kind: std::io::ErrorKind) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
        match kind {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Closed,
            TimedOut => Self::Timeout,
            _ => Self::Other,
        }
    }

    fn of_certificate(fault: &CertificateError) -> Self {
        match fault {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::CertificateExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::CertificateNotYet
            }
            CertificateError::UnknownIssuer => Self::CertificateIssuer,
            _ => Self::Certificate,
        }
    }
}

labels! {
    /// Why a login failed.
    LoginFault, "reason",
    /// No client certificate.
    NoCertificate = "no_certificate";
    /// The certificate is not that of a device, or has run out since the handshake.
    Certificate = "certificate";
    /// The certificate is another user's.
    OtherUser = "other_user";
    /// The signature does not fit.
    Signature = "signature";
    /// Nobody has registered under this name.
    NoAccount = "no_account";
    /// The device was revoked.
    Revoked = "revoked";
    /// The device has a session that lives.
    AlreadyLoggedIn = "already_logged_in";
    /// The store could not be asked: our own fault.
    Store = "store";
}

labels! {
    /// A limit that somebody met, under its name in the configuration.
    Bound, "limit",
    /// A longer line was skipped.
    LineBytes = "line_bytes";
    /// A longer text was refused.
    TextBytes = "text_bytes";
    /// A handshake took too long.
    HandshakeSeconds = "handshake_seconds";
    /// An unfinished handshake made room for another connection.
    Handshakes = "handshakes";
    /// A client with a certificate did not log in in time.
    LoginSeconds = "login_seconds";
    /// A guest was idle for too long.
    GuestIdleSeconds = "guest_idle_seconds";
    /// A session did not answer pings.
    DeadSeconds = "dead_seconds";
    /// A connection too many in all.
    Connections = "connections";
    /// A connection too many from its address.
    ConnectionsPerAddress = "connections_per_address";
    /// A guest made room for another, with too many in all.
    Guests = "guests";
    /// A guest made room for another, with too many from their address.
    GuestsPerAddress = "guests_per_address";
    /// A session was read slower.
    CommandsPerSecond = "commands_per_second";
    /// A registration was refused.
    RegistrationsPerHour = "registrations_per_hour";
    /// A renewal was refused.
    RenewalsPerHour = "renewals_per_hour";
    /// A renewal was refused, since the device has renewed often enough.
    RenewalsPerDevice = "renewals_per_device";
    /// A device was locked out.
    FailedLoginsPerMinute = "failed_logins_per_minute";
    /// A login was refused while its device was locked out.
    LockoutSeconds = "lockout_seconds";
    /// A slow reader was closed.
    OutgoingQueueBytes = "outgoing_queue_bytes";
    /// A session was read no further until messages of it were stored.
    PostsInFlight = "posts_in_flight";
    /// A session was read no further until messages of others were stored and delivered.
    PostsInFlightBytes = "posts_in_flight_bytes";
    /// A message was refused because its sender has stored enough.
    StoredBytesPerAccount = "stored_bytes_per_account";
}

impl Bound {
    /// The limit that closed a session, if one did.
    pub fn behind(farewell: Farewell) -> Option<Self> {
        match farewell {
            Farewell::SlowReader => Some(Self::OutgoingQueueBytes),
            Farewell::Idle => Some(Self::GuestIdleSeconds),
            Farewell::LoginTime => Some(Self::LoginSeconds),
            Farewell::Dead => Some(Self::DeadSeconds),
            // The gate counts it, and knows which limit it was.
            Farewell::TooManyConnections
            | Farewell::Stopping
            | Farewell::TakenOver
            | Farewell::Revoked
            | Farewell::CertificateExpired => None,
        }
    }

    /// The limit behind a refused command, if nothing else counts it.
    pub fn of_refusal(refusal: &Refusal) -> Option<Self> {
        match refusal {
            Refusal::LineTooLong => Some(Self::LineBytes),
            Refusal::MessageTooLong => Some(Self::TextBytes),
            Refusal::AccountFull => Some(Self::StoredBytesPerAccount),
            _ => None,
        }
    }
}

/// Makes [`ErrorCode`], a word for each refusal.
macro_rules! codes {
    ($( $refusal:pat => $name:ident = $code:literal; )+) => {
        labels! {
            /// The code of an error, as in json: each is the refusal of the same name.
            #[allow(missing_docs)]
            ErrorCode, "code",
            $( $name = $code; )+
        }

        impl From<&Refusal> for ErrorCode {
            fn from(refusal: &Refusal) -> Self {
                match refusal {
                    $( $refusal => Self::$name, )+
                }
            }
        }
    };
}

codes! {
    Refusal::UnknownCommand(_) => UnknownCommand = "unknown_command";
    Refusal::NotNow => NotNow = "not_now";
    Refusal::Format => Format = "format";
    Refusal::LineTooLong => LineTooLong = "line_too_long";
    Refusal::MessageTooLong => MessageTooLong = "message_too_long";
    Refusal::NotUtf8 => NotUtf8 = "not_utf8";
    Refusal::ControlCharacter => ControlCharacter = "control_character";
    Refusal::UserExists => UserExists = "user_exists";
    Refusal::RequestRefused => RequestRefused = "request_refused";
    Refusal::InvalidCredentials => InvalidCredentials = "invalid_credentials";
    Refusal::AlreadyLoggedIn => AlreadyLoggedIn = "already_logged_in";
    Refusal::UserNotFound => UserNotFound = "user_not_found";
    Refusal::ConversationNotFound => ConversationNotFound = "conversation_not_found";
    Refusal::MustBeSealed => MustBeSealed = "must_be_sealed";
    Refusal::WrongKeys => WrongKeys = "wrong_keys";
    Refusal::IdInUse => IdInUse = "id_in_use";
    Refusal::AccountFull => AccountFull = "account_full";
    Refusal::NotStored => NotStored = "not_stored";
    Refusal::TooMany { .. } => TooMany = "too_many";
    Refusal::AuthorityUnavailable => AuthorityUnavailable = "authority_unavailable";
    // The server never sends an unknown refusal.
    Refusal::Internal { .. } | Refusal::Unknown { .. } => Internal = "internal";
}

/// Makes [`Line`], a word for each verb and one more.
macro_rules! lines {
    ($( $verb:ident = $word:literal; )+) => {
        labels! {
            /// The command on a line.
            Line, "command",
            $(
                #[doc = concat!("`", $word, "`.")]
                $verb = $word;
            )+
            /// A line in the json dialect that is no JSON object, or names no command.
            Unreadable = "unreadable";
        }

        impl From<Verb> for Line {
            fn from(verb: Verb) -> Self {
                match verb {
                    $( Verb::$verb => Self::$verb, )+
                }
            }
        }
    };
}

lines! {
    Register = "register";
    Renew = "renew";
    Login = "login";
    Users = "users";
    Exit = "exit";
    Help = "help";
    Dialect = "dialect";
    Post = "post";
    Account = "account";
    Conversations = "conversations";
    History = "history";
    Revocations = "revocations";
    Pong = "pong";
}

words!(
    Farewell,
    "reason",
    SlowReader = "slow_reader",
    Stopping = "stopping",
    Idle = "idle",
    LoginTime = "login_time",
    Dead = "dead",
    TakenOver = "taken_over",
    Revoked = "revoked",
    TooManyConnections = "too_many_connections",
    CertificateExpired = "certificate_expired",
);

impl Label for Kind {
    const KEY: &'static str = "kind";

    fn all() -> Vec<Self> {
        // The last one is written by the store itself and is not an event in the server.
        Kind::ALL.iter().map(|(kind, _)| *kind).filter(|kind| *kind != Self::Retention).collect()
    }

    fn as_str(self) -> &'static str {
        self.as_str()
    }

    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use parlour_protocol::Detail;

    use super::*;

    fn hold<L: Label>() -> Vec<&'static str> {
        for (place, label) in L::all().into_iter().enumerate() {
            assert_eq!(label.index(), place, "{}", label.as_str());
        }
        let mut words: Vec<&str> = L::all().into_iter().map(Label::as_str).collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count, "{words:?}");
        words
    }

    #[test]
    fn every_word_is_in_its_place_and_occurs_once() {
        hold::<Audience>();
        hold::<HandshakeFault>();
        hold::<LoginFault>();
        hold::<Line>();
        hold::<Kind>();
        assert_eq!(hold::<Farewell>().len(), Farewell::ALL.len());
        hold::<Bound>();
        hold::<ErrorCode>();
    }

    #[test]
    fn limits_and_errors_have_the_names_that_they_have_elsewhere() {
        for bound in Bound::all() {
            let known = parlour_protocol::limits::TABLE.iter().any(|limit| limit.name == bound.as_str());
            assert!(known, "{bound:?}");
        }
        for code in ErrorCode::all() {
            let refusal = Refusal::from_code(code.as_str(), &Detail::default()).unwrap();
            assert_eq!(ErrorCode::from(&refusal), code);
        }
    }
}
