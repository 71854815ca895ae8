//! Files of the journal: their names, how they are opened, what is read of one that was written before.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::JournalError;
use crate::format::{Flaw, HEADER_BYTES, Head, Identity, Kind, TRAILER_BYTES};
use crate::format::{read_record, read_trailer, write_record, write_trailer};
use crate::index::Index;

/// Nobody else's business.
const FILE_MODE: u32 = 0o640;
const SUFFIX: &str = "dfj";

/// One file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub path: PathBuf,
    pub identity: Identity,
    /// Seed of its checksums.
    pub seed: u32,
    pub index: Index,
    /// Length of the file.
    pub bytes: u64,
}

/// What was found wrong with a segment when it was opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Repair {
    /// Bytes behind the last whole record: a write that was interrupted.
    pub bytes_torn: u64,
    /// Whether bytes are not what was written.
    pub is_damaged: bool,
}

/// Returns the path of a segment.
pub(crate) fn path(dir: &Path, epoch: u32, number: u32) -> PathBuf {
    dir.join(format!("{epoch:010}-{number:06}.{SUFFIX}"))
}

/// Returns epoch and number that a file's name tells; `None`: it is no file of the journal.
pub(crate) fn parse_name(name: &str) -> Option<(u32, u32)> {
    let (epoch, number) = name.strip_suffix(SUFFIX)?.strip_suffix('.')?.split_once('-')?;
    Some((epoch.parse().ok()?, number.parse().ok()?))
}

/// Makes a segment's file; fails if there is one.
pub(crate) fn create(path: &Path) -> Result<File, JournalError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|cause| JournalError::io("create", path, cause))
}

/// Reads part of a segment, from where to before where; follows no link.
pub(crate) fn read_part(path: &Path, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let file = open(path, false)?;
    let mut bytes = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, start + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

fn open(path: &Path, writable: bool) -> std::io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new().read(true).write(writable).custom_flags(flags).open(path)
}

/// Opens a segment of an earlier run: by its footer, else by reading it whole; then a torn tail is cut, and the
/// index is written behind the rest. A file that cannot be changed is used as it is.
pub(crate) fn recover(path: &Path, epoch: u32, number: u32) -> std::io::Result<Option<(Segment, Repair)>> {
    let (mut file, is_writable) = match open(path, true) {
        Ok(file) => (file, true),
        Err(_) => (open(path, false)?, false),
    };
    let length = file.metadata()?.len();
    let mut header = Vec::new();
    Read::by_ref(&mut file).take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let Some((identity, seed)) = Identity::read(&header) else { return Ok(None) };
    if (identity.epoch, identity.number) != (epoch, number) {
        return Ok(None);
    }
    let made = |index, bytes| Segment { path: path.to_path_buf(), identity, seed, index, bytes };
    if let Some(index) = read_footer(&file, seed, length) {
        return Ok(Some((made(index, length), Repair::default())));
    }
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    let (index, end, is_damaged) = scan(&bytes, seed);
    let mut segment = made(index, length);
    let repair = Repair { bytes_torn: length - end, is_damaged };
    if is_writable {
        file.set_len(end)?;
        segment.bytes = end;
        segment.bytes += seal(&file, &segment)?;
    }
    Ok(Some((segment, repair)))
}

/// Writes index and trailer at the end of a segment; returns how many bytes that took.
pub(crate) fn seal(file: &File, segment: &Segment) -> std::io::Result<u64> {
    let mut payload = Vec::new();
    segment.index.write(&mut payload);
    let head =
        Head { kind: Kind::Footer, topic: 0, seq: 0, more: false, wall_ns: segment.index.wall_last_ns };
    let mut out = Vec::new();
    write_record(&mut out, segment.seed, &head, &payload);
    write_trailer(&mut out, segment.seed, segment.bytes);
    file.write_all_at(&out, segment.bytes)?;
    Ok(out.len() as u64)
}

fn read_footer(file: &File, seed: u32, length: u64) -> Option<Index> {
    let trailer_at = length.checked_sub(TRAILER_BYTES as u64)?;
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, trailer_at).ok()?;
    let footer_at = read_trailer(&trailer, seed)?;
    let footer_bytes = trailer_at.checked_sub(footer_at)?;
    let mut footer = vec![0; usize::try_from(footer_bytes).ok()?];
    file.read_exact_at(&mut footer, footer_at).ok()?;
    let found = read_record(&footer, seed).ok()?;
    (found.head.kind == Kind::Footer).then(|| Index::read(found.payload)).flatten()
}

/// Reads all records; returns their index, where the last whole one ends, and whether damage ended the reading.
fn scan(bytes: &[u8], seed: u32) -> (Index, u64, bool) {
    let mut index = Index::default();
    let mut at = HEADER_BYTES;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return (index, at as u64, false);
        }
        match read_record(rest, seed) {
            Ok(found) => {
                let end = at + found.bytes;
                // A footer without its trailer: the segment was being sealed.
                if found.head.kind == Kind::Footer {
                    return (index, at as u64, false);
                }
                if index.take(&found.head, found.payload, at as u64, end as u64).is_err() {
                    return (index, at as u64, true);
                }
                at = end;
            }
            Err(flaw) => return (index, at as u64, flaw == Flaw::Damaged),
        }
    }
}
