//! The protocol between the server and the TTP.

use parlour_protocol::ttp::{TtpAnswer, TtpRefusal, TtpRequest};

use super::{for_each_line, is_one_line};

/// Lines of either side: a line that is understood, written again and read again, is the same; an unknown answer
/// is never written.
pub fn ttp(bytes: &[u8]) {
    for_each_line(bytes, |line| {
        if let Ok(request) = TtpRequest::from_json(line) {
            let written = serde_json::to_string(&request).unwrap_or_default();
            assert!(is_one_line(written.as_bytes()));
            assert_eq!(TtpRequest::from_json(&written), Ok(request));
        }
        if let Ok(answer) = TtpAnswer::from_json(line) {
            let written = serde_json::to_string(&answer);
            if matches!(answer, TtpAnswer::Unknown | TtpAnswer::Error(TtpRefusal::Unknown)) {
                assert!(written.is_err(), "what is not known was said: {line}");
            } else {
                let written = written.unwrap_or_default();
                assert!(is_one_line(written.as_bytes()));
                assert!(TtpAnswer::from_json(&written).is_ok_and(|again| again == answer));
            }
        }
    });
}
