//! The banner of an Odoo whose modules are not named, read in a real browser: a real daemon records it, and its hook is
//! switched off, or not let in.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use auditor_tests as support;
use support::{Scene, Start, look, require};
use tempfile::TempDir;

/// A library that Odoo's interpreter runs before everything else.
fn library(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
    fs::write(folder.path().join("sitecustomize.py"), text).expect("a module");
    folder
}

/// An Odoo with it.
fn with_library(folder: &TempDir) -> Scene {
    let libraries = Some(folder.path().to_path_buf());
    Scene::start(|start| Start { workers: 0, libraries, ..start })
}

/// What is read there; `None`, and noted as skipped, where there is no browser.
fn read(scene: &Scene, selector: &str) -> Option<String> {
    look::text_of(&scene.odoo, selector).map_err(|reason| support::skip(&reason)).ok()
}

fn check(scene: &Scene, state: &str, sentences: &[&str]) {
    let Some(said) = read(scene, &format!(".o_network_audit_banner[data-state={state}]")) else { return };
    for sentence in sentences {
        assert!(said.contains(sentence), "{state}: {said}");
    }
}

fn check_unnamed(scene: &Scene) {
    let flow = scene.flow(&scene.press("requests"));
    assert_eq!(flow["opened"]["attribution"]["label"], "absent", "{flow:#}");
}

#[test]
fn a_hook_that_is_switched_off_is_told() {
    require!(support::an_odoo());
    let environment = vec![("NETWORK_AUDIT", "off".to_owned())];
    let scene = Scene::start(|start| Start { workers: 0, environment, ..start });
    check_unnamed(&scene);
    check(&scene, "hook_off", &["modules are not named", "NETWORK_AUDIT=off"]);
}

#[test]
fn a_python_that_the_addon_does_not_know_is_told() {
    require!(support::an_odoo());
    let folder = library("import asyncio\n\ndel asyncio.run_coroutine_threadsafe\n");
    let scene = with_library(&folder);
    check(&scene, "hook_failed", &["not named as they should be", "Odoo's log says why", "--load="]);
    let log = scene.odoo.log();
    assert!(log.contains("Network Audit could not be set up"), "{log}");
}

#[test]
fn a_hook_that_another_one_keeps_out_is_attention() {
    require!(support::an_odoo());
    // Python passes over this in silence, and does not set the hook.
    let folder = library(
        "import sys\n\n\ndef veto(event, _arguments):\n    if event == 'sys.addaudithook':\n        raise PermissionError\n\n\n\
         sys.addaudithook(veto)\n",
    );
    let scene = with_library(&folder);
    check_unnamed(&scene);
    let Some(said) = read(&scene, ".o_network_audit_hero[data-verdict=attention] [data-reason=lost]") else { return };
    assert!(said.contains("hook silenced in 1 process"), "{said}");
}
