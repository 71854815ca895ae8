//! The names in a directory, for Python: millions of them without an object for each.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::fs::{RawDir, SeekFrom, seek};
use rustix::io::Errno;

/// Bytes of entries that the kernel hands over at once.
const ENTRIES_BYTES: usize = 64 * 1_024;

/// Return all names in an open directory, each with a zero byte behind it, in no order; detached from the interpreter.
///
/// Args:
///     descriptor: The directory; it is read from its beginning, whoever read it before.
///
/// Raises:
///     OSError: It cannot be read.
#[pyfunction]
pub(crate) fn listing(py: Python<'_>, descriptor: RawFd) -> PyResult<Bound<'_, PyBytes>> {
    let names = py.detach(|| names_in(descriptor)).map_err(|errno| {
        let error = io::Error::from(errno);
        PyOSError::new_err((errno.raw_os_error(), error.to_string()))
    })?;
    Ok(PyBytes::new(py, &names))
}

fn names_in(descriptor: RawFd) -> Result<Vec<u8>, Errno> {
    if descriptor < 0 {
        return Err(Errno::BADF);
    }
    #[expect(unsafe_code, reason = "Python holds descriptors as numbers")]
    // SAFETY: it is not -1, is used in this call alone, and the caller holds it open so long.
    let folder = unsafe { BorrowedFd::borrow_raw(descriptor) };
    seek(folder, SeekFrom::Start(0))?;
    let (mut entries, mut names) = (Vec::with_capacity(ENTRIES_BYTES), Vec::new());
    let mut dir = RawDir::new(folder, entries.spare_capacity_mut());
    while let Some(entry) = dir.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes_with_nul();
        if !matches!(name, b".\0" | b"..\0") {
            names.extend_from_slice(name);
        }
    }
    Ok(names)
}
