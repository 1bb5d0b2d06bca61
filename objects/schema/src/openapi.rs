//! The OpenAPI v3 documents, generated from the schema.
