//! `proof.html` in a real browser: it says what the verifiers say, about what is whole and about what was changed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use auditor_common::body::{Body, Guard, Guarded, Sample};
use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_tests::bundle::Bundle;
use auditor_tests::ledger::{Ledger, at, flow_opened, options};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::{Request, html};
use auditor_userspace::store::Limits;

/// Four epochs, two instances.
fn ledger(dir: &Path) -> Ledger {
    let mut options = options(0);
    options.limits = Limits { epoch_ns: 20_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(dir, &options).unwrap();
    for _ in 0..60 {
        ledger.second(&[("alpha", 3), ("beta", 3)]);
    }
    ledger
}

macro_rules! browser_or_skip {
    () => {
        match xtask::odoo::setup::browser() {
            Ok(browser) => browser,
            Err(error) => return auditor_tests::skip(&format!("{error:#}")),
        }
    };
}

/// What the page looks like when its scripts have run.
fn seen(browser: &Path, page: &str, key: Option<&VerifierKey>) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proof.html");
    fs::write(&path, page).unwrap();
    let pinned = key.map_or(String::new(), |key| format!("#key={key}"));
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=120000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().join("profile").display()))
        .arg(format!("file://{}{pinned}", path.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check(browser: &Path, page: &str, key: Option<&VerifierKey>, verdict: &str, words: &[&str]) {
    let dom = seen(browser, page, key);
    let shown = dom.split("id=\"files\"").next().unwrap();
    let found = format!("data-verdict=\"{verdict}\"");
    assert!(shown.contains(&found), "no {found} in:\n{}", &shown[shown.find("<body").unwrap_or(0)..]);
    for word in words {
        assert!(shown.contains(word), "no {word} in:\n{}", &shown[shown.find("<body").unwrap_or(0)..]);
    }
}

#[test]
fn a_page_says_what_the_verifiers_say_and_a_changed_byte_is_violated() {
    let browser = browser_or_skip!();
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ledger(dir.path());
    let second = |second| Some(at(second).wall_ns);
    let whole = Request { html: true, nonce: Some(vec![0xAB; 16]), ..Request::default() };
    let slice = Request { from_wall_ns: second(30), to_wall_ns: second(50), ..whole.clone() };
    let excerpt = Request { instance: Some("beta".to_owned()), ..whole.clone() };
    let part = Request { instance: Some("beta".to_owned()), ..slice.clone() };
    let root = ledger.opened.root.clone();
    let mut both = Both::start().ok();
    for (request, expected) in [(&whole, "proven"), (&slice, "gaps"), (&excerpt, "proven"), (&part, "gaps")] {
        let bundle = Bundle::of(dir.path(), &mut ledger, request);
        if let Some(both) = &mut both {
            let heard = both.files(&bundle, &Brought::key(&root)).unwrap();
            let code = if expected == "proven" { exit::PROVEN } else { exit::GAPS };
            assert_eq!(heard.said.exit, code, "{}", heard.rust);
        }
        let page = String::from_utf8(bundle.0[html::PATH].clone()).unwrap();
        check(
            &browser,
            &page,
            Some(&root),
            expected,
            &["flow to 192.0.2.7:443 by odoo/4242", "ab".repeat(16).as_str()],
        );
    }
    let mut files = Bundle::of(dir.path(), &mut ledger, &whole).0;
    let page = html::page(&files).unwrap();
    check(&browser, &page, None, "unknown", &["a key that you know"]);
    let other = Ledger::open(tempfile::tempdir().unwrap().path(), &options(0)).unwrap().opened.root;
    check(&browser, &page, Some(&other), "unknown", &["another key than the one that you know"]);
    for (path, place) in
        [("bodies/000", 900), ("tile/entries/001", 5000), ("checkpoint", 60), ("epochs", 400), ("node", 130)]
    {
        let was = files[path][place];
        files.get_mut(path).unwrap()[place] ^= if was.is_ascii_alphanumeric() { 0x02 } else { 0x01 };
        let page = html::page(&files).unwrap();
        check(&browser, &page, Some(&root), "violated", &["violated"]);
        files.get_mut(path).unwrap()[place] = was;
    }
}

#[test]
fn what_no_ordinary_odoo_does_is_told_in_words_and_proven_like_all_else() {
    let browser = browser_or_skip!();
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    ledger.second(&[("alpha", 1), ("beta", 1)]);
    let flow = flow_opened(Sample { boot_ns: ledger.now.boot_ns, cpu: None, kseq: None });
    for (what, target) in [(Guarded::RawSocket, None), (Guarded::Ptrace, Some(flow.process.clone()))] {
        let guard = Guard {
            sample: flow.sample,
            what,
            family: None,
            protocol: None,
            cookie: None,
            netns: None,
            opened_before: false,
            target,
            process: flow.process.clone(),
            attribution: flow.attribution.clone(),
            instance: "alpha".to_owned(),
        };
        ledger.append(&Body::Guard(guard)).unwrap();
    }
    ledger.seal().unwrap();
    let root = ledger.opened.root.clone();
    for instance in [None, Some("alpha".to_owned())] {
        let request = Request { html: true, instance, ..Request::default() };
        let bundle = Bundle::of(dir.path(), &mut ledger, &request);
        if let Ok(mut both) = Both::start() {
            assert_eq!(both.files(&bundle, &Brought::key(&root)).unwrap().said.exit, exit::PROVEN);
        }
        let page = String::from_utf8(bundle.0[html::PATH].clone()).unwrap();
        let words =
            ["guarded: a raw socket by odoo/4242", "guarded: a hold as a debugger has it of odoo/4242 by odoo/4242"];
        check(&browser, &page, Some(&root), "proven", &words);
    }
}
