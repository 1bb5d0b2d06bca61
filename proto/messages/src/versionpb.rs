//! The field numbers of etcd's "since which release" descriptor options.
//!
//! They are extensions of descriptor options, which the code generator has no types for; a reader
//! of etcd's descriptors needs only the numbers. They have no effect on the wire.
//!
//! Must not know: anything else.

/// Extension of `MessageOptions`: the release that added the message.
pub const ETCD_VERSION_MSG: u32 = 50000;
/// Extension of `FieldOptions`: the release that added the field.
pub const ETCD_VERSION_FIELD: u32 = 50001;
/// Extension of `EnumOptions`: the release that added the enum.
pub const ETCD_VERSION_ENUM: u32 = 50002;
/// Extension of `EnumValueOptions`: the release that added the value.
pub const ETCD_VERSION_ENUM_VALUE: u32 = 50003;
