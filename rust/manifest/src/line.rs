//! One line tells of one operation. Its last member is the SHA-256 of the line up to there, `prev` the hash of the line
//! before.

use sha2::{Digest, Sha256};

use crate::hex::{Id, decode};
use crate::scan::Scanner;

/// What the hash of a line begins with.
const TAIL: &[u8] = b",\"hash\":\"";
/// `,"hash":"`, 64 digits, `"}`.
const TAIL_BYTES: usize = TAIL.len() + 64 + 2;
/// Of a wall time in ns: a day in the year 2262.
const TS_MAX: u64 = i64::MAX.cast_unsigned();
/// Any number in a line but times.
const COUNT_MAX: u64 = 1 << 53;
/// Signs of an entity.
const ENTITY_CHARS_MAX: usize = 1_024;

/// Why a line is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// It is not what was written.
    #[error("its hash is another")]
    Hash,
    /// It was never written by us.
    #[error("it does not tell what it must")]
    Untold,
}

/// What one line tells. Texts are as they are spelled in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number of the record, from 1.
    pub seq: u64,
    /// Hash of the line before.
    pub prev: &'a [u8],
    /// Hash of this line.
    pub hash: &'a [u8],
    /// Lines of its segment, if it is the first of several.
    pub lines: Option<u64>,
    /// What was done.
    pub deed: Deed<'a>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed<'a> {
    /// A snapshot was kept.
    Put(Put<'a>),
    /// A snapshot was let go.
    Drop {
        /// Which.
        id: Id,
    },
    /// A snapshot got these labels instead of its own.
    Label {
        /// Which.
        id: Id,
        /// All of them.
        labels: Vec<&'a [u8]>,
    },
    /// Records before this number are no more.
    Cut {
        /// Number of the first that is left.
        first: u64,
        /// Hash that it follows.
        follows: &'a [u8],
    },
}

/// A snapshot as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put<'a> {
    /// SHA-256 of the answer.
    pub id: Id,
    /// Wall time, ns UTC.
    pub ts: i64,
    /// What it is about.
    pub entity: &'a [u8],
    /// Type of the message.
    pub kind: &'a [u8],
    /// Bytes of the answer.
    pub size: u64,
    /// Records in the answer.
    pub rows: u64,
    /// Whether it is a table, that has no readable form beside it.
    pub is_table: bool,
    /// Its labels.
    pub labels: Vec<&'a [u8]>,
    /// Snapshots that it was made from.
    pub references: Vec<Id>,
}

/// Splits a segment into its lines, without their ends. Nothing at all is one empty line: something is missing.
pub fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    content.split(|sign| *sign == b'\n')
}

impl<'a> Line<'a> {
    /// Reads a line that may be anything; without its end.
    ///
    /// # Errors
    /// [`Broken`] if it is not what was written.
    pub fn check(text: &'a [u8]) -> Result<Self, Broken> {
        let end = text.len().checked_sub(TAIL_BYTES).ok_or(Broken::Hash)?;
        let (body, tail) = text.split_at_checked(end).ok_or(Broken::Hash)?;
        let told = tail.strip_prefix(TAIL).and_then(|tail| tail.strip_suffix(b"\"}")).and_then(decode::<32>);
        if told != Some(Sha256::digest(body).into()) {
            return Err(Broken::Hash);
        }
        Self::read(text).ok_or(Broken::Untold)
    }

    /// Reads a line whose hash is known to be right; `None`: it does not tell what it must.
    #[must_use]
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        let mut members = Members::default();
        scanner.each(*b"{}", |scanner| members.take(scanner))?;
        let line = Line {
            seq: members.seq.filter(|seq| *seq > 0)?,
            prev: members.prev?,
            hash: members.hash?,
            lines: members.lines,
            deed: members.deed()?,
        };
        (scanner.is_at_end() && line.lines != Some(0)).then_some(line)
    }
}

