//! Plays every conversation in `tests/cli/`.

use std::path::Path;

use anyhow::Result;
use parlour_tests::transcript;

fn play(name: &str) -> Result<()> {
    transcript::play(&Path::new(env!("CARGO_MANIFEST_DIR")).join("cli").join(name))
}

macro_rules! transcripts {
    ($($test:ident: $file:literal,)+) => {
        $( #[test] fn $test() -> Result<()> { play($file) } )+

        #[test]
        fn every_file_is_played() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cli");
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let mut played = vec![$($file.to_owned()),+];
            played.sort();
            assert_eq!(files, played);
        }
    };
}

transcripts! {
    two_people_meet: "meeting.txt",
    a_guest_can_do_little: "guest.txt",
    the_plain_dialect_is_as_specified: "plain-dialect.txt",
    bad_lines_cost_nothing_but_themselves: "bad-lines.txt",
    a_user_who_was_offline_finds_the_messages: "offline.txt",
    a_server_that_comes_back_is_found_again: "restart.txt",
    a_stranger_has_no_keys: "stranger.txt",
    the_newer_plain_session_takes_over: "takeover.txt",
}
