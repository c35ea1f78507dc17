//! Bytes of the ring to an [`Event`]. Pure, and total: any bytes give an event or the reason why not.

use auditor_common::{
    endpoint::Endpoint,
    event::{
        Closed, Connect, Established, Exec, Exit, Fork, Guard, HEAD_MAX, Header, LAYOUT, PacketHead, SocketKey, kind,
    },
};

/// What the kernel noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A `connect()`, before it is tried.
    Connect(Connect),
    /// The first datagram to a destination.
    Datagram(Connect),
    /// A TCP connection came to be.
    Established(Established),
    /// A TCP socket reached CLOSE.
    Closed(Closed),
    /// Another socket was released.
    Released(Closed),
    /// The first use of a socket that nothing earlier explains.
    FirstUse(Established),
    /// An audited process listens.
    Listen(Established),
    /// An audited process has a child.
    Fork(Fork),
    /// A process became another program.
    Exec(Exec),
    /// A process ended.
    Exit(Exit),
    /// A process did what no ordinary Odoo does.
    Guard(Guard),
    /// How an answer to a name look-up begins.
    Answer(Box<PacketHead>),
    /// How a TLS handshake begins.
    Hello(Box<PacketHead>),
}

impl Event {
    /// Takes the number away from an event: it came after the seal that counted it as lost.
    pub fn forget_number(&mut self) {
        let header = match self {
            Self::Connect(event) | Self::Datagram(event) => &mut event.header,
            Self::Established(event) | Self::FirstUse(event) | Self::Listen(event) => &mut event.header,
            Self::Closed(event) | Self::Released(event) => &mut event.header,
            Self::Fork(event) => &mut event.header,
            Self::Exec(event) => &mut event.header,
            Self::Exit(event) => &mut event.header,
            Self::Guard(event) => &mut event.header,
            Self::Answer(event) | Self::Hello(event) => &mut event.header,
        };
        header.kseq = 0;
    }

    /// Who and when.
    pub fn header(&self) -> &Header {
        match self {
            Self::Connect(event) | Self::Datagram(event) => &event.header,
            Self::Established(event) | Self::FirstUse(event) | Self::Listen(event) => &event.header,
            Self::Closed(event) | Self::Released(event) => &event.header,
            Self::Fork(event) => &event.header,
            Self::Exec(event) => &event.header,
            Self::Exit(event) => &event.header,
            Self::Guard(event) => &event.header,
            Self::Answer(event) | Self::Hello(event) => &event.header,
        }
    }
}

/// Why bytes are not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than this kind has.
    #[error("a sample of kind {kind} with {length} bytes is too short")]
    Short {
        /// Its kind; zero if not even that is there.
        kind: u8,
        /// Bytes that are there.
        length: usize,
    },
    /// More bytes than this kind has.
    #[error("a sample of kind {kind} has {extra} bytes too many")]
    Long {
        /// Its kind.
        kind: u8,
        /// Bytes that are left over.
        extra: usize,
    },
    /// A kind that this version does not know.
    #[error("kind {0} is unknown to this version")]
    UnknownKind(u8),
    /// Another layout than this version's.
    #[error("layout {0} is not this version's; kernel half and daemon must be built together")]
    UnknownLayout(u8),
    /// Bytes that are always zero are not.
    #[error("a sample of kind {0} has bytes set that are always zero")]
    Padding(u8),
    /// It says that it has more bytes of a packet than there is room for.
    #[error("a sample of kind {0} has a length that it cannot have")]
    Length(u8),
}

/// Bytes, taken off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take().map(u8::from_ne_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }
}

/// Any bytes to an event, or the reason why not.
pub fn decode(sample: &[u8]) -> Result<Event, DecodeError> {
    let kind = *sample.first().ok_or(DecodeError::Short { kind: 0, length: 0 })?;
    let layout = *sample.get(1).ok_or(DecodeError::Short { kind, length: 1 })?;
    if layout != LAYOUT {
        return Err(DecodeError::UnknownLayout(layout));
    }
    let mut fields = Fields(sample);
    let (event, padding) = match kind {
        kind::CONNECT => connect(&mut fields).map(|(event, pad)| (Event::Connect(event), pad)),
        kind::DATAGRAM => connect(&mut fields).map(|(event, pad)| (Event::Datagram(event), pad)),
        kind::ESTABLISHED => established(&mut fields).map(|(event, pad)| (Event::Established(event), pad)),
        kind::CLOSED => closed(&mut fields).map(|event| (Event::Closed(event), 0)),
        kind::RELEASED => closed(&mut fields).map(|event| (Event::Released(event), 0)),
        kind::FIRST_USE => established(&mut fields).map(|(event, pad)| (Event::FirstUse(event), pad)),
        kind::LISTEN => established(&mut fields).map(|(event, pad)| (Event::Listen(event), pad)),
        kind::FORK => fork(&mut fields).map(|event| (Event::Fork(event), 0)),
        kind::EXEC => exec(&mut fields).map(|(event, pad)| (Event::Exec(event), pad)),
        kind::EXIT => exit(&mut fields).map(|(event, pad)| (Event::Exit(event), pad)),
        kind::GUARD => guard(&mut fields).map(|(event, pad)| (Event::Guard(event), pad)),
        kind::ANSWER => packet(&mut fields).map(|(event, pad)| (Event::Answer(event), pad)),
        kind::HELLO => packet(&mut fields).map(|(event, pad)| (Event::Hello(event), pad)),
        unknown => return Err(DecodeError::UnknownKind(unknown)),
    }
    .ok_or(DecodeError::Short { kind, length: sample.len() })?;
    if !fields.0.is_empty() {
        return Err(DecodeError::Long { kind, extra: fields.0.len() });
    }
    match &event {
        _ if padding != 0 => Err(DecodeError::Padding(kind)),
        Event::Answer(it) | Event::Hello(it) if usize::from(it.length) > HEAD_MAX => Err(DecodeError::Length(kind)),
        _ => Ok(event),
    }
}

