//! A line of the json dialect, from a server.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &str| {
    let _ = parlour_protocol::json::parse_server_line(line);
});
