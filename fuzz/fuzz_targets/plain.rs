//! A line of the plain dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = parlour_protocol::plain::parse(line);
    let shown = parlour_protocol::clean(line);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\t'));
});
