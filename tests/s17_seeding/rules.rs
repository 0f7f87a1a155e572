//! A giver that chooses by the rules of this stage.

use super::giver::Giver;
use piecemeal::s12_session::host::Uploads;
use piecemeal::s17_seeding::{Rules, Seeder};
use std::sync::Arc;

pub fn staying() -> Rules {
    Rules { stay: true, ..Rules::default() }
}

/// What each member of a crowd gives.
pub fn seeding() -> Arc<dyn Uploads> {
    Arc::new(Seeder::new(staying()))
}

impl Giver {
    pub fn rules(mut self, rules: Rules) -> Giver {
        self.plan.uploads = Arc::new(Seeder::new(rules));
        self
    }
}
