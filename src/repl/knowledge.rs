//! What the line editor knows of the session, which runs elsewhere: told after each entry.

use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::Map;

/// The session as it was after the last entry.
#[derive(Clone, Default)]
pub struct Knowledge {
    pub maps: Vec<Map>,
    /// Programs by number, with their texts.
    pub numbers: Vec<(u32, String)>,
}

/// Copies tell of the same session.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<Knowledge>>);

impl Known {
    pub fn set(&self, knowledge: Knowledge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = knowledge;
    }

    pub fn get(&self) -> Knowledge {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
