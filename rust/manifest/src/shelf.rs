//! The files of one entity's live snapshots, told by their names alone.

use std::collections::HashMap;

use crate::calendar::Moment;
use crate::hex::{Key, decode};

/// Folder of the meta files of an entity.
const METADATA: &[u8] = b"metadata";
/// What the names of files end with.
const ANSWERS: [&[u8]; 3] = [b".json.gz", b".pb", b".parquet"];
const META: &[u8] = b".meta.json";
/// `20261121_164129_`.
const STEM_BYTES: usize = 16;

/// Tells which files belong to the live snapshots of one entity. It stays as it is when the index changes.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Wall time of each, ns UTC.
    times: HashMap<Key, i64>,
}

impl FromIterator<(Key, i64)> for Shelf {
    fn from_iter<T: IntoIterator<Item = (Key, i64)>>(snapshots: T) -> Self {
        Self { times: snapshots.into_iter().collect() }
    }
}

impl Shelf {
    /// Yields those names in a folder of the entity that are not the right ones in the right place; a zero byte stands
    /// behind each name.
    pub fn strays<'a>(&self, folder: &'a [u8], names: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let names = names.split_inclusive(|sign| *sign == 0).filter_map(|name| name.strip_suffix(b"\0"));
        names.filter(move |name| !self.holds(folder, name))
    }

    fn holds(&self, folder: &[u8], name: &[u8]) -> bool {
        if folder == METADATA {
            return name.strip_suffix(META).and_then(|digits| self.time(digits)).is_some();
        }
        let rest = ANSWERS.iter().find_map(|suffix| name.strip_suffix(*suffix));
        let Some((stem, digits)) = rest.and_then(|rest| rest.split_at_checked(STEM_BYTES)) else {
            return false;
        };
        let moment = self.time(digits).map(Moment::of);
        moment.is_some_and(|moment| moment.is_day(folder) && moment.is_stem(stem))
    }

    fn time(&self, digits: &[u8]) -> Option<i64> {
        self.times.get(&decode(digits)?).copied()
    }
}
