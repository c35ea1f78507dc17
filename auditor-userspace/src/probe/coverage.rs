use super::error::chain;
use super::host;
use aya::{
    Btf, Ebpf,
    programs::{CgroupAttachMode, Program, ProgramError, links::FdLink},
};
use std::fs::{self, File};

/// Which hooks work, in the order of the programs' list; always all of them.
pub type Coverage = Vec<HookStatus>;

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStatus {
    /// Its name: the program's and the attach point's.
    pub name: &'static str,
    /// First Linux that has it.
    pub since: &'static str,
    /// What it tells.
    pub tells: Tells,
    /// How it is.
    pub state: HookState,
}

/// What a hook tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// Who goes where: without it the record is incomplete.
    Flows,
    /// How much a call moved.
    Bytes,
    /// What no ordinary Odoo does.
    Guards,
    /// What the other end is called.
    Names,
}

impl HookStatus {
    /// Loaded and attached.
    pub fn is_active(&self) -> bool {
        matches!(self.state, HookState::Active { .. })
    }

    /// The record is incomplete without it.
    pub fn is_required(&self) -> bool {
        self.tells == Tells::Flows
    }

    /// Why it is not.
    pub fn reason(&self) -> Option<&str> {
        match &self.state {
            HookState::Active { .. } => None,
            HookState::Unavailable { reason } => Some(reason),
            HookState::Detached => Some("no longer attached"),
        }
    }

    /// The kernel's own digest of the program; empty if it is not loaded.
    pub fn tag(&self) -> Vec<u8> {
        match &self.state {
            HookState::Active { tag } => tag.to_vec(),
            HookState::Unavailable { .. } | HookState::Detached => Vec::new(),
        }
    }
}

/// How a hook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookState {
    /// Loaded and attached.
    Active {
        /// The kernel's own digest of the program.
        tag: [u8; 8],
    },
    /// This kernel did not take it.
    Unavailable {
        /// What it said, in one line.
        reason: String,
    },
    /// It was attached, and is not any more.
    Detached,
}

struct Kind {
    name: &'static str,
    since: &'static str,
    tells: Tells,
}

const fn kind(name: &'static str, since: &'static str, tells: Tells) -> Kind {
    Kind { name, since, tells }
}

/// In the order in which they are attached: who is watched first, so that nobody is without a lineage.
const KINDS: [Kind; 16] = [
    kind("sched_process_exit", "5.5", Tells::Flows),
    kind("sched_process_fork", "5.5", Tells::Flows),
    kind("sched_process_exec", "5.5", Tells::Flows),
    kind("sock_release", "5.9", Tells::Flows),
    kind("inet_sock_set_state", "5.5", Tells::Flows),
    kind("sock_create", "4.10", Tells::Flows),
    kind("connect4", "4.17", Tells::Flows),
    kind("connect6", "4.17", Tells::Flows),
    kind("sendmsg4", "4.18", Tells::Flows),
    kind("sendmsg6", "4.18", Tells::Flows),
    kind("sock_send_length", "6.3", Tells::Bytes),
    kind("sock_recv_length", "6.3", Tells::Bytes),
    kind("socket_post_create", "5.7", Tells::Guards),
    kind("ptrace_access_check", "5.15", Tells::Guards),
    kind("skb_ingress", "5.8", Tells::Names),
    kind("skb_egress", "5.8", Tells::Names),
];

/// A hook that was tried.
pub(super) struct Hook {
    kind: &'static Kind,
    attached: Result<Attached, String>,
}

struct Attached {
    tag: [u8; 8],
    /// What the kernel says about the link's descriptor.
    fdinfo: String,
    /// Attached as long as this is open.
    _link: FdLink,
}

/// Loads and attaches each by itself.
pub(super) fn attach_all(ebpf: &mut Ebpf, btf: &Btf, cgroup: &File, lengths: bool) -> Vec<Hook> {
    KINDS
        .iter()
        .map(|kind| {
            let possible = match kind.tells {
                Tells::Guards => host::asks_programs(),
                Tells::Bytes if !lengths => Err("this kernel does not say how much a call moved".to_owned()),
                _ => Ok(()),
            };
            Hook { kind, attached: possible.and_then(|()| attach(ebpf, kind, btf, cgroup)) }
        })
        .collect()
}

fn attach(ebpf: &mut Ebpf, kind: &Kind, btf: &Btf, cgroup: &File) -> Result<Attached, String> {
    let program = ebpf.program_mut(kind.name).ok_or("the object has no such program")?;
    load(program, kind.name, btf).map_err(|error| refusal(&error))?;
    let link = link(program, cgroup).map_err(|error| refusal(&error))?;
    let tag = program.info().map_err(|error| refusal(&error))?.tag().to_be_bytes();
    let id = link.info().map_err(|error| chain(&error))?.id();
    let fdinfo = fdinfo_of(id).ok_or("its link has no descriptor")?;
    Ok(Attached { tag, fdinfo, _link: link })
}

