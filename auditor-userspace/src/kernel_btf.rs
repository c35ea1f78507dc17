//! What this kernel's structures look like, from `/sys/kernel/btf/vmlinux`: CO-RE's job, done in user space before the
//! programs are loaded.
//!
//! The format is the kernel's `Documentation/bpf/btf.rst` [1]. The parser takes any bytes.
//!
//! [1]: https://github.com/torvalds/linux/blob/v6.12/Documentation/bpf/btf.rst

use auditor_common::maps::Offsets;
use std::collections::{HashMap, HashSet};
use std::{io, path::Path};

/// Where the running kernel describes itself (CONFIG_DEBUG_INFO_BTF).
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Why a kernel's description does not do.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// There is none.
    #[error("cannot read {path}: {source}; the kernel must be built with CONFIG_DEBUG_INFO_BTF=y")]
    Unreadable {
        /// The file.
        path: String,
        /// What reading it said.
        source: io::Error,
    },
    /// Not BTF, or cut, or of an unknown kind.
    #[error("the kernel's BTF is damaged at byte {at}: {what}")]
    Damaged {
        /// Offset in the file.
        at: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// A field that the programs read does not exist in this kernel.
    #[error("{structure}.{field} is not in this kernel's BTF; this kernel is not supported")]
    MissingField {
        /// Name of the structure.
        structure: &'static str,
        /// Path of the field in it.
        field: &'static str,
    },
}

/// Kinds of types, `BTF_KIND_*`.
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const PTR: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// How deep anonymous structures and chains of modifiers may nest: more than any kernel has, and an end for a circle.
const DEPTH: usize = 32;

/// A kernel's description of its types.
pub struct KernelBtf {
    bytes: Vec<u8>,
    strings: usize,
    /// Byte position of each type, by id. Id 0 is `void`.
    positions: Vec<usize>,
    structures: HashMap<String, Vec<u32>>,
}

