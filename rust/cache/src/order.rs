//! The order of use: a doubly linked list over the indexes of the slots, whose links lie in the entries, so that a hit
//! touches little memory.

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;

/// The neighbours of an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    /// Used next after this one; [`NONE`]: this is the newest.
    newer: u32,
    /// Used last before this one; [`NONE`]: this is the oldest.
    older: u32,
}

/// The link of an entry that is not in the order.
pub(crate) const LOOSE: Link = Link { newer: NONE, older: NONE };

/// Where the links lie.
pub(crate) trait Links {
    /// Returns the link of a slot.
    fn link(&mut self, slot: u32) -> Option<&mut Link>;
}

/// Slots by their last use.
#[derive(Debug)]
pub(crate) struct Order {
    newest: u32,
    oldest: u32,
}

impl Default for Order {
    fn default() -> Self {
        Self { newest: NONE, oldest: NONE }
    }
}

impl Link {
    /// Returns the slot used next after this one; [`NONE`]: it is the newest.
    pub(crate) fn newer(self) -> u32 {
        self.newer
    }
}

impl Order {
    /// Returns the slot that was not used for the longest time; [`NONE`]: there is none.
    pub(crate) fn oldest(&self) -> u32 {
        self.oldest
    }

    /// Adds a slot as the newest.
    pub(crate) fn push(&mut self, links: &mut impl Links, slot: u32) {
        if let Some(link) = links.link(slot) {
            *link = Link { newer: NONE, older: self.newest };
        }
        match links.link(self.newest) {
            Some(before) => before.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    /// Makes a slot the newest.
    pub(crate) fn touch(&mut self, links: &mut impl Links, slot: u32) {
        if slot != self.newest {
            self.remove(links, slot);
            self.push(links, slot);
        }
    }

    /// Takes a slot out. Its entry must still be there.
    pub(crate) fn remove(&mut self, links: &mut impl Links, slot: u32) {
        let Some(&mut Link { newer, older }) = links.link(slot) else { return };
        match links.link(newer) {
            Some(after) => after.older = older,
            None => self.newest = older,
        }
        match links.link(older) {
            Some(before) => before.newer = newer,
            None => self.oldest = newer,
        }
    }
}