fn load(program: &mut Program, name: &str, btf: &Btf) -> Result<(), ProgramError> {
    match program {
        Program::CgroupSockAddr(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::BtfTracePoint(program) => program.load(name, btf),
        Program::Lsm(program) => program.load(name, btf),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// `Single` is no flags at all. With links there may be several programs all the same, and other modes are refused.
fn link(program: &mut Program, cgroup: &File) -> Result<FdLink, ProgramError> {
    const MODE: CgroupAttachMode = CgroupAttachMode::Single;
    let link = match program {
        Program::CgroupSockAddr(program) => {
            let id = program.attach(cgroup, MODE)?;
            program.take_link(id)?.try_into()
        }
        Program::CgroupSock(program) => {
            let id = program.attach(cgroup, MODE)?;
            program.take_link(id)?.try_into()
        }
        Program::CgroupSkb(program) => {
            let way = program.expected_attach_type().ok_or(ProgramError::UnexpectedProgramType)?;
            let id = program.attach(cgroup, way, MODE)?;
            program.take_link(id)?.try_into()
        }
        Program::BtfTracePoint(program) => {
            let id = program.attach()?;
            return Ok(program.take_link(id)?.into());
        }
        Program::Lsm(program) => {
            let id = program.attach()?;
            return Ok(program.take_link(id)?.into());
        }
        _ => return Err(ProgramError::UnexpectedProgramType),
    };
    link.map_err(|_| ProgramError::UnexpectedProgramType)
}

/// What the kernel said, without the verifier's diary: of that, the last line that is no statistics.
fn refusal(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return chain(error) };
    let log = verifier_log.to_string();
    format!("{io_error}: {}", complaint(&log))
}

fn complaint(log: &str) -> &str {
    const STATISTICS: &[&str] = &["processed ", "verification time ", "stack depth "];
    let says_something =
        |line: &&str| !line.trim().is_empty() && !STATISTICS.iter().any(|words| line.starts_with(words));
    log.lines().rfind(says_something).unwrap_or_default()
}

impl Hook {
    pub(super) fn is_active(&self) -> bool {
        self.attached.is_ok()
    }

    pub(super) fn tells(&self) -> Tells {
        self.kind.tells
    }

    /// How it is; `look` again whether it is still attached.
    pub(super) fn status(&self, look: bool) -> HookStatus {
        let state = match &self.attached {
            Ok(attached) if look && !is_attached(&attached.fdinfo) => HookState::Detached,
            Ok(attached) => HookState::Active { tag: attached.tag },
            Err(reason) => HookState::Unavailable { reason: reason.clone() },
        };
        let Kind { name, since, tells } = *self.kind;
        HookStatus { name, since, tells, state }
    }
}

/// A link can be cut by whoever has a descriptor of it, and a cgroup's goes with the cgroup: its id is zero then [1].
/// A link of a tracepoint lives as long as its descriptor.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/cgroup.c, `bpf_cgroup_link_show_fdinfo`
fn is_attached(fdinfo: &str) -> bool {
    fs::read_to_string(fdinfo)
        .is_ok_and(|text| field(&text, "link_id").is_some() && field(&text, "cgroup_id") != Some(0))
}

/// aya keeps the descriptor to itself; the kernel says which of ours it is.
fn fdinfo_of(link_id: u32) -> Option<String> {
    fs::read_dir("/proc/self/fdinfo").ok()?.flatten().find_map(|entry| {
        let path = entry.path().to_str()?.to_owned();
        let text = fs::read_to_string(&path).ok()?;
        (field(&text, "link_id") == Some(u64::from(link_id))).then_some(path)
    })
}

fn field(fdinfo: &str, name: &str) -> Option<u64> {
    fdinfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_complaint_stands_above_the_statistics() {
        let log = "0: R1=ctx()\ncombined stack size of 3 calls is 544. Too large\nverification time 1 usec\n\
                   stack depth 264+208\nprocessed 9 insns (limit 1000000)\n\n";
        assert_eq!(complaint(log), "combined stack size of 3 calls is 544. Too large");
        assert_eq!(complaint(""), "");
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "pos:\t0\nlink_type:\tcgroup\nlink_id:\t7\nprog_tag:\tabc\ncgroup_id:\t0\n";
        assert_eq!(field(text, "link_id"), Some(7));
        assert_eq!(field(text, "cgroup_id"), Some(0));
        assert_eq!(field(text, "cgroup"), None);
        assert_eq!(field("", "link_id"), None);
    }
}