impl KernelBtf {
    /// Reads the description in a file, [`VMLINUX`] as a rule.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let bytes =
            std::fs::read(path).map_err(|source| BtfError::Unreadable { path: path.display().to_string(), source })?;
        Self::parse(bytes)
    }

    /// Takes any bytes.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        let mut btf = Self { bytes, strings: 0, positions: vec![0], structures: HashMap::new() };
        if btf.bytes.get(..2) != Some(&0xeb9f_u16.to_ne_bytes()) {
            return Err(BtfError::Damaged { at: 0, what: "the magic number" });
        }
        let header = btf.header(4)?;
        let types = header.saturating_add(btf.header(8)?);
        let end = types.saturating_add(btf.header(12)?);
        btf.strings = header.saturating_add(btf.header(16)?);
        let mut at = types;
        while at < end {
            let (kind, members) = btf.shape(at).ok_or(BtfError::Damaged { at, what: "a type" })?;
            let id = btf.positions.len() as u32;
            btf.positions.push(at);
            if kind == kind::STRUCT
                && let Some(name) = btf.name(at)
                && !name.is_empty()
            {
                let name = name.to_owned();
                btf.structures.entry(name).or_default().push(id);
            }
            at += 12 + trailer(kind, members).ok_or(BtfError::Damaged { at, what: "a known kind of type" })?;
        }
        Ok(btf)
    }

    fn header(&self, at: usize) -> Result<usize, BtfError> {
        self.word(at).map(|word| word as usize).ok_or(BtfError::Damaged { at, what: "the header" })
    }

    fn word(&self, at: usize) -> Option<u32> {
        let four = self.bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_ne_bytes(four.try_into().ok()?))
    }

    /// Kind and number of members of the type at this position.
    fn shape(&self, at: usize) -> Option<(u32, usize)> {
        let info = self.word(at + 4)?;
        self.word(at + 8)?;
        Some(((info >> 24) & 31, (info & 0xffff) as usize))
    }

    /// The string whose offset is at this position.
    fn name(&self, at: usize) -> Option<&str> {
        let rest = self.bytes.get(self.strings.checked_add(self.word(at)? as usize)?..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(&rest[..end]).ok()
    }

    /// Position of a type behind its typedefs and modifiers.
    fn resolve(&self, mut id: u32) -> Option<usize> {
        for _ in 0..DEPTH {
            let at = *self.positions.get(id as usize)?;
            let (kind, _) = self.shape(at)?;
            if !matches!(kind, kind::TYPEDEF..=kind::RESTRICT | kind::TYPE_TAG) {
                return Some(at);
            }
            id = self.word(at + 8)?;
        }
        None
    }

    /// Bits from the beginning of type `id` to `member`, and the member's type.
    fn member(&self, id: u32, member: &str) -> Option<(u32, u32)> {
        self.member_beyond(id, member, DEPTH, &mut HashSet::new())
    }

    /// The same, into so many anonymous members of anonymous members; `seen` are those that do not have it. Each is looked
    /// into once: in damaged BTF one may hold itself, and many times over.
    fn member_beyond(&self, id: u32, member: &str, depth: usize, seen: &mut HashSet<usize>) -> Option<(u32, u32)> {
        let at = self.resolve(id)?;
        let (kind, members) = self.shape(at)?;
        if depth == 0 || (kind != kind::STRUCT && kind != kind::UNION) || !seen.insert(at) {
            return None;
        }
        let bitfields = self.word(at + 4)? >> 31 == 1;
        (0..members).find_map(|index| {
            let place = at + 12 + 12 * index;
            let (type_id, offset) = (self.word(place + 4)?, self.word(place + 8)?);
            let offset = if bitfields { offset & 0x00ff_ffff } else { offset };
            match self.name(place)? {
                "" => {
                    let (inner, type_id) = self.member_beyond(type_id, member, depth - 1, seen)?;
                    Some((offset.checked_add(inner)?, type_id))
                }
                name => (name == member).then_some((offset, type_id)),
            }
        })
    }

    /// Byte offset of `a.b.c` in a structure. Of several structures of one name, the first that has the whole path.
    pub fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        self.structures.get(structure)?.iter().find_map(|&id| {
            let mut bits = 0_u32;
            let mut id = id;
            for part in path.split('.') {
                let (offset, type_id) = self.member(id, part)?;
                bits = bits.checked_add(offset)?;
                id = type_id;
            }
            Some(bits / 8)
        })
    }

    /// Size of a structure in bytes.
    pub fn size(&self, structure: &str) -> Option<u32> {
        let id = *self.structures.get(structure)?.first()?;
        self.word(*self.positions.get(id as usize)? + 8)
    }

    /// Whether this kernel has a tracepoint that BTF programs can be attached to.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        let wanted = format!("btf_trace_{name}");
        self.positions
            .iter()
            .skip(1)
            .any(|&at| self.shape(at).is_some_and(|(kind, _)| kind == kind::TYPEDEF) && self.name(at) == Some(&wanted))
    }

    /// Everything that the programs read.
    pub fn offsets(&self) -> Result<Offsets, BtfError> {
        let at = |structure: &'static str, field: &'static str| {
            self.offset(structure, field).ok_or(BtfError::MissingField { structure, field })
        };
        Ok(Offsets {
            sock_family: at("sock", "__sk_common.skc_family")?,
            sock_state: at("sock", "__sk_common.skc_state")?,
            sock_remote_v4: at("sock", "__sk_common.skc_daddr")?,
            sock_local_v4: at("sock", "__sk_common.skc_rcv_saddr")?,
            sock_remote_v6: at("sock", "__sk_common.skc_v6_daddr")?,
            sock_local_v6: at("sock", "__sk_common.skc_v6_rcv_saddr")?,
            sock_remote_port: at("sock", "__sk_common.skc_dport")?,
            sock_local_port: at("sock", "__sk_common.skc_num")?,
            sock_net: at("sock", "__sk_common.skc_net.net")?,
            sock_cookie: at("sock", "__sk_common.skc_cookie")?,
            sock_flags: at("sock", "__sk_common.skc_flags")?,
            sock_protocol: at("sock", "sk_protocol")?,
            sock_type: at("sock", "sk_type")?,
            sock_error: at("sock", "sk_err")?,
            sock_socket: at("sock", "sk_socket")?,
            net_inode: at("net", "ns.inum")?,
            tcp_sent: at("tcp_sock", "bytes_sent")?,
            tcp_resent: at("tcp_sock", "bytes_retrans")?,
            tcp_received: at("tcp_sock", "bytes_received")?,
            sock_addr_sock: at("bpf_sock_addr_kern", "sk")?,
            task_tid: at("task_struct", "pid")?,
            task_tgid: at("task_struct", "tgid")?,
            task_leader: at("task_struct", "group_leader")?,
            task_start: at("task_struct", "start_boottime")?,
            task_signal: at("task_struct", "signal")?,
            task_exit_code: at("task_struct", "exit_code")?,
            task_pid: at("task_struct", "thread_pid")?,
            binprm_filename: at("linux_binprm", "filename")?,
            binprm_arguments: at("linux_binprm", "argc")?,
            signal_live: at("signal_struct", "live")?,
            signal_flags: at("signal_struct", "flags")?,
            signal_exit_code: at("signal_struct", "group_exit_code")?,
            pid_level: at("pid", "level")?,
            pid_numbers: at("pid", "numbers")?,
            upid_number: at("upid", "nr")?,
            upid_size: self.size("upid").ok_or(BtfError::MissingField { structure: "upid", field: "(its size)" })?,
            socket_sock: at("socket", "sk")?,
            registers_call: self
                .offset("pt_regs", "orig_ax")
                .or_else(|| self.offset("pt_regs", "syscallno"))
                .unwrap_or(u32::MAX),
        })
    }
}

