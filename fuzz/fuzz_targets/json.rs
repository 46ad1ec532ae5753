//! A line of the json dialect, from a client; what is read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parlour_protocol::json;

fuzz_target!(|line: &str| {
    let incoming = json::parse(line);
    if let (Some(id), Ok(request)) = (incoming.id, incoming.request)
        && let Ok(command) = request.command
    {
        let again = json::parse(&json::encode_command(&id, &command));
        assert!(again.request.is_ok_and(|request| request.command == Ok(command)));
    }
});
