//! The language between the faces and the engine: a face asks for an [`Action`](action::Action), the engine
//! tells [`Update`](update::Update)s, and a [`Failure`](failure::Failure) says what was not done.

pub mod action;
pub mod failure;
pub mod update;