fn header(fields: &mut Fields) -> Option<Header> {
    Some(Header {
        kind: fields.u8()?,
        layout: fields.u8()?,
        flags: fields.u16()?,
        cpu: fields.u32()?,
        kseq: fields.u64()?,
        boot_ns: fields.u64()?,
        process_start_ns: fields.u64()?,
        cgroup: fields.u64()?,
        tgid: fields.u32()?,
        tid: fields.u32()?,
    })
}

fn key(fields: &mut Fields) -> Option<SocketKey> {
    Some(SocketKey { cookie: fields.u64()?, generation: fields.u32()?, netns: fields.u32()? })
}

/// An endpoint, and its padding as a number.
fn endpoint(fields: &mut Fields) -> Option<(Endpoint, u64)> {
    let endpoint = Endpoint::v6(fields.take()?, fields.u16()?);
    Some((endpoint, six(fields)?))
}

/// Six bytes of padding as a number.
fn six(fields: &mut Fields) -> Option<u64> {
    Some(fields.take::<6>()?.iter().map(|&byte| u64::from(byte)).sum())
}

fn connect(fields: &mut Fields) -> Option<(Connect, u64)> {
    let (header, key) = (header(fields)?, key(fields)?);
    let (remote, padding) = endpoint(fields)?;
    let (protocol, family) = (fields.u16()?, fields.u16()?);
    let padding = padding + u64::from(fields.u32()?);
    let (previous_sent, previous_received) = (fields.u64()?, fields.u64()?);
    Some((Connect { header, key, remote, protocol, family, _pad: 0, previous_sent, previous_received }, padding))
}

fn established(fields: &mut Fields) -> Option<(Established, u64)> {
    let (header, key) = (header(fields)?, key(fields)?);
    let ((local, first), (remote, second)) = (endpoint(fields)?, endpoint(fields)?);
    let (protocol, family) = (fields.u16()?, fields.u16()?);
    let padding = first + second + u64::from(fields.u32()?);
    Some((Established { header, key, local, remote, protocol, family, _pad: 0 }, padding))
}

fn closed(fields: &mut Fields) -> Option<Closed> {
    Some(Closed {
        header: header(fields)?,
        key: key(fields)?,
        sent: fields.u64()?,
        received: fields.u64()?,
        error: fields.u32()?,
        state_before: fields.u16()?,
        protocol: fields.u16()?,
    })
}

fn fork(fields: &mut Fields) -> Option<Fork> {
    Some(Fork {
        header: header(fields)?,
        child_start_ns: fields.u64()?,
        child_tgid: fields.u32()?,
        parent_ns_tid: fields.u32()?,
    })
}

fn exec(fields: &mut Fields) -> Option<(Exec, u64)> {
    let event = Exec {
        header: header(fields)?,
        comm: fields.take()?,
        filename: fields.take()?,
        arguments: fields.u32()?,
        _pad: 0,
    };
    Some((event, u64::from(fields.u32()?)))
}

/// What is behind the content's end is padding.
fn packet(fields: &mut Fields) -> Option<(Box<PacketHead>, u64)> {
    let (header, key) = (header(fields)?, key(fields)?);
    let (remote, padding) = endpoint(fields)?;
    let (protocol, length) = (fields.u16()?, fields.u16()?);
    let padding = padding + u64::from(fields.u32()?);
    let bytes: [u8; HEAD_MAX] = fields.take()?;
    let behind = bytes.iter().skip(length.into()).map(|&byte| u64::from(byte)).sum::<u64>();
    Some((Box::new(PacketHead { header, key, remote, protocol, length, _pad: 0, bytes }), padding + behind))
}

fn exit(fields: &mut Fields) -> Option<(Exit, u64)> {
    let event = Exit { header: header(fields)?, code: fields.u32()?, _pad: 0 };
    Some((event, u64::from(fields.u32()?)))
}

