//! The order of use: a doubly linked list over the indexes of the slots, kept apart from them so that a hit touches
//! little memory.

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    /// Used next after this one; [`NONE`]: this is the newest.
    newer: u32,
    /// Used last before this one; [`NONE`]: this is the oldest.
    older: u32,
}

const LOOSE: Link = Link { newer: NONE, older: NONE };

/// Slots by their last use.
#[derive(Debug)]
pub(crate) struct Order {
    links: Vec<Link>,
    newest: u32,
    oldest: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self { links: Vec::new(), newest: NONE, oldest: NONE }
    }
}

impl Order {
    /// Returns the slot that was not used for the longest time; [`NONE`]: there is none.
    pub(crate) fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Returns the slot used next after `slot`; [`NONE`]: it is the newest.
    pub(crate) fn newer(&self, slot: u32) -> u32 {
        self.link(slot).newer
    }

    /// Adds a slot as the newest.
    pub(crate) fn push(&mut self, slot: u32) {
        let place = slot as usize;
        if place >= self.links.len() {
            self.links.resize(place + 1, LOOSE);
        }
        self.put(slot, Link { newer: NONE, older: self.newest });
        match self.newest {
            NONE => self.oldest = slot,
            before => self.set_newer(before, slot),
        }
        self.newest = slot;
    }

    /// Makes a slot the newest.
    pub(crate) fn touch(&mut self, slot: u32) {
        if slot != self.newest {
            self.remove(slot);
            self.push(slot);
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Link { newer, older } = self.link(slot);
        match newer {
            NONE => self.newest = older,
            after => self.set_older(after, older),
        }
        match older {
            NONE => self.oldest = newer,
            before => self.set_newer(before, newer),
        }
        self.put(slot, LOOSE);
    }

    fn link(&self, slot: u32) -> Link {
        self.links.get(slot as usize).copied().unwrap_or(LOOSE)
    }

    fn put(&mut self, slot: u32, link: Link) {
        if let Some(place) = self.links.get_mut(slot as usize) {
            *place = link;
        }
    }

    fn set_newer(&mut self, slot: u32, newer: u32) {
        if let Some(link) = self.links.get_mut(slot as usize) {
            link.newer = newer;
        }
    }

    fn set_older(&mut self, slot: u32, older: u32) {
        if let Some(link) = self.links.get_mut(slot as usize) {
            link.older = older;
        }
    }
}
