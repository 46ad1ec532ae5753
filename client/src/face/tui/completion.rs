//! The candidates that Tab offers for the text before the cursor: commands, names, conversations.

use std::collections::BTreeSet;

use parlour_protocol::{Conversation, UserName};

use crate::face::tui::state::State;
use crate::face::words::{Completes, OpenTo, WORDS};

/// Candidates, one of which is in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Completion {
    /// The candidates, each with the blank or colon that follows it.
    pub(super) candidates: Vec<String>,
    /// The index of the candidate in the input.
    pub(super) chosen: usize,
    /// The number of bytes before the cursor that it replaces.
    pub(super) replaces: usize,
}

impl Completion {
    /// The candidates for `before`, the text before the cursor; `None` if there are none.
    pub(super) fn of(before: &str, state: &State, profiles: &[UserName]) -> Option<Self> {
        let begun = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        let first = begun.len() == before.len();
        let candidates = candidates(before, begun, first, state, profiles);
        if candidates.is_empty() {
            return None;
        }
        Some(Self { candidates, chosen: 0, replaces: begun.len() })
    }

    /// The candidate that is in the input.
    pub(super) fn text(&self) -> &str {
        self.candidates.get(self.chosen).map_or("", String::as_str)
    }

    /// Moves to the next candidate, or back.
    pub(super) fn step(&mut self, back: bool) {
        let count = self.candidates.len().max(1);
        self.chosen = (self.chosen + if back { count - 1 } else { 1 }) % count;
    }
}

fn candidates(before: &str, begun: &str, first: bool, state: &State, profiles: &[UserName]) -> Vec<String> {
    let fitting = |mut offers: Vec<String>| {
        offers.retain(|offer| offer.starts_with(begun));
        offers
    };
    if first && begun.starts_with('/') {
        return fitting(commands(state.user.is_some()));
    }
    if before.starts_with('/') && !before.starts_with("//") {
        return fitting(arguments(before, state, profiles));
    }
    if begun.starts_with('@') {
        return fitting(users(state).iter().map(|name| format!("@{name} ")).collect());
    }
    if begun.starts_with('#') {
        return fitting(conversations(state));
    }
    if begun.is_empty() {
        return Vec::new();
    }
    // At the beginning of a text a name addresses somebody.
    let end = if first { ": " } else { " " };
    fitting(users(state).iter().map(|name| format!("{name}{end}")).collect())
}

fn commands(logged_in: bool) -> Vec<String> {
    let open = |open_to: OpenTo| match open_to {
        OpenTo::All => true,
        OpenTo::Guests => !logged_in,
        OpenTo::Users => logged_in,
    };
    let end = |arguments: &str| if arguments.is_empty() { "" } else { " " };
    WORDS
        .iter()
        .filter(|word| open(word.open_to))
        .map(|word| format!("{}{}", word.name, end(word.arguments)))
        .collect()
}

fn arguments(before: &str, state: &State, profiles: &[UserName]) -> Vec<String> {
    let name = before.split(char::is_whitespace).next().unwrap_or_default();
    let already = before.split_whitespace().count() + usize::from(before.ends_with(char::is_whitespace));
    // Only the first argument is completed.
    if already > 2 {
        return Vec::new();
    }
    match WORDS.iter().find(|word| word.name == name).map(|word| word.completes) {
        None | Some(Completes::Nothing) => Vec::new(),
        Some(Completes::Profile) => profiles.iter().map(ToString::to_string).collect(),
        Some(Completes::User) => users(state).iter().map(ToString::to_string).collect(),
        Some(Completes::Conversation) => {
            let mut all = conversations(state);
            let new = users(state).into_iter().map(|name| format!("@{name}"));
            all.extend(new.filter(|name| !state.conversations.iter().any(|c| c.name.to_string() == *name)));
            all.iter().map(|name| name.trim_end().to_owned()).collect()
        }
    }
}

fn conversations(state: &State) -> Vec<String> {
    state.conversations.iter().map(|conversation| format!("{} ", conversation.name)).collect()
}

/// All known users but this one, by name.
fn users(state: &State) -> BTreeSet<UserName> {
    let talked_to = state.conversations.iter().filter_map(|conversation| match &conversation.name {
        Conversation::Direct(name) => Some(name),
        Conversation::Channel(_) => None,
    });
    let speakers = state.conversations.iter().flat_map(|c| c.messages.iter().map(|shown| &shown.from));
    let all = state.online.iter().chain(talked_to).chain(speakers);
    all.filter(|name| state.user.as_ref() != Some(name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(user: Option<&str>) -> State {
        let mut state = State { user: user.map(|name| name.parse().unwrap()), ..State::default() };
        state.online = ["anna", "erik", "sam"].iter().map(|name| name.parse().unwrap()).collect();
        for name in ["#lobby", "@elsa"] {
            state.conversation(&name.parse().unwrap());
        }
        state
    }

    fn offered(before: &str, user: Option<&str>) -> Vec<String> {
        let profiles = ["sam".parse().unwrap(), "sue".parse().unwrap()];
        Completion::of(before, &state(user), &profiles).map(|found| found.candidates).unwrap_or_default()
    }

    #[test]
    fn commands_are_offered_to_those_who_may_use_them() {
        assert_eq!(offered("/l", None), ["/login "]);
        assert_eq!(offered("/l", Some("sam")), [""; 0]);
        assert_eq!(offered("/u", Some("sam")), ["/users"]);
    }

    #[test]
    fn arguments_are_offered_by_what_the_command_takes() {
        assert_eq!(offered("/login s", None), ["sam", "sue"]);
        assert_eq!(offered("/register s", None), [""; 0]);
        assert_eq!(offered("/trust ", Some("sam")), ["anna", "elsa", "erik"]);
        assert_eq!(offered("/open @", Some("sam")), ["@elsa", "@anna", "@erik"]);
        assert_eq!(offered("/open #", Some("sam")), ["#lobby"]);
        assert_eq!(offered("/open #lobby x", Some("sam")), [""; 0]);
    }

    #[test]
    fn names_are_offered_wherever_they_can_stand() {
        assert_eq!(offered("@e", Some("sam")), ["@elsa ", "@erik "]);
        assert_eq!(offered("ask @an", Some("sam")), ["@anna "]);
        assert_eq!(offered("er", Some("sam")), ["erik: "]);
        assert_eq!(offered("hi er", Some("sam")), ["erik "]);
        assert_eq!(offered("see #l", Some("sam")), ["#lobby "]);
        assert_eq!(offered("", Some("sam")), [""; 0]);
        assert_eq!(offered("hi ", Some("sam")), [""; 0]);
    }

    #[test]
    fn steps_go_round_both_ways() {
        let mut completion = Completion { candidates: vec!["a".into(), "b".into()], chosen: 0, replaces: 0 };
        completion.step(true);
        assert_eq!(completion.text(), "b");
        completion.step(false);
        assert_eq!(completion.text(), "a");
    }
}
