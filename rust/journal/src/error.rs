//! What can go wrong with the directory or a file of the journal.

use std::path::{Path, PathBuf};

/// Why the journal cannot be opened, started or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The system refused.
    #[error("cannot {operation} {path:?}: {cause}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The directory holds this epoch, or one above it.
    #[error("expected an epoch above {newest}, received {epoch}")]
    EpochNotNew {
        /// Epoch that was given.
        epoch: u32,
        /// Newest epoch in the directory.
        newest: u32,
    },
    /// The bound is too small for a ring of segments.
    #[error("expected at least {bytes_min} bytes, received {bytes_max}")]
    TooSmall {
        /// Bound that was given.
        bytes_max: u64,
        /// Smallest one.
        bytes_min: u64,
    },
    /// A journal is started once.
    #[error("the journal was started already")]
    Started,
    /// More was published at once than the journal may hold.
    #[error("{bytes} bytes were published at once, the journal holds {bytes_max}")]
    TooLarge {
        /// Bytes that were published.
        bytes: u64,
        /// Bytes of the journal.
        bytes_max: u64,
    },
}

impl JournalError {
    pub(crate) fn io(operation: &'static str, path: &Path, cause: std::io::Error) -> Self {
        Self::Io { operation, path: path.to_path_buf(), cause }
    }
}
