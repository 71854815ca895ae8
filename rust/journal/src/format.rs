//! The bytes of a segment. All integers are little endian.
//!
//! ```text
//! segment  "DFJRNL1\n"  epoch u32  number u32  made i64 (ns UTC)  0 u32  crc u32
//! record   crc u32  length u32  seq u64  wall i64 (ns UTC)  topic u32  kind u8  more u8  0 u16  payload
//! trailer  footer's offset u64  crc u32  "DFJEND1\n"
//! ```
//!
//! A CRC-32 covers what follows it in its record (of the header: what precedes it), and begins from the segment's
//! own: a record that strayed from another segment is damage. The payload of an update is one entry of field 4 of
//! the response, ready to be joined. A sealed segment ends with its index (a footer record) and the trailer.

use facade_hub::{RecordKind, TopicName};

/// First bytes of a segment.
const MAGIC: [u8; 8] = *b"DFJRNL1\n";
/// Last bytes of a sealed segment.
const MAGIC_END: [u8; 8] = *b"DFJEND1\n";
/// Bytes of a segment's header, and of a record's.
pub(crate) const HEADER_BYTES: usize = 32;
/// Bytes behind a footer.
pub(crate) const TRAILER_BYTES: usize = 20;

/// What a record of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A topic record of the hub.
    Update(RecordKind),
    /// Gives a topic its number within the segment.
    Topic,
    /// What came before and what follows do not join up for some topic; groups that are open stay so.
    Break,
    /// The index of the segment.
    Footer,
}

impl Kind {
    /// Position records and cuts describe the head of their topic; they are not kept.
    pub fn of(kind: RecordKind) -> Option<Self> {
        match kind {
            RecordKind::Data | RecordKind::State | RecordKind::Gap | RecordKind::Snapshot => {
                Some(Self::Update(kind))
            }
            RecordKind::Position | RecordKind::Cut => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Update(RecordKind::State) => 2,
            Self::Update(RecordKind::Snapshot) => 3,
            Self::Update(RecordKind::Gap) => 4,
            Self::Update(_) => 1,
            Self::Topic => 16,
            Self::Break => 17,
            Self::Footer => 18,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Update(RecordKind::Data),
            2 => Self::Update(RecordKind::State),
            3 => Self::Update(RecordKind::Snapshot),
            4 => Self::Update(RecordKind::Gap),
            16 => Self::Topic,
            17 => Self::Break,
            18 => Self::Footer,
            _ => return None,
        })
    }
}

/// What stands before the payload of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub kind: Kind,
    /// Number of the topic within the segment.
    pub topic: u32,
    /// `seq` of an update; 0: it is none.
    pub seq: u64,
    /// Whether the next record of the topic belongs to the same group.
    pub more: bool,
    /// Time of publication, ns UTC.
    pub wall_ns: i64,
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The bytes end before the record does.
    Torn,
    /// The bytes are there and are not what was written.
    Damaged,
}

/// Takes integers off the front of a slice.
pub(crate) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
}

/// Who a segment is, and the seed of its checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub epoch: u32,
    pub number: u32,
    /// Wall time of its making, ns UTC.
    pub made_ns: i64,
}

impl Identity {
    pub fn write(&self, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.made_ns.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let seed = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&seed.to_le_bytes());
        seed
    }

    /// Returns the identity and the seed; `None`: this is no header of ours.
    pub fn read(bytes: &[u8]) -> Option<(Self, u32)> {
        let covered = bytes.get(..HEADER_BYTES - 4)?;
        let mut fields = Fields(bytes);
        let magic = fields.bytes(MAGIC.len())?;
        let identity = Self { epoch: fields.u32()?, number: fields.u32()?, made_ns: fields.i64()? };
        fields.u32()?;
        let crc = fields.u32()?;
        (magic == MAGIC && crc == crc32fast::hash(covered)).then_some((identity, crc))
    }
}

