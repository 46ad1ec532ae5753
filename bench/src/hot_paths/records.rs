//! A client's local records, as they grow.

use std::hint::black_box;

use anyhow::Result;
use parlour_client::reading::shown::{Shown, Verdict};
use parlour_client::records::{Extent, Learned, Records};
use parlour_protocol::{Conversation, Seq, Timestamp};
use tempfile::TempDir;

use super::{Work, samples};

/// The number of messages written in one transaction.
const BATCH: u32 = 10_000;

/// Opens records of this many messages, as each start of a client does, and reads the newest screen.
pub(super) fn open(messages: u32) -> Result<Work> {
    let folder = TempDir::new()?;
    let lobby = Conversation::lobby();
    let mut records = Records::open(folder.path())?;
    let all: Vec<u32> = (1..=messages).collect();
    for batch in all.chunks(BATCH as usize) {
        let last = Seq::from(batch.last().copied().unwrap_or_default());
        let extent = Extent { last, read: last, ..Extent::new(lobby.clone(), 1) };
        let said = batch.iter().map(|number| shown(&lobby, *number)).collect::<Result<Vec<Shown>>>()?;
        records.keep(&extent, &said, &Learned::default())?;
    }
    drop(records);
    Ok(Box::new(move || {
        let records = Records::open(folder.path())?;
        black_box(records.messages(&lobby, None, 50)?);
        Ok(())
    }))
}

fn shown(conversation: &Conversation, number: u32) -> Result<Shown> {
    Ok(Shown {
        conversation: conversation.clone(),
        seq: Seq::from(number),
        id: samples::id(number),
        from: samples::sam()?,
        to: conversation.clone(),
        time: Timestamp::from_millis(samples::NOW),
        signed: None,
        text: Some(samples::TEXT.to_owned()),
        verdict: Verdict::Public,
        backwards: false,
        generation: 0,
        set_aside: false,
        refused: false,
        signer: None,
    })
}
