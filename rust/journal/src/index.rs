//! What is known of a segment without reading it again: which `seq` of which topic lies in which stripe.
//!
//! A stripe is some 256 KiB in which each topic's records join up without a hole. No group of records crosses the
//! border of two stripes, unless it was abandoned; an abandoned group is in no span.

use facade_hub::{RecordKind, TopicName};

use crate::format::{Fields, Head, Kind, length, read_name, write_name};

/// A stripe ends once it is this large and no group is open.
const STRIPE_BYTES: u64 = 256 << 10;

/// The whole groups of one topic in one stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Number of the topic within the segment.
    pub topic: u32,
    pub seq_first: u64,
    /// Below `seq_first`: no group is whole.
    pub seq_last: u64,
}

/// Part of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stripe {
    pub start: u64,
    pub end: u64,
    /// Sorted by topic.
    pub spans: Vec<Span>,
}

impl Stripe {
    pub fn span(&self, topic: u32) -> Option<&Span> {
        let at = self.spans.binary_search_by_key(&topic, |span| span.topic).ok()?;
        self.spans.get(at).filter(|span| span.seq_last >= span.seq_first)
    }

    fn span_mut(&mut self, topic: u32, seq: u64) -> Option<&mut Span> {
        let at = match self.spans.binary_search_by_key(&topic, |span| span.topic) {
            Ok(at) => at,
            Err(at) => {
                self.spans.insert(at, Span { topic, seq_first: seq, seq_last: seq.saturating_sub(1) });
                at
            }
        };
        self.spans.get_mut(at)
    }
}

/// Newest record of a topic in the segment.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    seq: u64,
    is_open: bool,
}

/// A record that does not follow the one before it: the segment is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misplaced;

/// Index of one segment; grows with it.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By number.
    pub topics: Vec<TopicName>,
    pub stripes: Vec<Stripe>,
    /// Publication of the newest record, ns UTC; 0: there is none.
    pub wall_last_ns: i64,
    runs: Vec<Run>,
    groups_open: usize,
    is_broken: bool,
}

impl Index {
    /// Makes the index of a part of a segment whose topics are named before it.
    pub fn with_topics(count: usize) -> Self {
        Self { runs: vec![Run::default(); count], ..Self::default() }
    }

    /// Notes the name of the next topic.
    pub fn name(&mut self, number: u32, name: TopicName) -> Result<(), Misplaced> {
        if number as usize != self.topics.len() {
            return Err(Misplaced);
        }
        self.topics.push(name);
        self.runs.push(Run::default());
        Ok(())
    }

    /// Begins a stripe with the next record, whatever is open: what came before does not join up with it.
    pub fn split(&mut self) {
        self.is_broken = true;
        self.groups_open = 0;
        self.runs.iter_mut().for_each(|run| *run = Run::default());
    }

    /// Notes an update that stands at `start..end` of the segment.
    pub fn note(&mut self, head: &Head, start: u64, end: u64) -> Result<(), Misplaced> {
        let is_due = self.stripes.last().is_none_or(|stripe| stripe.end - stripe.start >= STRIPE_BYTES);
        let run = self.runs.get_mut(head.topic as usize).ok_or(Misplaced)?;
        if run.seq > 0 {
            let is_part = run.is_open && head.kind == Kind::Update(RecordKind::Snapshot);
            let expected = if is_part { run.seq } else { run.seq + 1 };
            if head.seq != expected {
                return Err(Misplaced);
            }
        }
        if self.is_broken || (is_due && self.groups_open == 0) || self.stripes.is_empty() {
            self.is_broken = false;
            self.stripes.push(Stripe { start, end, spans: Vec::new() });
        }
        self.groups_open = self.groups_open + usize::from(head.more) - usize::from(run.is_open);
        *run = Run { seq: head.seq, is_open: head.more };
        self.wall_last_ns = self.wall_last_ns.max(head.wall_ns);
        if let Some(stripe) = self.stripes.last_mut() {
            stripe.end = end;
            if let Some(span) = stripe.span_mut(head.topic, head.seq).filter(|_| !head.more) {
                span.seq_last = head.seq;
            }
        }
        Ok(())
    }

    /// Takes one record as the segment holds it.
    pub fn take(&mut self, head: &Head, payload: &[u8], start: u64, end: u64) -> Result<(), Misplaced> {
        match head.kind {
            Kind::Update(_) => self.note(head, start, end),
            Kind::Topic => self.name(head.topic, read_name(&mut Fields(payload)).ok_or(Misplaced)?),
            Kind::Break => {
                self.split();
                Ok(())
            }
            Kind::Footer => Err(Misplaced),
        }
    }

    /// Returns the number of a topic within the segment.
    pub fn number(&self, name: &TopicName) -> Option<u32> {
        self.topics.iter().position(|known| known == name).and_then(|at| u32::try_from(at).ok())
    }

    /// Appends the index as the payload of a footer.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.wall_last_ns.to_le_bytes());
        out.extend_from_slice(&length(&self.topics).to_le_bytes());
        self.topics.iter().for_each(|name| write_name(out, name));
        out.extend_from_slice(&length(&self.stripes).to_le_bytes());
        for stripe in &self.stripes {
            out.extend_from_slice(&stripe.start.to_le_bytes());
            out.extend_from_slice(&stripe.end.to_le_bytes());
            out.extend_from_slice(&length(&stripe.spans).to_le_bytes());
            for span in &stripe.spans {
                out.extend_from_slice(&span.topic.to_le_bytes());
                out.extend_from_slice(&span.seq_first.to_le_bytes());
                out.extend_from_slice(&span.seq_last.to_le_bytes());
            }
        }
    }

    /// Reads the payload of a footer, whose checksum was right.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let mut fields = Fields(payload);
        let mut index = Self { wall_last_ns: fields.i64()?, ..Self::default() };
        for _ in 0..fields.u32()? {
            index.topics.push(read_name(&mut fields)?);
        }
        for _ in 0..fields.u32()? {
            let mut stripe = Stripe { start: fields.u64()?, end: fields.u64()?, spans: Vec::new() };
            for _ in 0..fields.u32()? {
                let (topic, seq_first, seq_last) = (fields.u32()?, fields.u64()?, fields.u64()?);
                stripe.spans.push(Span { topic, seq_first, seq_last });
            }
            index.stripes.push(stripe);
        }
        Some(index)
    }
}
