//! Which frame a venue's update id belongs to: both ends of a bench know it without a word in the frame.
//!
//! Frames go to the symbols in turn; each takes eight ids of its symbol. The frame before the first one is the
//! primer, which bridges the snapshot.

/// Last id of the primer.
pub const FIRST_ID: u64 = 1_000_000_008;
/// Ids that each frame takes.
pub const IDS_PER_FRAME: u64 = 8;

/// Returns the last id of the `turn`-th frame of a symbol, from 0.
#[must_use]
pub fn last_id(turn: u64) -> u64 {
    FIRST_ID + IDS_PER_FRAME * (turn + 1)
}

/// Returns the number of the frame among all symbols' frames, from 0; `None` for the primer and what is older.
#[must_use]
pub fn frame_of(id: u64, symbol: usize, symbols: usize) -> Option<usize> {
    let turn = (id.checked_sub(FIRST_ID)? / IDS_PER_FRAME).checked_sub(1)?;
    Some(usize::try_from(turn).ok()? * symbols + symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_leads_back_to_its_frame() {
        for frame in 0..100_usize {
            let (turn, symbol) = (frame / 4, frame % 4);
            assert_eq!(frame_of(last_id(turn as u64), symbol, 4), Some(frame));
        }
        assert_eq!(frame_of(FIRST_ID, 3, 4), None);
    }
}
