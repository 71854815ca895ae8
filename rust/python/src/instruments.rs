//! Instrument lists for Python: the resolver of symbols is not hot and lives there.

use facade_model::{Instrument, InstrumentKind, InstrumentStatus};
use facade_venues::Product;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Read an instrument list of a venue: one dict per instrument, decimals as plain text.
///
/// Raises:
///     ValueError: The venue or product is unknown, or the body is no list of this venue.
#[pyfunction]
pub(crate) fn decode_instruments<'py>(
    py: Python<'py>,
    venue: &str,
    product: &str,
    body: &[u8],
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let product = find_product(venue, product)?;
    let list = product.decode_instruments(body).map_err(|error| PyValueError::new_err(error.to_string()))?;
    list.iter().map(|instrument| describe(py, instrument)).collect()
}

/// Finds a product by its names.
pub(crate) fn find_product(venue: &str, product: &str) -> PyResult<Product> {
    Product::from_names(venue, product)
        .ok_or_else(|| PyValueError::new_err(format!("unknown product {product:?} of venue {venue:?}")))
}

/// Makes the dict of one instrument.
pub(crate) fn describe<'py>(py: Python<'py>, instrument: &Instrument) -> PyResult<Bound<'py, PyDict>> {
    let kind = match instrument.kind {
        InstrumentKind::Spot => "spot",
        InstrumentKind::Perpetual => "perpetual",
        InstrumentKind::Future => "future",
        InstrumentKind::Other => "other",
    };
    let status = match instrument.status {
        InstrumentStatus::Trading => "trading",
        InstrumentStatus::Auction => "auction",
        InstrumentStatus::Halted => "halted",
        InstrumentStatus::Delisted => "delisted",
        InstrumentStatus::Unknown => "unknown",
    };
    let dict = PyDict::new(py);
    dict.set_item("symbol", &instrument.symbol)?;
    dict.set_item("venue_symbol", &instrument.venue_symbol)?;
    dict.set_item("aliases", &instrument.aliases)?;
    dict.set_item("base", &instrument.base)?;
    dict.set_item("quote", &instrument.quote)?;
    dict.set_item("kind", kind)?;
    dict.set_item("status", status)?;
    dict.set_item("tick_size", instrument.tick_size.to_string())?;
    dict.set_item("lot_size", instrument.lot_size.to_string())?;
    dict.set_item("contract_size", instrument.contract_size.map(|size| size.to_string()))?;
    Ok(dict)
}
