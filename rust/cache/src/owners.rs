//! Whose answers are asked for: hits and fillings, counted by the name that an answer was put in with.

/// Names that are counted; what comes beyond is counted for nobody.
const OWNERS_MAX: usize = 256;

/// What was counted for one owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnerStats {
    /// Name.
    pub name: Box<str>,
    /// Answers that were found.
    pub hits: u64,
    /// Answers that had to be made and were put in.
    pub fills: u64,
}

/// Place of an owner in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerId(usize);

#[derive(Debug, Default)]
pub(crate) struct Owners(Vec<OwnerStats>);

impl Owners {
    /// Counts an answer that was put in; the empty name owns nothing.
    pub(crate) fn fill(&mut self, name: &str) -> Option<OwnerId> {
        if name.is_empty() {
            return None;
        }
        let place = self.0.iter().position(|owner| *owner.name == *name).or_else(|| self.add(name))?;
        if let Some(owner) = self.0.get_mut(place) {
            owner.fills += 1;
        }
        Some(OwnerId(place))
    }

    /// Counts an answer that was found.
    pub(crate) fn hit(&mut self, owner: Option<OwnerId>) {
        if let Some(owner) = owner.and_then(|OwnerId(place)| self.0.get_mut(place)) {
            owner.hits += 1;
        }
    }

    /// Returns what was counted.
    pub(crate) fn stats(&self) -> Vec<OwnerStats> {
        self.0.clone()
    }

    fn add(&mut self, name: &str) -> Option<usize> {
        (self.0.len() < OWNERS_MAX).then(|| {
            self.0.push(OwnerStats { name: name.into(), ..OwnerStats::default() });
            self.0.len() - 1
        })
    }
}
