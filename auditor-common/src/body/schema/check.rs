//! Bytes held against the tables: a body is written in one way, and in no other.

use minicbor::Decoder;
use minicbor::data::Type;

use super::{BOOT_NS, CPU, Field, KSEQ, Kind, fields};
use crate::body::{BodyError, Sample};
use crate::endpoint::MAPPED;
use crate::record::EntryType;

/// Are these bytes a body of this type and class, in its one form? Allocates nothing.
pub fn check(kind: EntryType, class: u32, bytes: &[u8]) -> Result<(), BodyError> {
    let fields = fields(kind, class).ok_or(BodyError::Unknown { kind, class })?;
    let mut input = Decoder::new(bytes);
    map(&mut input, fields)?;
    if input.position() == bytes.len() { Ok(()) } else { Err(BodyError::Trailing) }
}

/// The same for the number of keys and the first three of them, which it gives: what a verifier needs to know of an EVENT.
/// The rest is committed to, and is read by whoever shows it.
pub fn sample(class: u32, bytes: &[u8]) -> Result<Sample, BodyError> {
    let kind = EntryType::Event;
    let fields = fields(kind, class).ok_or(BodyError::Unknown { kind, class })?;
    let mut input = Decoder::new(bytes);
    present(&mut input, fields)?;
    key(&mut input, BOOT_NS.key)?;
    let boot_ns = uint(&mut input).map_err(|error| error.within(&BOOT_NS))?;
    key(&mut input, CPU.key)?;
    let cpu = maybe_uint(&mut input, u64::from(u32::MAX)).map_err(|error| error.within(&CPU))?;
    key(&mut input, KSEQ.key)?;
    let kseq = maybe_uint(&mut input, u64::MAX).map_err(|error| error.within(&KSEQ))?;
    Ok(Sample { boot_ns, cpu: cpu.map(|cpu| cpu as u32), kseq })
}

fn maybe_uint(input: &mut Decoder<'_>, max: u64) -> Result<Option<u64>, BodyError> {
    if input.datatype()? == Type::Null {
        input.null()?;
        return Ok(None);
    }
    let number = uint(input)?;
    if number <= max { Ok(Some(number)) } else { Err(BodyError::Value) }
}

fn key(input: &mut Decoder<'_>, expected: u8) -> Result<(), BodyError> {
    if uint(input)? == u64::from(expected) { Ok(()) } else { Err(BodyError::Key { expected }) }
}

fn entry(input: &mut Decoder<'_>, field: &'static Field) -> Result<(), BodyError> {
    key(input, field.key)?;
    value(input, field.kind).map_err(|error| error.within(field))
}

fn map(input: &mut Decoder<'_>, fields: &'static [Field]) -> Result<(), BodyError> {
    present(input, fields)?.iter().try_for_each(|field| entry(input, field))
}

/// Reads the head of a map: which of its keys are there.
fn present(input: &mut Decoder<'_>, fields: &'static [Field]) -> Result<&'static [Field], BodyError> {
    let without = match fields.split_last() {
        Some((Field { kind: Kind::Several(_), .. }, others)) => others,
        _ => fields,
    };
    let from = input.position();
    let count = input.map()?;
    let fields = if count == Some(without.len() as u64) { without } else { fields };
    announced(count, fields.len() as u64, input.position() - from)?;
    Ok(fields)
}

fn value(input: &mut Decoder<'_>, kind: Kind) -> Result<(), BodyError> {
    let fits = match kind {
        Kind::Uint(max) => uint(input)? <= max,
        Kind::Between(min, max) => (min..=max).contains(&uint(input)?),
        Kind::Null => input.null().map(|()| true)?,
        Kind::Bool => input.bool().map(|_| true)?,
        Kind::Text => string(input, |input| Ok(input.str()?.as_bytes())).map(|_| true)?,
        Kind::Bytes(len) => string(input, |input| Ok(input.bytes()?))?.len() == len,
        Kind::AnyBytes => string(input, |input| Ok(input.bytes()?)).map(|_| true)?,
        Kind::Address => match string(input, |input| Ok(input.bytes()?))? {
            bytes if bytes.len() == 16 => bytes[..12] != MAPPED,
            bytes => bytes.len() == 4,
        },
        Kind::Map(fields) => return map(input, fields),
        Kind::Array(kind) => array(input, *kind).map(|_| true)?,
        Kind::Several(kind) => array(input, *kind)? > 0,
        Kind::Tuple(kinds) => {
            let from = input.position();
            let count = input.array()?;
            announced(count, kinds.len() as u64, input.position() - from)?;
            for kind in kinds {
                value(input, *kind)?;
            }
            true
        }
        Kind::Maybe(_) if input.datatype()? == Type::Null => input.null().map(|()| true)?,
        Kind::Maybe(kind) => return value(input, *kind),
    };
    if fits { Ok(()) } else { Err(BodyError::Value) }
}

/// Reads an array of these; how many there are.
fn array(input: &mut Decoder<'_>, kind: Kind) -> Result<u64, BodyError> {
    let from = input.position();
    let count = input.array()?.ok_or(BodyError::NotCanonical)?;
    if input.position() - from != head_len(count) {
        return Err(BodyError::NotCanonical);
    }
    for _ in 0..count {
        value(input, kind)?;
    }
    Ok(count)
}

/// Reads an unsigned number in its shortest form.
fn uint(input: &mut Decoder<'_>) -> Result<u64, BodyError> {
    let from = input.position();
    let number = input.u64()?;
    if input.position() - from == head_len(number) { Ok(number) } else { Err(BodyError::NotCanonical) }
}

/// Reads a string whose length is written in its shortest form.
fn string<'b>(
    input: &mut Decoder<'b>,
    read: impl FnOnce(&mut Decoder<'b>) -> Result<&'b [u8], BodyError>,
) -> Result<&'b [u8], BodyError> {
    let from = input.position();
    let bytes = read(input)?;
    let fits = input.position() - from == head_len(bytes.len() as u64) + bytes.len();
    if fits { Ok(bytes) } else { Err(BodyError::NotCanonical) }
}

/// The head of a map or an array must announce so many elements, in its shortest form; it had `len` bytes.
fn announced(count: Option<u64>, expected: u64, len: usize) -> Result<(), BodyError> {
    let count = count.ok_or(BodyError::NotCanonical)?;
    if count != expected {
        return Err(BodyError::Count { expected, found: count });
    }
    if len == head_len(count) { Ok(()) } else { Err(BodyError::NotCanonical) }
}

/// How many bytes the shortest head with this argument has.
const fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}
