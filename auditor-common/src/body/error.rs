use super::schema::Field;
use crate::record::EntryType;

/// Why bytes are not a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// No such class of that type in this version.
    Unknown {
        /// The entry's type.
        kind: EntryType,
        /// The entry's class.
        class: u32,
    },
    /// Not CBOR, cut off, or another kind of value than the schema has there.
    Malformed,
    /// Not in the one form that deterministic CBOR has.
    NotCanonical,
    /// A map or an array with more or fewer elements than the schema has.
    Count {
        /// What the schema says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// Another key where this one must be.
    Key {
        /// The key that must be there.
        expected: u8,
    },
    /// A value outside of what its key may hold.
    Value,
    /// Bytes after the end of the body.
    Trailing,
    /// One of the above, in the value of this key.
    In {
        /// The key's word.
        field: &'static str,
        /// What is wrong.
        error: Box<BodyError>,
    },
}

impl BodyError {
    pub(super) fn within(self, field: &Field) -> Self {
        Self::In { field: field.name, error: Box::new(self) }
    }
}

impl From<minicbor::decode::Error> for BodyError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Malformed
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { kind, class } => write!(f, "{} has no class {class} in this version", kind.name()),
            Self::Malformed => write!(f, "not the CBOR that its schema has there"),
            Self::NotCanonical => write!(f, "not in the one form that deterministic CBOR has"),
            Self::Count { expected, found } => write!(f, "{found} elements where the schema has {expected}"),
            Self::Key { expected } => write!(f, "another key where {expected} must be"),
            Self::Value => write!(f, "a value that the schema does not allow"),
            Self::Trailing => write!(f, "bytes after its end"),
            Self::In { field, error } => write!(f, "{field}: {error}"),
        }
    }
}

impl std::error::Error for BodyError {}
