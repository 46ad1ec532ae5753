//! The terminal face: conversations on the left, messages on the right, the input below.
//!
//! [`app`] is the face without its terminal: keys ([`keys`]) and the engine's updates and answers go in, effects come
//! out. It holds the [`State`](state::State), to which updates add up, and the [`view`] of this one user with the
//! [`composer`], its [`history`] and [`completion`]. [`draw`] makes a screen of these two alone, and [`rows`] writes the
//! changes. This file only connects them with the [`terminal`] in a loop.

mod app;
mod ascii;
mod completion;
mod composer;
mod draw;
mod history;
mod keys;
mod rows;
#[cfg(test)]
mod screens;
pub mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod view;

use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::tz::TimeZone;
use parlour_protocol::UserName;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::asking::asker::AskError;
use crate::asking::asker::Asker;
use crate::asking::update::Update;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::locale::Charset;
use app::{App, Effect};
use draw::Moment;
use terminal::{Order, Screen, Signals};

pub(crate) use terminal::leave_screen;

/// The time between two draws of a countdown.
const TICK: Duration = Duration::from_secs(1);

/// The user that the terminal face starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstLogin {
    /// The user who was named at the start.
    Asked(UserName),
    /// The only user whose keys are on this machine.
    Only(UserName),
    /// No user: a guest.
    None,
}

/// Runs the terminal face until the user leaves, beginning with this login. `profiles` are the users whose keys are on
/// this machine, and `charset` the characters that the terminal understands. Fails if the terminal does, or if the
/// engine has ended.
pub async fn run(
    asker: Asker,
    mut updates: mpsc::Receiver<Update>,
    login: FirstLogin,
    profiles: Vec<UserName>,
    charset: Charset,
) -> Result<(), Failure> {
    let (clock, zone) = (Clock::default(), TimeZone::system());
    let mut signals = Signals::listen().map_err(failed)?;
    let mut screen = Screen::open(charset).map_err(failed)?;
    let mut events = terminal::events();
    let mut app = App::new(profiles, zone.clone());
    app.resize(screen.size().map_err(failed)?);
    app.start(login);
    let mut answers = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        for effect in app.effects() {
            match effect {
                Effect::Ask(purpose, action) => {
                    let asker = asker.clone();
                    answers.push(async move { (purpose, asker.ask(action).await) });
                }
                Effect::Leave => return Ok(()),
                Effect::Suspend => screen.suspend().map_err(failed)?,
                Effect::Redraw => screen.clear().map_err(failed)?,
            }
        }
        if app.changed() {
            let moment = Moment { now: clock.now(), zone: zone.clone() };
            screen.draw(|frame| draw::draw(frame, &app.state, &app.view, &moment)).map_err(failed)?;
        }
        tokio::select! {
            order = signals.next() => match order {
                Order::Leave => return Ok(()),
                Order::GoOn => {
                    screen.take_again().map_err(failed)?;
                    app.redraw();
                }
            },
            event = events.recv() => match event {
                Some(event) => app.event(event.map_err(failed)?),
                None => return Err(AskError::Ending.into()),
            },
            update = updates.recv() => match update {
                Some(update) => app.update(update, clock.now()),
                None => return Err(AskError::Ending.into()),
            },
            Some((purpose, outcome)) = answers.next(), if !answers.is_empty() => {
                // Updates that came before the answer are shown before it.
                while let Ok(update) = updates.try_recv() {
                    app.update(update, clock.now());
                }
                app.answer(purpose, outcome, clock.now());
            }
            _ = ticks.tick(), if app.wants_ticks() => app.tick(clock.now()),
        }
        // Everything that came in one burst is drawn once.
        while let Ok(update) = updates.try_recv() {
            app.update(update, clock.now());
        }
        while let Ok(event) = events.try_recv() {
            app.event(event.map_err(failed)?);
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn failed(error: io::Error) -> Failure {
    Failure::usage(format!("the terminal: {error}"))
}
