//! An address and a port, in one form for IPv4 and IPv6.

/// One end of a flow. Aligned like the rest of an event, so that the kernel half moves and compares it in words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Network order. IPv4 is `::ffff:a.b.c.d`, so that one form serves both.
    pub address: [u8; 16],
    /// Host order. Zero where the protocol has none, or where it is not known yet.
    pub port: u16,
    /// Always zero: no byte of an event is left to chance.
    pub _pad: [u8; 6],
}

const _: () = assert!(size_of::<Endpoint>() == 24, "layout is an agreement: see FORMAT.md");

/// The first twelve bytes of an IPv4 address written as IPv6 (RFC 4291 section 2.5.5.2).
pub const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

impl Endpoint {
    /// An IPv6 endpoint, or an IPv4 one that is already in mapped form.
    #[must_use]
    pub const fn v6(address: [u8; 16], port: u16) -> Self {
        Self { address, port, _pad: [0; 6] }
    }

    /// An IPv4 endpoint in mapped form.
    #[must_use]
    pub const fn v4(a: [u8; 4], port: u16) -> Self {
        Self::v6([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a[0], a[1], a[2], a[3]], port)
    }

    /// The address proper: four bytes for IPv4, sixteen for IPv6.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        if self.address[..12] == MAPPED { &self.address[12..] } else { &self.address }
    }
}
