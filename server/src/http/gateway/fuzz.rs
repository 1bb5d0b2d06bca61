//! The door of fuzzers: a body in, nothing out, and no way to panic.

use std::sync::OnceLock;

use bytes::Bytes;
use prost_reflect::DescriptorPool;

use super::paths::PATHS;
use super::read;
use super::scan::Scanner;
use super::schema::{MessageIndex, Schema};

/// How many paths the gateway has.
pub const GATEWAY_PATHS: usize = PATHS.len();

/// *Units*: bytes of one JSON value.
const VALUE_BYTES_MAX: usize = 1024 * 1024;

/// Reads a body as the path of this number does, value by value.
pub fn fuzz_gateway(path: usize, body: &[u8]) {
    static INPUTS: OnceLock<(Schema, Vec<MessageIndex>)> = OnceLock::new();
    let (schema, inputs) = INPUTS.get_or_init(inputs);
    let mut scanner = Scanner::new(VALUE_BYTES_MAX);
    let mut rest = Bytes::copy_from_slice(body);
    while let Ok(Some(value)) = scanner.push(&mut rest) {
        let _ = read::message(schema, inputs[path % inputs.len()], &value);
    }
    if let Ok(Some(value)) = scanner.finish() {
        let _ = read::message(schema, inputs[path % inputs.len()], &value);
    }
}

fn inputs() -> (Schema, Vec<MessageIndex>) {
    let pool = DescriptorPool::decode(services::DESCRIPTORS)
        .expect("the descriptors were made by the same build");
    let mut schema = Schema::default();
    let inputs = PATHS.iter().map(|path| schema.of_method(&pool, path.service, path.method));
    let inputs = inputs.map(|found| found.expect("a test holds every path against them").0);
    let inputs = inputs.collect();
    (schema, inputs)
}
