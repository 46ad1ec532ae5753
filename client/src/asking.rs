//! The language between the faces and the engine: a face asks for an [`Action`](action::Action), the engine
//! tells [`Update`](update::Update)s, and a [`Failure`](crate::failure::Failure) says what was not done. The
//! [`asker`] carries actions and their outcomes; [`json`] is how both read as lines, and
//! [`advice`] what is said beside fixed words.

pub mod action;
pub mod advice;
pub mod asker;
pub mod json;
pub mod update;