/// Checksums, numbers and lengths: one record after another.
pub(crate) fn write_record(out: &mut Vec<u8>, seed: u32, head: &Head, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&length(payload).to_le_bytes());
    out.extend_from_slice(&head.seq.to_le_bytes());
    out.extend_from_slice(&head.wall_ns.to_le_bytes());
    out.extend_from_slice(&head.topic.to_le_bytes());
    out.extend_from_slice(&[head.kind.number(), u8::from(head.more), 0, 0]);
    out.extend_from_slice(payload);
    let crc = checksum(seed, out.get(start + 4..).unwrap_or_default());
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

/// A record as it was read.
pub(crate) struct Found<'a> {
    pub head: Head,
    pub payload: &'a [u8],
    /// Bytes of header and payload.
    pub bytes: usize,
}

/// Returns the first record of `bytes`.
pub(crate) fn read_record(bytes: &[u8], seed: u32) -> Result<Found<'_>, Flaw> {
    let mut fields = Fields(bytes);
    let header = (|| {
        let (crc, length) = (fields.u32()?, fields.u32()? as usize);
        let (seq, wall_ns, topic) = (fields.u64()?, fields.i64()?, fields.u32()?);
        let (kind, more) = (fields.u8()?, fields.u8()?);
        fields.u16()?;
        Some((crc, length, seq, wall_ns, topic, kind, more))
    })();
    let Some((crc, length, seq, wall_ns, topic, kind, more)) = header else { return Err(Flaw::Torn) };
    let payload = fields.bytes(length).ok_or(Flaw::Torn)?;
    let bytes_all = HEADER_BYTES + length;
    let covered = bytes.get(4..bytes_all).ok_or(Flaw::Torn)?;
    if crc != checksum(seed, covered) {
        return Err(Flaw::Damaged);
    }
    let kind = Kind::from_number(kind).ok_or(Flaw::Damaged)?;
    let head = Head { kind, topic, seq, more: more != 0, wall_ns };
    Ok(Found { head, payload, bytes: bytes_all })
}

pub(crate) fn write_trailer(out: &mut Vec<u8>, seed: u32, footer_at: u64) {
    let place = footer_at.to_le_bytes();
    out.extend_from_slice(&place);
    out.extend_from_slice(&checksum(seed, &place).to_le_bytes());
    out.extend_from_slice(&MAGIC_END);
}

/// Returns where the footer begins; `None`: these bytes end no sealed segment.
pub(crate) fn read_trailer(bytes: &[u8], seed: u32) -> Option<u64> {
    let mut fields = Fields(bytes);
    let place = fields.u64()?;
    let crc = fields.u32()?;
    (fields.0 == MAGIC_END && crc == checksum(seed, &place.to_le_bytes())).then_some(place)
}

pub(crate) fn write_name(out: &mut Vec<u8>, name: &TopicName) {
    out.push(name.channel);
    for text in [&name.venue, &name.symbol, &name.variant] {
        let text = text.as_bytes();
        let kept = text.get(..text.len().min(usize::from(u16::MAX))).unwrap_or_default();
        out.extend_from_slice(&u16::try_from(kept.len()).unwrap_or(u16::MAX).to_le_bytes());
        out.extend_from_slice(kept);
    }
}

pub(crate) fn read_name(fields: &mut Fields<'_>) -> Option<TopicName> {
    let channel = fields.u8()?;
    let mut text = || {
        let length = fields.u16()?;
        std::str::from_utf8(fields.bytes(usize::from(length))?).ok().map(Box::from)
    };
    Some(TopicName { venue: text()?, symbol: text()?, variant: text()?, channel })
}

/// Lengths of records are 32-bit in the hub already.
pub(crate) fn length<T>(of: &[T]) -> u32 {
    u32::try_from(of.len()).unwrap_or(u32::MAX)
}

fn checksum(seed: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(bytes);
    hasher.finalize()
}
