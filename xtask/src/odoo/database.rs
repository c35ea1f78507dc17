//! Databases: a template that is made once, and clones of it, which take a fraction of a second.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::Installation;
use super::postgres::{Cluster, ROLE};
use super::serve::Server;
use super::staging::Addons;
use crate::process::{self, say};

/// The database that has `base` and `web`, with every asset bundle made.
pub const TEMPLATE: &str = "tpl";

/// Makes the plain template, if it is not there. The cluster has to run.
pub fn make_template(installation: &Installation) -> Result<()> {
    let _lock = installation.lock("template")?;
    if exists(installation, TEMPLATE)? {
        return Ok(());
    }
    say("odoo", "making the template database (about half a minute)");
    let fresh = "tpl_new";
    remove(installation, fresh)?;
    install(installation, fresh, None, "base,web")?;
    pregenerate_assets(installation, fresh)?;
    keep_as(installation, fresh, TEMPLATE)
}

/// How many templates of other sources are kept: another checkout on this machine may be using them.
const TEMPLATES_KEPT: usize = 8;

/// The template that has `addons` installed besides; its name is a key of their sources, so an edited addon gets a new
/// one, and the oldest ones are dropped.
pub fn template_with(installation: &Installation, addons: &Addons) -> Result<String> {
    let name = format!("tpl_audit_{}", addons.key());
    let _lock = installation.lock("template")?;
    if exists(installation, &name)? {
        return Ok(name);
    }
    for old in names_like(installation, "tpl_audit_%")?.iter().skip(TEMPLATES_KEPT) {
        remove(installation, old)?;
    }
    say("odoo", &format!("making the template database with {}", addons.names()));
    let fresh = "tpl_audit_new";
    clone(installation, TEMPLATE, fresh)?;
    install(installation, fresh, Some(addons), &addons.names())?;
    pregenerate_assets(installation, fresh)?;
    keep_as(installation, fresh, &name)?;
    Ok(name)
}

/// A new database from a template: its rows, its files, and an identity of its own.
pub fn clone(installation: &Installation, template: &str, name: &str) -> Result<()> {
    check_name(name)?;
    if !exists(installation, template)? {
        bail!("there is no database {template}; run cargo xtask odoo setup");
    }
    remove(installation, name)?;
    let cluster = Cluster::new(installation)?;
    cluster.sql("postgres", &format!("create database \"{name}\" template \"{template}\" owner {ROLE}"))?;
    copy_files(installation, template, name)?;
    // With its template's identity, a clone would share the secrets of sessions and webhooks with it.
    let identity = "update ir_config_parameter set value = gen_random_uuid() \
                    where key in ('database.uuid', 'database.secret')";
    cluster.sql(name, identity).map(drop)
}

/// Removes a database and its files, if it is there.
pub fn remove(installation: &Installation, name: &str) -> Result<()> {
    check_name(name)?;
    let cluster = Cluster::new(installation)?;
    cluster.sql("postgres", &format!("drop database if exists \"{name}\" with (force)"))?;
    let files = files(installation, name);
    if files.exists() {
        fs::remove_dir_all(&files).with_context(|| format!("{} cannot be removed", files.display()))?;
    }
    Ok(())
}

/// Whether there is such a database.
pub fn exists(installation: &Installation, name: &str) -> Result<bool> {
    Ok(names_like(installation, &name.replace('_', "\\_"))?.iter().any(|found| found == name))
}

/// Names go into statements and paths, so they are plain words.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if name.is_empty() || name.len() > 60 || !name.bytes().all(is_plain) {
        bail!("{name:?} is no name for a database here; use lower-case letters, digits, - and _");
    }
    Ok(())
}

/// The newest first.
fn names_like(installation: &Installation, pattern: &str) -> Result<Vec<String>> {
    let statement = format!("select datname from pg_database where datname like '{pattern}' order by oid desc");
    let rows = Cluster::new(installation)?.sql("postgres", &statement)?;
    Ok(rows.lines().map(str::to_owned).collect())
}

fn install(installation: &Installation, database: &str, addons: Option<&Addons>, names: &str) -> Result<()> {
    let mut server = Server::new("setup", database);
    if let Some(addons) = addons {
        server = server.with_addons(addons);
    }
    let mut odoo = server.odoo(installation, "server")?;
    odoo.args(["-i", names, "--stop-after-init", "--max-cron-threads=0", "--no-http", "--log-level=warn"]);
    process::logged(&mut odoo, &installation.home.join("logs/install.log"))
}

/// Bundles are attachments: made once here, and not by the first page of every clone.
fn pregenerate_assets(installation: &Installation, database: &str) -> Result<()> {
    let mut shell = Server::new("setup", database).odoo(installation, "shell")?;
    let log = fs::File::create(installation.home.join("logs/assets.log"))?;
    shell.args(["--no-http", "--log-level=warn"]).stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
    let mut child = shell.spawn().context("Odoo's shell does not start")?;
    let mut input = child.stdin.take().context("Odoo's shell has no input")?;
    input.write_all(b"env['ir.qweb']._pregenerate_assets_bundles(); env.cr.commit()\n")?;
    drop(input);
    if !child.wait()?.success() {
        bail!("the asset bundles cannot be made; see {}", installation.home.join("logs/assets.log").display());
    }
    Ok(())
}

/// Last, by renaming: a template that exists is whole.
fn keep_as(installation: &Installation, from: &str, to: &str) -> Result<()> {
    let target = files(installation, to);
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let source = files(installation, from);
    if source.exists() {
        fs::rename(&source, &target).context("the template's files cannot be put in place")?;
    }
    let cluster = Cluster::new(installation)?;
    cluster.sql("postgres", &format!("alter database \"{from}\" rename to \"{to}\"")).map(drop)
}

fn copy_files(installation: &Installation, from: &str, to: &str) -> Result<()> {
    let source = files(installation, from);
    if !source.exists() {
        return Ok(());
    }
    let mut copy = installation.account.command("/bin/cp");
    process::output(copy.arg("-a").arg(source).arg(files(installation, to))).map(drop)
}

fn files(installation: &Installation, database: &str) -> PathBuf {
    installation.data().join("filestore").join(database)
}