/// How many bytes follow the common twelve of a type.
fn trailer(kind: u32, members: usize) -> Option<usize> {
    Some(match kind {
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12 * members,
        kind::ENUM | kind::FUNC_PROTO => 8 * members,
        kind::PTR..=kind::TYPE_TAG => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRINGS: &[u8] = b"\0outer\0a\0b\0d\0int\0upid\0btf_trace_x\0";

    fn string(name: &str) -> u32 {
        let needle = [name.as_bytes(), &[0]].concat();
        STRINGS.windows(needle.len()).position(|window| window == needle).unwrap() as u32
    }

    fn info(kind: u32, members: u32) -> u32 {
        kind << 24 | members
    }

    fn description(types: &[Vec<u32>]) -> Vec<u8> {
        let types: Vec<u8> = types.concat().iter().flat_map(|word| word.to_ne_bytes()).collect();
        let header = [24, 0, types.len() as u32, types.len() as u32, STRINGS.len() as u32];
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend(header.iter().flat_map(|word| word.to_ne_bytes()));
        bytes.extend(types);
        bytes.extend(STRINGS);
        bytes
    }

    /// `struct outer { int a; union { char b; struct { int c; int d; }; }; }`, by hand.
    fn small() -> Vec<u8> {
        let at = string;
        description(&[
            vec![at("int"), info(kind::INT, 0), 4, 32],                            // 1
            vec![0, info(kind::STRUCT, 2), 8, at("a"), 1, 0, at("d"), 1, 32],      // 2
            vec![0, info(kind::UNION, 2), 8, at("b"), 1, 0, 0, 2, 0],              // 3
            vec![at("outer"), info(kind::STRUCT, 2), 12, at("a"), 1, 0, 0, 3, 32], // 4
            vec![at("btf_trace_x"), info(kind::TYPEDEF, 0), 1],                    // 5
        ])
    }

    #[test]
    fn a_field_of_an_anonymous_member_is_found() {
        let btf = KernelBtf::parse(small()).unwrap();
        assert_eq!(btf.offset("outer", "a"), Some(0));
        assert_eq!(btf.offset("outer", "b"), Some(4));
        assert_eq!(btf.offset("outer", "d"), Some(8));
        assert_eq!(btf.offset("outer", "e"), None);
        assert_eq!(btf.offset("inner", "a"), None);
        assert_eq!(btf.size("outer"), Some(12));
        assert!(btf.has_tracepoint("x") && !btf.has_tracepoint("y"));
    }

    #[test]
    fn a_structure_that_holds_itself_twice_comes_to_an_end() {
        let outer = vec![string("outer"), info(kind::STRUCT, 3), 8, 0, 1, 0, 0, 1, 0, string("b"), 2, 32];
        let btf = KernelBtf::parse(description(&[outer, vec![string("int"), info(kind::INT, 0), 4, 32]])).unwrap();
        assert_eq!((btf.offset("outer", "a"), btf.offset("outer", "b")), (None, Some(4)));
    }

    #[test]
    fn a_missing_field_is_named() {
        let error = KernelBtf::parse(small()).unwrap().offsets().unwrap_err();
        assert_eq!(
            error.to_string(),
            "sock.__sk_common.skc_family is not in this kernel's BTF; this kernel is not supported"
        );
    }

    #[test]
    fn cut_and_bent_bytes_are_no_panic() {
        let whole = small();
        for length in 0..whole.len() {
            let _ = KernelBtf::parse(whole[..length].to_vec()).map(|btf| btf.offset("outer", "d"));
        }
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bent = whole.clone();
                bent[at] ^= 1 << bit;
                let _ = KernelBtf::parse(bent).map(|btf| (btf.offset("outer", "d"), btf.size("outer")));
            }
        }
    }
}
