//! The settings of a world, and making it.

use anyhow::Result;
use tempfile::TempDir;

use super::{World, free_address};
use crate::seed;

/// The settings of a world.
#[derive(Debug, Clone, Default)]
pub struct WorldBuilder {
    pub(super) limits: Vec<String>,
    pub(super) clock_offset: i64,
    people: bool,
    pub(super) metrics: bool,
}

impl WorldBuilder {
    /// Sets a limit of the server, `NAME=VALUE`.
    #[must_use]
    pub fn limit(mut self, assignment: &str) -> Self {
        self.limits.push(assignment.to_owned());
        self
    }

    /// Moves everyone's clock by this many seconds.
    #[must_use]
    pub fn clock_offset(mut self, seconds: i64) -> Self {
        self.clock_offset = seconds;
        self
    }

    /// Registers [`seed::PEOPLE`]. They all trust one authority, that of the seed.
    #[must_use]
    pub fn people(mut self) -> Self {
        self.people = true;
        self
    }

    /// Serves metrics on an address for the operator.
    #[must_use]
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Makes all keys and certificates, but starts nothing.
    pub fn prepare(self) -> Result<World> {
        let people = self.people;
        let folder = TempDir::new()?;
        let mut world = World {
            ttp: None,
            server: None,
            past: String::new(),
            address: None,
            metrics: None,
            settings: self,
            server_disk: None,
            ttp_disk: None,
            folder,
        };
        if people {
            seed::plant(world.folder())?;
        } else {
            world.run_ttp(&["init"])?;
            world.mint_server_certificate()?;
        }
        world.address = Some(free_address()?);
        Ok(world)
    }

    /// Makes all keys and certificates, and starts TTP and server.
    pub fn start(self) -> Result<World> {
        let mut world = self.prepare()?;
        world.address = None;
        world.start_ttp()?;
        world.start_server()?;
        Ok(world)
    }
}
