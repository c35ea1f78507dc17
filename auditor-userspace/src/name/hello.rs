//! The server's name in a TLS ClientHello (RFC 8446 section 4.1.2, RFC 6066 section 3).
//!
//! A handful of lengths, read by hand: a ClientHello may be larger than what is copied of it, and parsers of TLS want the
//! whole of it.

use auditor_common::event::PacketHead;
use domain::dep::octseq::Parser;

use super::{content, host};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Encrypted Client Hello: what stands outside is not the name of whom the client wants.
const ENCRYPTED: u16 = 0xfe0d;

/// The name; `None` if there is none, if it is encrypted, or if it stands behind the cut.
#[must_use]
pub fn read(event: &PacketHead) -> Option<String> {
    let handshake = handshake(content(event));
    let mut at = Parser::from_ref(&handshake[..]);
    if at.parse_u8().ok()? != CLIENT_HELLO {
        return None;
    }
    at.advance(3 + 2 + 32).ok()?; // its length, a version, a random number
    let session = at.parse_u8().ok()?;
    at.advance(session.into()).ok()?;
    let ciphers = at.parse_u16_be().ok()?;
    at.advance(ciphers.into()).ok()?;
    let compressions = at.parse_u8().ok()?;
    at.advance(compressions.into()).ok()?;
    at.advance(2).ok()?; // the length of all extensions
    let mut name = None;
    while let Some((kind, extension)) = extension(&mut at) {
        match kind {
            ENCRYPTED => return None,
            SERVER_NAME => name = server_name(extension),
            _ => {}
        }
    }
    name
}

/// The handshake's bytes, as far as they are here: it may lie in several records.
fn handshake(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let [HANDSHAKE, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        whole.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    whole
}

fn extension<'a>(at: &mut Parser<'a, [u8]>) -> Option<(u16, &'a [u8])> {
    let (kind, length) = (at.parse_u16_be().ok()?, at.parse_u16_be().ok()?);
    Some((kind, at.parse_octets(length.into()).ok()?))
}

fn server_name(extension: &[u8]) -> Option<String> {
    let mut at = Parser::from_ref(extension);
    at.advance(2).ok()?; // the length of the list
    if at.parse_u8().ok()? != HOST_NAME {
        return None;
    }
    let length = at.parse_u16_be().ok()?;
    let name = at.parse_octets(length.into()).ok()?;
    host(name.split(|&byte| byte == b'.'))
}
