//! Classes of entries, each with its own statistics.

/// The classes of the warm tier: how long their answers are fresh, ms (REQUIREMENTS K1).
pub const CLASSES: [(&str, u64); 6] = [
    ("prices_hot", 5_000),
    ("prices_warm", 30_000),
    ("volumes_vadr", 120_000),
    ("token_meta", 86_400_000),
    ("depth_spread", 15_000),
    ("funding", 300_000),
];

/// One class of a cache, by its place in the list of classes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClassId(pub(crate) u16);

/// A class as its owner describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// Name, as `prices_hot`.
    pub name: Box<str>,
    /// How long its entries are fresh unless they say otherwise, ms; 0: they always say.
    pub ttl_ms: u64,
}

/// No class has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownClass;

/// Figures of one class since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassStats {
    /// Found and fresh.
    pub hits: u64,
    /// Not found, or past all use.
    pub misses: u64,
    /// Found, past its time, and still served.
    pub stale_hits: u64,
    /// Entries now.
    pub entries: u64,
    /// What they take, bytes.
    pub entries_bytes: u64,
    /// Entries that left for lack of room.
    pub evictions: u64,
    /// Entries that left because their time was over.
    pub expirations: u64,
}

/// The classes of one cache and their figures.
#[derive(Debug)]
pub(crate) struct Classes {
    known: Vec<(Class, ClassStats)>,
    /// Where the counts of an unknown class end up, which no public path can name.
    lost: ClassStats,
}

impl Classes {
    pub(crate) fn new(classes: impl IntoIterator<Item = Class>) -> Self {
        let known = classes.into_iter().map(|class| (class, ClassStats::default())).collect();
        Self { known, lost: ClassStats::default() }
    }

    pub(crate) fn find(&self, name: &str) -> Result<ClassId, UnknownClass> {
        let place = self.known.iter().position(|(class, _)| &*class.name == name).ok_or(UnknownClass)?;
        u16::try_from(place).map(ClassId).map_err(|_| UnknownClass)
    }

    pub(crate) fn add(&mut self, class: Class) -> Result<ClassId, UnknownClass> {
        let id = u16::try_from(self.known.len()).map(ClassId).map_err(|_| UnknownClass)?;
        self.known.push((class, ClassStats::default()));
        Ok(id)
    }

    pub(crate) fn name(&self, id: ClassId) -> &str {
        self.known.get(usize::from(id.0)).map_or("", |(class, _)| &class.name)
    }

    pub(crate) fn stats(&mut self, id: ClassId) -> &mut ClassStats {
        self.known.get_mut(usize::from(id.0)).map_or(&mut self.lost, |(_, stats)| stats)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Class, &ClassStats)> {
        self.known.iter().map(|(class, stats)| (class, stats))
    }
}
