//! Which processes are an Odoo: a rule about command lines.

/// Names under which Odoo's start script is known.
const SCRIPTS: [&str; 5] = ["odoo", "odoo-bin", "odoo.py", "odoo-server", "openerp-server"];

/// Whether this command line starts an Odoo.
///
/// Either the program itself is Odoo's script, or Python runs it (by path or with `-m odoo`). An editor on
/// `odoo.conf` or a `tail` of its log is none.
#[must_use]
pub fn is_odoo(arguments: &[String]) -> bool {
    let Some(program) = arguments.first().map(|path| base(path)) else { return false };
    if SCRIPTS.contains(&program) {
        return true;
    }
    // With `setproctitle`, Odoo calls its workers "odoo: WorkerHTTP 4711".
    if program.starts_with("odoo: ") {
        return true;
    }
    program.starts_with("python") && python_runs_odoo(&arguments[1..])
}

/// Walks Python's own options up to the script (`python --help`: -c and -m end them, -W, -X and --check-hash-based-pycs
/// take a value).
fn python_runs_odoo(arguments: &[String]) -> bool {
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            "-m" => return rest.next() == Some("odoo"),
            "-c" => return false,
            "-W" | "-X" | "--check-hash-based-pycs" => {
                rest.next();
            }
            option if option.starts_with('-') && option.len() > 1 => {}
            script => return SCRIPTS.contains(&base(script)),
        }
    }
    false
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::is_odoo;

    fn check(line: &str, is: bool) {
        let arguments: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        assert_eq!(is_odoo(&arguments), is, "{line}");
    }

    #[test]
    fn an_odoo_is_known_by_its_script() {
        check("/usr/bin/odoo -c /etc/odoo/odoo.conf", true);
        check("odoo-bin", true);
        check("/venv/bin/python3 /opt/odoo/odoo-bin -d x", true);
        check("python3.11 -u -X dev -W ignore /usr/bin/odoo gevent --workers=2", true);
        check("python -m odoo", true);
    }

    #[test]
    fn what_only_names_odoo_is_none() {
        check("", false);
        check("vim /etc/odoo/odoo.conf", false);
        check("tail -f odoo", false);
        check("python3 -c odoo", false);
        check("python3 backup.py odoo", false);
        check("python3 -m http.server odoo", false);
        check("python3", false);
        check("postgres: odoo db [local] idle", false);
    }

    #[test]
    fn a_title_set_by_odoo_itself_counts() {
        assert!(is_odoo(&["odoo: WorkerHTTP 4711".to_owned()]));
    }
}
