use super::{Attribution, Process, Sample};
use crate::event::guarded;

/// Something that no ordinary Odoo does.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guarded {
    /// A raw socket of an Internet family.
    RawSocket = guarded::RAW_SOCKET as u8,
    /// A packet socket.
    PacketSocket = guarded::PACKET_SOCKET as u8,
    /// A descriptor taken out of another process (`pidfd_getfd`).
    StolenDescriptor = guarded::STOLEN_DESCRIPTOR as u8,
    /// Another process held as a debugger does: `ptrace`, `process_vm_readv`, `/proc/PID/mem`.
    Ptrace = guarded::PTRACE as u8,
}

impl Guarded {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::RawSocket, Self::PacketSocket, Self::StolenDescriptor, Self::Ptrace];

    /// The one with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|it| *it as u16 == number)
    }

    /// As a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RawSocket => "raw_socket",
            Self::PacketSocket => "packet_socket",
            Self::StolenDescriptor => "stolen_descriptor",
            Self::Ptrace => "ptrace",
        }
    }
}

/// An audited process did what no ordinary Odoo does (EVENT, class 6). About a socket, or about another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Keys 1–3.
    pub sample: Sample,
    /// Key 4.
    pub what: Guarded,
    /// Key 5. The socket's family: `AF_INET` 2, `AF_INET6` 10, `AF_PACKET` 17.
    pub family: Option<u16>,
    /// Key 6. IP protocol number of a raw socket.
    pub protocol: Option<u16>,
    /// Key 7. Socket cookie.
    pub cookie: Option<u64>,
    /// Key 8. Inode number of the socket's network namespace.
    pub netns: Option<u32>,
    /// Key 9. The socket was there before the auditor, or came from elsewhere.
    pub opened_before: bool,
    /// Key 10. The other process.
    pub target: Option<Process>,
    /// Key 11. Who did it.
    pub process: Process,
    /// Key 12. Whose it was.
    pub attribution: Attribution,
    /// Key 13. Which Odoo.
    pub instance: String,
}
