//! Acknowledged messages are kept, arrive once, and in order, whatever is killed.

mod kills;
mod network;
mod set_back;
mod stopping;

use anyhow::{Result, ensure};
use parlour_tests::World;
use serde_json::json;

/// The texts of the lobby as the server stores them, in the order of `seq`, which has no gaps.
fn lobby(world: &World) -> Result<Vec<String>> {
    let database = rusqlite::Connection::open(world.database())?;
    let mut select = database.prepare(
        "SELECT seq, text FROM messages JOIN conversations c ON c.id = conversation WHERE c.name = '#lobby' ORDER BY seq",
    )?;
    let rows = select.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))?;
    rows.zip(1..)
        .map(|(row, expected)| {
            let (seq, text) = row?;
            ensure!(seq == expected, "{seq} stands where {expected} should");
            Ok(text)
        })
        .collect()
}

#[test]
fn the_same_id_with_the_same_words_is_one_message_and_with_others_is_refused() -> Result<()> {
    let world = World::peopled()?;
    let mut sam = world.json_line("sam")?;
    let mut erik = world.logged_in_line("erik")?;
    let post = |id: u64, text: &str| {
        let message = "0197741c-9a80-7000-8000-000000000001";
        json!({"id": id, "cmd": "post", "to": "#lobby", "message_id": message, "text": text})
    };
    let first = sam.call(&post(1, "once"))?;
    let mut second = sam.call(&post(2, "once"))?;
    second["id"] = json!(1);
    assert_eq!(first, second);
    assert_eq!(sam.call(&post(3, "other words"))?["error"]["code"], "id_in_use");
    sam.call(&json!({"id": 4, "cmd": "post", "to": "#lobby", "text": "next",
        "message_id": "0197741c-9a80-7000-8000-000000000002"}))?;
    erik.expect("{} sam: once")?;
    erik.expect("{} sam: next")?;
    assert_eq!(lobby(&world)?, ["once", "next"]);
    Ok(())
}
