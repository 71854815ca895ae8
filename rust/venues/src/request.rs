//! What we send: the two operations, and text that is safe inside JSON and URLs.

/// What a control message asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlOp {
    /// Begin.
    Subscribe,
    /// End.
    Unsubscribe,
}

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' | '\\' => {
                out.push('\\');
                out.push(sign);
            }
            '\0'..='\u{1f}' => {
                let code = u32::from(sign);
                out.push_str("\\u00");
                out.extend([code >> 4, code & 15].iter().filter_map(|&digit| char::from_digit(digit, 16)));
            }
            _ => out.push(sign),
        }
    }
    out.push('"');
}

/// Appends `text` percent-encoded as one part of a URL's query or path.
pub(crate) fn push_percent_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            let digits = [byte >> 4, byte & 15].map(u32::from);
            out.extend(
                digits
                    .iter()
                    .filter_map(|&digit| char::from_digit(digit, 16))
                    .map(|d| d.to_ascii_uppercase()),
            );
        }
    }
}
