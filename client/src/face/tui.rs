//! The terminal face: conversations on the left, messages on the right, the input below.
//!
//! [`app`] is the face without its terminal: keys ([`keys`]), the engine's updates and answers go in,
//! effects come out. What it has is the [`State`](state::State) that updates add up to and the [`view`]
//! of this one user, with the [`composer`], its [`history`] and [`completion`]. [`draw`] makes a
//! screen of the two, and nothing else. Here is only the loop that ties them to the [`terminal`].

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
use terminal::{Screen, Signals};

/// How often what counts down is drawn.
const TICK: Duration = Duration::from_secs(1);

/// Runs the terminal face until the user leaves: as the user `login`, or as a guest at first.
/// `profiles` are the users whose keys are on this machine. The terminal understands `charset`. An error is one of the terminal, or says that
/// the engine has ended.
pub async fn run(
    asker: Asker,
    mut updates: mpsc::Receiver<Update>,
    login: Option<UserName>,
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
            () = signals.come() => return Ok(()),
            event = events.recv() => match event {
                Some(event) => app.event(event.map_err(failed)?),
                None => return Err(AskError::Ending.into()),
            },
            update = updates.recv() => match update {
                Some(update) => app.update(update, clock.now()),
                None => return Err(AskError::Ending.into()),
            },
            Some((purpose, outcome)) = answers.next(), if !answers.is_empty() => {
                // What the engine said before its answer comes before it.
                while let Ok(update) = updates.try_recv() {
                    app.update(update, clock.now());
                }
                app.answer(purpose, outcome, clock.now());
            }
            _ = ticks.tick(), if app.wants_ticks() => app.tick(clock.now()),
        }
        // Whatever came in one burst is drawn once.
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
