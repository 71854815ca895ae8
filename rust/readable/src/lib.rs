//! Messages of a contract as JSON that people read, by the rules of protobuf's own JSON but for the names.
//!
//! Names are those of the contract, fields stand in the order of their numbers, integers of 64 bits are texts,
//! enums are words, bytes are base64; what is absent or 0 is left out. Numbers are written as Python writes them.
//! Pure: no clock, no I/O, no logging.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, Value};

/// Why a message cannot be made readable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The description of the contract is none.
    #[error("expected an encoded FileDescriptorSet")]
    NoDescriptors,
    /// The contract has no such message.
    #[error("expected a message of the contract, received {kind:?}")]
    UnknownKind {
        /// Its full name.
        kind: String,
    },
    /// The bytes are no such message.
    #[error("expected an encoded {kind}")]
    NoMessage {
        /// Its full name.
        kind: String,
    },
}

/// What a contract says of its messages.
#[derive(Debug, Clone)]
pub struct Schema(DescriptorPool);

impl Schema {
    /// Reads an encoded `FileDescriptorSet`.
    ///
    /// # Errors
    /// [`SchemaError::NoDescriptors`] if it is none.
    pub fn decode(descriptors: &[u8]) -> Result<Self, SchemaError> {
        DescriptorPool::decode(descriptors).map(Self).map_err(|_| SchemaError::NoDescriptors)
    }

    /// Returns an encoded message as JSON.
    ///
    /// # Errors
    /// [`SchemaError`] if the contract has no such message, or the bytes are none.
    pub fn json(&self, kind: &str, message: &[u8]) -> Result<Vec<u8>, SchemaError> {
        let Some(descriptor) = self.0.get_message_by_name(kind) else {
            return Err(SchemaError::UnknownKind { kind: kind.to_owned() });
        };
        let Ok(message_of) = DynamicMessage::decode(descriptor, message) else {
            return Err(SchemaError::NoMessage { kind: kind.to_owned() });
        };
        let mut text = Text(String::with_capacity(message.len() * 4));
        text.object(&message_of);
        Ok(text.0.into_bytes())
    }
}

struct Text(String);

impl Text {
    fn object(&mut self, message: &DynamicMessage) {
        self.0.push('{');
        for (at, (field, value)) in message.fields().enumerate() {
            if at > 0 {
                self.0.push(',');
            }
            self.string(field.name());
            self.0.push(':');
            self.value(&field, value);
        }
        self.0.push('}');
    }

    fn value(&mut self, field: &FieldDescriptor, value: &Value) {
        match value {
            Value::Bool(is_so) => self.0.push_str(if *is_so { "true" } else { "false" }),
            Value::I32(number) => self.bare(number),
            Value::U32(number) => self.bare(number),
            Value::I64(number) => self.quoted(number),
            Value::U64(number) => self.quoted(number),
            Value::F32(number) => self.float((*number).into()),
            Value::F64(number) => self.float(*number),
            Value::String(text) => self.string(text),
            Value::Bytes(content) => self.quoted(&STANDARD.encode(content)),
            Value::EnumNumber(number) => self.word(field, *number),
            Value::Message(message) => self.object(message),
            Value::List(values) => {
                self.0.push('[');
                for (at, one) in values.iter().enumerate() {
                    if at > 0 {
                        self.0.push(',');
                    }
                    self.value(field, one);
                }
                self.0.push(']');
            }
            Value::Map(_) => self.0.push_str("null"), // the contract has none, a test says
        }
    }

    fn bare(&mut self, value: &impl ToString) {
        self.0.push_str(&value.to_string());
    }

    fn quoted(&mut self, value: &impl ToString) {
        self.0.push('"');
        self.bare(value);
        self.0.push('"');
    }

    /// The word of an enum; a number that the contract does not know stays one.
    fn word(&mut self, field: &FieldDescriptor, number: i32) {
        let word = match field.kind() {
            Kind::Enum(words) => words.get_value(number),
            _ => None,
        };
        match word {
            Some(word) => self.quoted(&word.name()),
            None => self.bare(&number),
        }
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        for sign in text.chars() {
            match sign {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                '\t' => self.0.push_str("\\t"),
                '\u{8}' => self.0.push_str("\\b"),
                '\u{c}' => self.0.push_str("\\f"),
                '\0'..='\u{1f}' => self.bare(&format_args!("\\u{:04x}", u32::from(sign))),
                _ => self.0.push(sign),
            }
        }
        self.0.push('"');
    }

    /// The shortest digits that mean this number, as Python's `repr`; the words that JSON has for what is none.
    fn float(&mut self, number: f64) {
        if number.is_nan() {
            return self.quoted(&"NaN");
        }
        if number.is_infinite() {
            return self.quoted(&if number > 0.0 { "Infinity" } else { "-Infinity" });
        }
        let size = number.abs();
        if size != 0.0 && !(1e-4..1e16).contains(&size) {
            let text = format!("{number:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            self.bare(&format_args!("{digits}e{sign}{exponent:0>2}"));
        } else {
            self.bare(&format_args!("{number:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        // Source: `repr` of CPython 3.11.
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (-0.1, "-0.1"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (1e-7, "1e-07"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::NAN, "\"NaN\""),
            (f64::NEG_INFINITY, "\"-Infinity\""),
        ] {
            let mut written = Text(String::new());
            written.float(number);
            assert_eq!(written.0, text);
        }
    }

    #[test]
    fn what_is_no_contract_is_refused() {
        assert_eq!(Schema::decode(b"\xff").map(|_| ()), Err(SchemaError::NoDescriptors));
    }
}
