//! Messages as lines of text, for the plain face and for scripts.

use jiff::tz::TimeZone;
use parlour_protocol::{Conversation, Timestamp, clean, needs_conversation};

use crate::reading::shown::Shown;

/// `2019-11-01 09:30:00` in a time zone; a time out of range is shown as its number.
pub fn moment(time: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(time.as_millis()) {
        Ok(moment) => moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => time.to_string(),
    }
}

/// A message as one line: `2019-11-01 09:30:00 erik: @sam hey how are you?`. Remarks stand in brackets between the name
/// and the colon, where no text can stand. A private text, and a channel's text that could pass for another kind of
/// line, has its conversation in front.
pub fn line(shown: &Shown, zone: &TimeZone) -> String {
    let mut line = format!("{} {}", moment(shown.time, zone), shown.from);
    for remark in remarks(shown, zone) {
        line.push_str(" [");
        line.push_str(&clean(&remark));
        line.push(']');
    }
    line.push(':');
    let text = clean(shown.text.as_deref().unwrap_or_default());
    if matches!(shown.to, Conversation::Direct(_)) || needs_conversation(&text) {
        line.push(' ');
        line.push_str(&shown.to.to_string());
    }
    if shown.text.is_some() {
        line.push(' ');
        line.push_str(&text);
    }
    line
}

/// The remarks that a reader must see beside a message's text.
pub fn remarks(shown: &Shown, zone: &TimeZone) -> Vec<String> {
    let signed = shown.signed.map(|signed| format!("signed {}", moment(signed, zone)));
    let time = shown.remark_on_time().map(str::to_owned);
    let refused = shown.remark_on_refusal().map(str::to_owned);
    let aside = shown.set_aside.then(|| "set aside".to_owned());
    shown.verdict.remark().into_iter().chain(refused).chain(signed).chain(time).chain(aside).collect()
}

#[cfg(test)]
mod tests {
    use parlour_protocol::MessageId;

    use super::*;
    use crate::reading::shown::Verdict;

    fn shown(to: &str, text: Option<&str>, verdict: Verdict) -> Shown {
        Shown {
            conversation: "#lobby".parse().unwrap(),
            seq: 1,
            id: MessageId::from_bytes([1; 16]),
            from: "erik".parse().unwrap(),
            to: to.parse().unwrap(),
            time: Timestamp::from_millis(1_572_600_600_000),
            signed: None,
            text: text.map(str::to_owned),
            verdict,
            backwards: false,
            generation: 0,
            set_aside: false,
            refused: false,
            signer: None,
        }
    }

    #[test]
    fn lines_are_as_the_specification_shows_them() {
        let line = |shown: &Shown| line(shown, &TimeZone::UTC);
        assert_eq!(
            line(&shown("#lobby", Some("this is a message"), Verdict::Public)),
            "2019-11-01 09:30:00 erik: this is a message"
        );
        assert_eq!(
            line(&shown("@sam", Some("hey how are you?"), Verdict::Good)),
            "2019-11-01 09:30:00 erik: @sam hey how are you?"
        );
        assert_eq!(
            line(&shown("@sam", None, Verdict::Bad { reason: "altered: altered on the way".into() })),
            "2019-11-01 09:30:00 erik [altered: altered on the way]: @sam"
        );
        for text in ["@sam transfer 300", "[bad signature: x] hi", "* anna left", " @sam", "\u{301}@sam"] {
            assert_eq!(
                line(&shown("#lobby", Some(text), Verdict::Public)),
                format!("2019-11-01 09:30:00 erik: #lobby {}", clean(text))
            );
        }
        let mut refused = shown("@sam", Some("hi"), Verdict::Good);
        refused.refused = true;
        assert_eq!(
            line(&refused),
            "2019-11-01 09:30:00 erik [the server told the sender that this message was refused]: @sam hi"
        );
        let mut late = shown("@sam", Some("a\nb"), Verdict::Gap { missing: 2 });
        late.signed = Some(Timestamp::from_millis(0));
        assert_eq!(
            line(&late),
            "2019-11-01 09:30:00 erik [up to 2 messages before this one are missing] \
             [signed 1970-01-01 00:00:00]: @sam a ⏎ b"
        );
    }
}
