//! Rights: the one place that decides what each actor may do.

use parlour_protocol::{Conversation, DeviceId, UserName, Verb};

/// A guest or user who acts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Actor<'a> {
    /// A connection that is not logged in.
    Guest,
    /// A user.
    User(User<'a>),
}

/// A user who has logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct User<'a> {
    /// The user's name.
    pub name: &'a UserName,
    /// The device on which the user acts.
    pub device: &'a DeviceId,
}

/// An act and its object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed<'a> {
    /// Use a command at all.
    Use(Verb),
    /// Say something in a conversation.
    Post(&'a Conversation),
    /// Read a conversation, by the name that the actor has for it.
    Read(&'a Conversation),
}

/// Returns true if the actor may do it. A direct conversation is named by the other user, so nobody can name one that
/// is not theirs. The only channel is the lobby, and all users are in it.
pub fn may(actor: Actor<'_>, deed: Deed<'_>) -> bool {
    match (actor, deed) {
        (Actor::Guest, Deed::Use(verb)) => verb.is_open_to(false),
        (Actor::User(_), Deed::Use(verb)) => verb.is_open_to(true),
        (Actor::Guest, Deed::Post(_) | Deed::Read(_)) => false,
        (Actor::User(_), Deed::Post(conversation) | Deed::Read(conversation)) => match conversation {
            Conversation::Channel(_) => *conversation == Conversation::lobby(),
            Conversation::Direct(_) => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rights_holds() {
        let sam: UserName = "sam".parse().unwrap();
        let device: DeviceId = "1".repeat(16).parse().unwrap();
        let user = Actor::User(User { name: &sam, device: &device });
        let lobby = Conversation::lobby();
        let other: Conversation = "#other".parse().unwrap();
        let direct: Conversation = "@erik".parse().unwrap();
        for (deed, guest, logged_in) in [
            (Deed::Use(Verb::Register), true, false),
            (Deed::Use(Verb::Login), true, false),
            (Deed::Use(Verb::Renew), true, true),
            (Deed::Use(Verb::Help), true, true),
            (Deed::Use(Verb::Dialect), true, true),
            (Deed::Use(Verb::Exit), true, true),
            (Deed::Use(Verb::Pong), true, true),
            (Deed::Use(Verb::Users), false, true),
            (Deed::Use(Verb::Post), false, true),
            (Deed::Use(Verb::Account), false, true),
            (Deed::Use(Verb::Conversations), false, true),
            (Deed::Use(Verb::History), false, true),
            (Deed::Use(Verb::Revocations), false, true),
            (Deed::Post(&lobby), false, true),
            (Deed::Post(&direct), false, true),
            (Deed::Post(&other), false, false),
            (Deed::Read(&lobby), false, true),
            (Deed::Read(&direct), false, true),
            (Deed::Read(&other), false, false),
        ] {
            assert_eq!(may(Actor::Guest, deed), guest, "guest: {deed:?}");
            assert_eq!(may(user, deed), logged_in, "user: {deed:?}");
        }
    }
}
