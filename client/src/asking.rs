//! The language between the faces and the engine: a face asks for an [`Action`](action::Action), the engine
//! tells [`Update`](update::Update)s, and a [`Failure`](crate::failure::Failure) explains what was not done. The
//! [`asker`] carries actions and their outcomes, [`json`] reads and writes both as lines, and
//! [`advice`] makes the hints beside fixed words.

pub mod action;
pub mod advice;
pub mod asker;
pub mod json;
pub mod update;
