//! The rules, as data.

/// A token that may stand in few places only.
#[derive(Debug)]
pub struct Door {
    /// What is looked for, in code and not in comments.
    pub token: &'static str,
    /// Where the rule holds: prefixes of paths.
    pub within: &'static [&'static str],
    /// Where it may stand: prefixes of paths.
    pub allowed: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

const USER: &[&str] = &["auditor-userspace/src/"];
const COMMON: &[&str] = &["auditor-common/src/"];
const CORE: &[&str] = &["odoo_addon/mit_network_audit/core/"];
const ADDON: &[&str] = &["odoo_addon/mit_network_audit/"];
const SERVE: &[&str] = &["auditor-userspace/src/serve", "auditor-userspace/src/client"];
/// The stages that are told everything: no clock, file, socket, kernel or store in them.
const PURE: &[&str] = &[
    "auditor-userspace/src/decode",
    "auditor-userspace/src/flow",
    "auditor-userspace/src/evidence",
    "auditor-userspace/src/chain",
    "auditor-userspace/src/report",
    "auditor-userspace/src/catalogue",
    "auditor-userspace/src/completeness",
];

/// Who may use what.
pub const DOORS: &[Door] = &[
    Door {
        token: "aya::",
        within: &["auditor-userspace/src/", "auditor-common/src/"],
        allowed: &["auditor-userspace/src/ring", "auditor-userspace/src/probe"],
        reason: "only ring and probe know the kernel's side",
    },
    Door {
        token: "redb::",
        within: &["auditor-userspace/src/", "auditor-common/src/"],
        // The verifier reads the same files by itself: it must not trust the code that wrote them.
        allowed: &["auditor-userspace/src/store", "auditor-userspace/src/verify/"],
        reason: "only the store knows how it is stored",
    },
    Door {
        token: "tokio::",
        within: &["auditor-userspace/src/", "auditor-common/"],
        allowed: &[
            "auditor-userspace/src/serve",
            "auditor-userspace/src/client",
            "auditor-userspace/src/pipeline.rs",
            "auditor-userspace/src/command/run.rs",
        ],
        reason: "the stages are one thread; only the local API serves many, and pipeline.rs wires the two",
    },
    Door { token: "axum::", within: USER, allowed: SERVE, reason: "only the local API speaks HTTP" },
    Door { token: "hyper::", within: USER, allowed: SERVE, reason: "only the local API speaks HTTP" },
    Door {
        token: "SystemTime::now",
        within: &["auditor-userspace/src/", "auditor-common/src/"],
        allowed: &["auditor-userspace/src/clock.rs"],
        reason: "clocks are read in one place, and time is an argument",
    },
    Door {
        token: "Instant::now",
        within: &["auditor-userspace/src/", "auditor-common/src/"],
        allowed: &["auditor-userspace/src/clock.rs"],
        reason: "clocks are read in one place, and time is an argument",
    },
    Door {
        token: "clock_gettime",
        within: &["auditor-userspace/src/", "auditor-common/src/"],
        allowed: &["auditor-userspace/src/clock.rs"],
        reason: "clocks are read in one place, and time is an argument",
    },
    Door { token: "std::fs", within: PURE, allowed: &[], reason: "a pure stage touches no files" },
    Door { token: "std::net::Tcp", within: PURE, allowed: &[], reason: "a pure stage touches no sockets" },
    Door {
        token: "serde",
        within: PURE,
        // The catalogue is a file that people write, and the report is what people are shown.
        allowed: &["auditor-userspace/src/catalogue", "auditor-userspace/src/report"],
        reason: "what is served is not what is sealed",
    },
    Door {
        token: "std::fs",
        within: COMMON,
        allowed: &["auditor-common/src/bin/"],
        reason: "only the verifier's binary reads a file",
    },
    Door {
        token: "serde",
        within: COMMON,
        allowed: &["auditor-common/src/bin/"],
        reason: "formats here are ours, to the byte",
    },
    Door { token: "import odoo", within: CORE, allowed: &[], reason: "the core runs without Odoo" },
    Door { token: "from odoo", within: CORE, allowed: &[], reason: "the core runs without Odoo" },
    Door {
        token: "socket.socket(",
        within: ADDON,
        allowed: &["odoo_addon/mit_network_audit/core/client.py"],
        reason: "core/client.py is the addon's only socket code",
    },
    Door {
        token: "import requests",
        within: ADDON,
        allowed: &[],
        reason: "the addon talks to its daemon and to nobody else",
    },
];

/// What stands nowhere, in code or in text.
pub const NOWHERE: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "it is done, or it is an issue"),
    (concat!("FIX", "ME"), "it is done, or it is an issue"),
    (concat!("#[ig", "nore"), "a test runs, or says at run time why it cannot"),
    (concat!("unimple", "mented!("), "real, or not there"),
    (concat!("/wo", "rk/"), "it is a path of one machine"),
    (concat!("/ro", "ot/"), "it is a path of one machine"),
    (concat!("/ho", "me/"), "it is a path of one machine"),
    (concat!("deb.deb", "ian.org"), "the machine's own sources say where packages are"),
    (concat!("py", "pi.org"), "the machine's own settings say where packages are"),
    (concat!("crates", ".io"), "the machine's own settings say where packages are"),
];

/// More than a noun needs.
pub const MAX_LINES: usize = 500;

/// Tests are rows of data: what is long is the list of cases.
pub const MAX_TEST_LINES: usize = 800;

/// Longer ones that were looked at, and why they are as they are.
pub const LONG_FILES: &[(&str, &str)] = &[(
    "auditor-userspace/src/store/open.rs",
    "one sequence: every way in which a store can be found, and what is done then",
)];
