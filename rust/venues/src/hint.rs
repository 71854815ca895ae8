//! Guesses about frames that could not be read. Looks at their beginning only, so a hostile frame costs nothing.

use crate::Span;

/// Bytes that are looked at: the envelope of any message, never its levels.
const HEAD_BYTES: usize = 512;

/// Returns the beginning of a frame.
fn head(frame: &[u8]) -> &[u8] {
    frame.get(..HEAD_BYTES).unwrap_or(frame)
}

/// Whether the frame's beginning holds these bytes.
pub(crate) fn contains(frame: &[u8], bytes: &[u8]) -> bool {
    find(head(frame), bytes).is_some()
}

/// Returns the text of the first member of this name; `None` if it is not there whole.
pub(crate) fn string_member(frame: &[u8], name: &str) -> Option<Span> {
    let head = head(frame);
    let mut start = find(head, format!("\"{name}\"").as_bytes())? + name.len() + 2;
    for sign in [b':', b'"'] {
        start += head.get(start..)?.iter().position(|byte| !byte.is_ascii_whitespace())?;
        if *head.get(start)? != sign {
            return None;
        }
        start += 1;
    }
    let length = head.get(start..)?.iter().position(|&byte| byte == b'"')?;
    Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(start + length).ok()? })
}

/// Returns where `bytes` first stand in `text`.
pub(crate) fn find(text: &[u8], bytes: &[u8]) -> Option<usize> {
    text.windows(bytes.len()).position(|window| window == bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_by_its_name() {
        let frame = br#"{"instId":"BTC-USDT"},"data":[{"#;
        assert_eq!(string_member(frame, "instId").unwrap_or_default().of(frame), b"BTC-USDT");
        assert_eq!(string_member(br#"{"instId":"BTC-US"#, "instId"), None);
        assert_eq!(string_member(b"", "instId"), None);
        let frame = br#"{"s" : 5, "t" : "x"}"#;
        assert_eq!(string_member(frame, "s"), None);
        assert_eq!(string_member(frame, "t").unwrap_or_default().of(frame), b"x");
    }

    #[test]
    fn only_the_beginning_counts() {
        let frame = [vec![b' '; HEAD_BYTES], b"books".to_vec()].concat();
        assert!(!contains(&frame, b"books"));
    }
}
