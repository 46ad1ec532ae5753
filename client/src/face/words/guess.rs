//! Guesses the command that was meant by an unknown one.

use super::WORDS;

/// Commands of other programs, and advice on doing the same here.
const ELSEWHERE: [(&[&str], &str); 8] = [
    (&["/q", "/bye", "/logout", "/close", "/disconnect"], "/exit ends the client"),
    (
        &["/query", "/chat", "/dm", "/pm", "/tell", "/whisper", "/w", "/m", "/privmsg"],
        "@NAME TEXT says it to NAME alone; in the terminal, @NAME opens the conversation",
    ),
    (&["/me", "/action"], "there is no /me: say it in words"),
    (&["/who", "/names", "/list", "/online", "/whois"], "/users lists the users who are online"),
    (&["/join", "/j", "/switch", "/go"], "in the terminal, /open #CHANNEL opens a conversation"),
    (&["/nick", "/name"], "a name cannot be changed; a guest takes one with /register NAME"),
    (&["/signup"], "/register NAME takes a name"),
    (&["/say"], "a line without a command is sent as it is"),
];

/// The most wrong letters in a mistyped command.
const WRONG: usize = 2;

/// The hint for an unknown command.
pub(super) fn meant(name: &str) -> String {
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&name)).map(|(_, hint)| *hint);
    if let Some(hint) = elsewhere {
        return hint.to_owned();
    }
    let names = WORDS.iter().flat_map(|word| [Some(word.name), word.alias]).flatten();
    let nearest = names.map(|known| (distance(name, known), known)).min();
    match nearest {
        // Most letters of a short word have to be right.
        Some((wrong, known)) if wrong <= WRONG && 2 * wrong + 1 < name.chars().count() => {
            format!("did you mean {known}?")
        }
        _ => "/help lists the commands; //text sends a text that begins with a slash".to_owned(),
    }
}

/// The number of letters to insert, delete, replace or swap with a neighbour until one word is the other.
fn distance(one: &str, other: &str) -> usize {
    // A longer word is not a mistyped command.
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(16).collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, known) in other.iter().enumerate() {
            let at = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, column) + usize::from(letter != known);
            let mut least = replaced.min(at(&above, column + 1) + 1).min(at(&line, column) + 1);
            let neighbours = row.checked_sub(1).zip(column.checked_sub(1));
            if neighbours.is_some_and(|(r, c)| one.get(r) == Some(known) && other.get(c) == Some(letter)) {
                least = least.min(at(&before, column - 1) + 1);
            }
            line.push(least);
        }
        before = std::mem::replace(&mut above, line);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_is_near_the_real_one() {
        for (one, other, letters) in
            [("/users", "/users", 0), ("/user", "/users", 1), ("/qiut", "/quit", 1), ("/xyzzy", "/help", 5)]
        {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
        assert!(meant("/hlep").starts_with("did you mean /help?"));
        assert!(meant("/regsiter").starts_with("did you mean /register?"));
        assert!(!meant("/").contains("did you mean") && !meant("/ab").contains("did you mean"));
    }
}
