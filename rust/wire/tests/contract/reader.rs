//! An independent decoder, which knows the contract from its descriptor set.

use std::sync::LazyLock;

use facade_model::Decimal;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

pub const DESCRIPTORS: &[u8] = include_bytes!("../../../../python/datafacade/v1/descriptor.bin");
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTORS).unwrap());

/// Decodes with the independent library and checks that the bytes are the canonical ones.
pub fn decode(bytes: &[u8]) -> DynamicMessage {
    let update = POOL.get_message_by_name("datafacade.v1.Update").unwrap();
    let message = DynamicMessage::decode(update, bytes).unwrap();
    assert_eq!(message.unknown_fields().count(), 0);
    assert_eq!(message.encode_to_vec(), bytes, "not canonical: {message:?}");
    message
}

pub fn get(message: &DynamicMessage, field: &str) -> Value {
    message.get_field_by_name(field).unwrap().into_owned()
}

pub fn payload(message: &DynamicMessage, field: &str) -> DynamicMessage {
    assert!(message.has_field_by_name(field));
    get(message, field).as_message().unwrap().clone()
}

pub fn exponents(message: &DynamicMessage) -> (i32, i32) {
    let read = |field| get(message, field).as_i32().unwrap();
    (read("price_exponent"), read("quantity_exponent"))
}

/// Returns a decoded array as exact values.
pub fn values(message: &DynamicMessage, field: &str, exponent: i32) -> Vec<Decimal> {
    let list = get(message, field);
    list.as_list().unwrap().iter().map(|value| exact(value, exponent)).collect()
}

pub fn exact(value: &Value, exponent: i32) -> Decimal {
    Decimal::new(value.as_i64().unwrap(), i8::try_from(exponent).unwrap()).canonical()
}

pub fn optional(message: &DynamicMessage, field: &str, exponent: i32) -> Option<Decimal> {
    message.has_field_by_name(field).then(|| exact(&get(message, field), exponent))
}
