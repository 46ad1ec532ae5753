//! The protocol between the server and the TTP.

use parlour_protocol::ttp::{TtpAnswer, TtpRequest};

use super::{for_each_line, is_one_line};

/// Lines of either side: what is understood is written and understood as the same.
pub fn ttp(bytes: &[u8]) {
    for_each_line(bytes, |line| {
        if let Ok(request) = TtpRequest::from_json(line) {
            let written = serde_json::to_string(&request).unwrap_or_default();
            assert!(is_one_line(written.as_bytes()));
            assert_eq!(TtpRequest::from_json(&written), Ok(request));
        }
        if let Ok(answer) = serde_json::from_str::<TtpAnswer>(line) {
            let written = serde_json::to_string(&answer).unwrap_or_default();
            assert!(is_one_line(written.as_bytes()));
            assert!(serde_json::from_str::<TtpAnswer>(&written).is_ok_and(|again| again == answer));
        }
    });
}
