//! 30: hide private messages for good by handing them out in another order once.
//!
//! Bites: where every counter below the highest one was a replay, the messages that the operator had moved stayed
//! without their text after the server was honest again.

use anyhow::{Result, ensure};
use parlour_tests::{Author, Client, Logins, Operator, World, edited};
use serde_json::{Value, json};

use super::m30_losing_what_it_holds::{all_there, history, talk, texts};
use super::{fast, list};

const KINDS: [&str; 2] = ["secret", "public"];

/// Sam's client at an operator that hands out these of erik's private messages, in this order, as all that there are.
fn moved(world: &World, order: &'static [usize]) -> Result<Client> {
    let operator = Operator::before(
        world,
        "sam",
        Logins::Anew,
        edited(move |line| {
            for head in list(line, "conversations") {
                if head["name"] == "@erik" {
                    head["last"] = json!(order.len());
                    if let Some(head) = head.as_object_mut() {
                        head.remove("newest");
                    }
                }
            }
            let is_private = |message: &Value| message["sealed"].is_object();
            let Some(messages) = line["messages"].as_array().filter(|all| all.iter().any(is_private)) else {
                return;
            };
            let mut handed: Vec<Value> =
                order.iter().filter_map(|number| messages.get(number - 1).cloned()).collect();
            for (message, seq) in handed.iter_mut().zip(1..) {
                message["seq"] = json!(seq);
            }
            (line["messages"], line["last"]) = (json!(handed), json!(order.len()));
        }),
    )?;
    let mut command = world.client_command_to("sam", &operator.address())?;
    let mut sam = Client::start("sam", command.args(["--json", "--user", "sam"]))?;
    sam.process.out.event("backlog")?;
    Ok(sam)
}

/// Checks, at the server itself, that sam's messages with erik that count are all there, each in its place.
fn all_in_place(world: &World, count: u64) -> Result<Vec<Value>> {
    let mut sam = world.robot("sam", &["--user", "sam"])?;
    sam.process.out.event("backlog")?;
    let mut all = history(&mut sam, "@erik")?;
    ensure!(sam.leave()? == 0);
    all.retain(|message| message["set_aside"] != true);
    all_there(&all, "secret", count, |_| false)?;
    for (message, number) in all.iter().zip(1..) {
        ensure!(
            message["seq"] == number && message["text"] == format!("secret {number}"),
            "{:?}",
            texts(&all)
        );
    }
    Ok(all)
}

#[test]
fn private_messages_that_were_handed_out_in_another_order_once_are_not_hidden_for_good() -> Result<()> {
    // The second says if more is said before sam comes to the honest server.
    for (order, is_more_said) in [
        ([8].as_slice(), true),
        (&[8, 1, 2, 3, 4, 5, 6, 7], true),
        (&[3, 1, 2, 8, 4, 5, 6, 7], true),
        (&[8], false),
    ] {
        let world = fast()?;
        let mut erik = Author::of(&world, "erik")?;
        talk(&world, &mut erik, 1..=8, KINDS)?;
        let mut sam = moved(&world, order)?;
        let shown = history(&mut sam, "@erik")?;
        let expected: Vec<String> = order.iter().map(|number| format!("secret {number}")).collect();
        ensure!(texts(&shown) == expected, "{order:?}: {shown:?}");
        ensure!(sam.leave()? == 0);
        if is_more_said {
            talk(&world, &mut erik, 9..=10, KINDS)?;
        }
        all_in_place(&world, if is_more_said { 10 } else { 8 })?;
        let again = all_in_place(&world, if is_more_said { 10 } else { 8 })?;
        ensure!(!is_more_said || again[9]["verdict"]["is"] == "good", "{order:?}: {}", again[9]);
    }
    Ok(())
}

#[test]
fn a_message_that_comes_late_is_shown_with_a_remark_and_a_second_time_as_replayed() -> Result<()> {
    let world = fast()?;
    let mut erik = Author::of(&world, "erik")?;
    talk(&world, &mut erik, 1..=4, KINDS)?;
    let mut sam = moved(&world, &[1, 3, 2, 2, 4, 3])?;
    let shown = history(&mut sam, "@erik")?;
    let verdicts: Vec<&Value> = shown.iter().map(|message| &message["verdict"]["is"]).collect();
    ensure!(verdicts == ["good", "gap", "late", "bad", "good", "bad"], "{shown:?}");
    ensure!(texts(&shown) == ["secret 1", "secret 3", "secret 2", "secret 4"], "{shown:?}");
    ensure!(sam.leave()? == 0);
    // In words.
    let shown = world.one_shot("sam", &["history", "@erik", "--limit", "10"], "")?;
    let late = "erik [the server has moved this message, or delivered it late]: @sam secret 2";
    ensure!(shown.out.iter().any(|line| line.ends_with(late)), "{shown:#?}");
    Ok(())
}
