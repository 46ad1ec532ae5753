//! What somebody may have meant by a command that there is not.

use super::WORDS;

/// Commands of other programs, and what does the same here.
const ELSEWHERE: [(&[&str], &str); 7] = [
    (&["/q", "/bye", "/logout", "/close", "/disconnect"], "/exit leaves"),
    (
        &["/query", "/chat", "/dm", "/pm", "/tell", "/whisper", "/w", "/m", "/privmsg"],
        "@NAME TEXT says it to NAME alone; @NAME goes there (in the terminal)",
    ),
    (&["/me", "/action"], "there is no /me: say it in words"),
    (&["/who", "/names", "/list", "/online", "/whois"], "/users says who is online"),
    (&["/join", "/j", "/switch", "/go"], "/open #CHANNEL goes to a conversation (in the terminal)"),
    (&["/nick", "/signup", "/name"], "/register NAME takes a name"),
    (&["/say"], "a text without a command is said as it is"),
];

/// The most letters that may be wrong.
const WRONG: usize = 2;

/// A hint for a command that there is not.
pub(super) fn meant(name: &str) -> String {
    let rest = "/help lists the commands; //text sends a text that begins with a slash";
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&name)).map(|(_, hint)| *hint);
    if let Some(hint) = elsewhere {
        return format!("{hint}; {rest}");
    }
    let names = WORDS.iter().flat_map(|word| [Some(word.name), word.alias]).flatten();
    let nearest = names.map(|known| (distance(name, known), known)).min();
    match nearest {
        // Of a short word most letters have to be right.
        Some((wrong, known)) if wrong <= WRONG && 2 * wrong + 1 < name.chars().count() => {
            format!("did you mean {known}? {rest}")
        }
        _ => rest.to_owned(),
    }
}

/// Letters to be put in, taken out, replaced, or swapped with their neighbours, until one word is the other.
fn distance(one: &str, other: &str) -> usize {
    // Longer ones are no slips of the fingers.
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
    fn slips_of_the_fingers_are_near() {
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