/// The members that anybody relies on, each there once at most.
#[derive(Default)]
struct Members<'a> {
    seq: Option<u64>,
    op: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    ts: Option<u64>,
    prev: Option<&'a [u8]>,
    hash: Option<&'a [u8]>,
    lines: Option<u64>,
    entity: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
    size: Option<u64>,
    rows: Option<u64>,
    json: Option<()>,
    meta: Option<()>,
    labels: Option<Vec<&'a [u8]>>,
    refs: Option<Vec<&'a [u8]>>,
    first: Option<u64>,
    follows: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    fn take(&mut self, scanner: &mut Scanner<'a>) -> Option<()> {
        let name = scanner.text()?;
        scanner.eat(b':')?;
        match name {
            b"seq" => set(&mut self.seq, scanner.count(COUNT_MAX)),
            b"op" => set(&mut self.op, scanner.text()),
            b"id" => set(&mut self.id, scanner.text()),
            b"ts" => set(&mut self.ts, scanner.count(TS_MAX)),
            b"prev" => set(&mut self.prev, scanner.text()),
            b"hash" => set(&mut self.hash, scanner.text()),
            b"lines" => set(&mut self.lines, scanner.count(COUNT_MAX)),
            b"entity" => set(&mut self.entity, scanner.text()),
            b"kind" => set(&mut self.kind, scanner.text()),
            b"size" => set(&mut self.size, scanner.count(COUNT_MAX)),
            b"rows" => set(&mut self.rows, scanner.count(COUNT_MAX)),
            b"json" => set(&mut self.json, stored(scanner)),
            b"meta" => set(&mut self.meta, stored(scanner)),
            b"labels" => set(&mut self.labels, scanner.texts()),
            b"refs" => set(&mut self.refs, scanner.texts()),
            b"first" => set(&mut self.first, scanner.count(COUNT_MAX)),
            b"follows" => set(&mut self.follows, scanner.text()),
            _ => scanner.skip(),
        }
    }

    fn deed(self) -> Option<Deed<'a>> {
        let ts = i64::try_from(self.ts?).ok()?;
        match self.op? {
            b"put" => self.put(ts).map(Deed::Put),
            b"drop" => Some(Deed::Drop { id: decode(self.id?)? }),
            b"label" => Some(Deed::Label { id: decode(self.id?)?, labels: self.labels? }),
            b"cut" => {
                Some(Deed::Cut { first: self.first.filter(|first| *first > 0)?, follows: self.follows? })
            }
            _ => None,
        }
    }

    fn put(self, ts: i64) -> Option<Put<'a>> {
        self.meta?;
        let references = self.refs.unwrap_or_default();
        Some(Put {
            id: decode(self.id?)?,
            ts,
            entity: self.entity.filter(|entity| is_entity(entity))?,
            kind: self.kind?,
            size: self.size?,
            rows: self.rows?,
            is_table: self.json.is_none(),
            labels: self.labels.unwrap_or_default(),
            references: references.into_iter().map(decode).collect::<Option<_>>()?,
        })
    }
}

fn set<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    slot.replace(value?).is_none().then_some(())
}

/// Reads size and hash of a file.
fn stored(scanner: &mut Scanner<'_>) -> Option<()> {
    scanner.eat(b'[')?;
    scanner.count(COUNT_MAX)?;
    scanner.eat(b',')?;
    scanner.text()?;
    scanner.eat(b']')
}

/// Whether a text is `kind/venue/symbol` or `kind/venue/symbol/variant`.
fn is_entity(spelling: &[u8]) -> bool {
    let parts = spelling.split(|sign| *sign == b'/').count();
    matches!(parts, 3 | 4) && spelling.first() != Some(&b'/') && chars(spelling) <= ENTITY_CHARS_MAX
}

/// Returns how many signs a spelling stands for.
fn chars(spelling: &[u8]) -> usize {
    let (mut rest, mut count, mut is_high) = (spelling, 0, false);
    while let [sign, tail @ ..] = rest {
        let unit = match (sign, tail) {
            (b'\\', [b'u', b'd', kind, ..]) => Some(*kind),
            _ => None,
        };
        let is_low = matches!(unit, Some(b'c'..=b'f'));
        count += usize::from(!(is_high && is_low)); // a pair is one sign
        is_high = matches!(unit, Some(b'8'..=b'9' | b'a'..=b'b'));
        let length = match (sign, tail) {
            (b'\\', [b'u', ..]) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    count
}