fn guard(fields: &mut Fields) -> Option<(Guard, u64)> {
    let event = Guard {
        header: header(fields)?,
        key: key(fields)?,
        target_start_ns: fields.u64()?,
        target_tgid: fields.u32()?,
        what: fields.u16()?,
        family: fields.u16()?,
        protocol: fields.u16()?,
        _pad: [0; 6],
    };
    Some((event, six(fields)?))
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, Event, decode};
    use auditor_common::{
        endpoint::Endpoint,
        event::{Header, SocketKey},
    };
    use serde_json::{Map, Value, json};

    const GOLDEN: &str = include_str!("../../tests/vectors/events.txt");

    fn lines() -> impl Iterator<Item = (&'static str, Vec<u8>, Value)> {
        GOLDEN.lines().skip(1).map(|line| {
            let [name, hex, meaning] = line.splitn(3, " | ").collect::<Vec<_>>()[..] else { panic!("{line}") };
            let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
            (name, bytes.collect(), serde_json::from_str(meaning).unwrap())
        })
    }

    #[test]
    fn every_line_of_the_golden_means_what_it_says() {
        for (name, bytes, meaning) in lines() {
            let found = match decode(&bytes) {
                Ok(event) => fields(&event),
                Err(error) => json!({"refused": word(error)}),
            };
            assert_eq!(found, meaning, "{name}");
        }
    }

    #[test]
    fn any_cut_of_an_event_is_short() {
        for (name, bytes, meaning) in lines().filter(|(_, _, meaning)| meaning.get("refused").is_none()) {
            assert!(decode(&bytes).is_ok(), "{name} {meaning}");
            for length in 2..bytes.len() {
                let kind = bytes[0];
                assert_eq!(decode(&bytes[..length]), Err(DecodeError::Short { kind, length }), "{name}");
            }
        }
    }

    #[test]
    fn bent_bits_are_no_panic() {
        for (_, bytes, _) in lines() {
            for at in 0..bytes.len() * 8 {
                let mut bent = bytes.clone();
                bent[at / 8] ^= 1 << (at % 8);
                let _ = decode(&bent);
            }
        }
    }

    fn word(error: DecodeError) -> &'static str {
        match error {
            DecodeError::Short { .. } => "short",
            DecodeError::Long { .. } => "long",
            DecodeError::UnknownKind(_) => "kind",
            DecodeError::UnknownLayout(_) => "layout",
            DecodeError::Padding(_) => "padding",
            DecodeError::Length(_) => "length",
        }
    }

    fn fields(event: &Event) -> Value {
        let more = match event {
            Event::Connect(it) | Event::Datagram(it) => [
                key(&it.key),
                json!({"remote": end(&it.remote), "protocol": it.protocol, "family": it.family}),
                json!({"previous_sent": it.previous_sent, "previous_received": it.previous_received}),
            ]
            .to_vec(),
            Event::Established(it) | Event::FirstUse(it) | Event::Listen(it) => [
                key(&it.key),
                json!({"local": end(&it.local), "remote": end(&it.remote)}),
                json!({"protocol": it.protocol, "family": it.family}),
            ]
            .to_vec(),
            Event::Closed(it) | Event::Released(it) => [
                key(&it.key),
                json!({"sent": it.sent, "received": it.received, "error": it.error}),
                json!({"state_before": it.state_before, "protocol": it.protocol}),
            ]
            .to_vec(),
            Event::Fork(it) => vec![json!({
                "child_start_ns": it.child_start_ns, "child_tgid": it.child_tgid, "parent_ns_tid": it.parent_ns_tid
            })],
            Event::Exec(it) => {
                vec![json!({"comm": text(&it.comm), "filename": text(&it.filename), "arguments": it.arguments})]
            }
            Event::Exit(it) => vec![json!({"code": it.code})],
            Event::Guard(it) => vec![
                key(&it.key),
                json!({"target_start_ns": it.target_start_ns, "target_tgid": it.target_tgid}),
                json!({"what": it.what, "family": it.family, "protocol": it.protocol}),
            ],
            Event::Answer(it) | Event::Hello(it) => {
                let content = auditor_common::note::hex(&it.bytes[..it.length.into()]);
                vec![
                    key(&it.key),
                    json!({"remote": end(&it.remote), "protocol": it.protocol, "length": it.length, "bytes": content}),
                ]
            }
        };
        let all = std::iter::once(header(event.header())).chain(more);
        let merged = all.flat_map(|part| part.as_object().cloned().unwrap_or_default());
        Value::Object(merged.collect::<Map<String, Value>>())
    }

    fn header(header: &Header) -> Value {
        let Header { kind, layout, flags, cpu, kseq, boot_ns, process_start_ns, cgroup, tgid, tid } = *header;
        json!({
            "kind": kind, "layout": layout, "flags": flags, "cpu": cpu, "kseq": kseq, "boot_ns": boot_ns,
            "process_start_ns": process_start_ns, "cgroup": cgroup, "tgid": tgid, "tid": tid
        })
    }

    fn key(key: &SocketKey) -> Value {
        json!({"cookie": key.cookie, "generation": key.generation, "netns": key.netns})
    }

    fn end(end: &Endpoint) -> Value {
        let hex: String = end.address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        json!([hex, end.port])
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
    }
}
