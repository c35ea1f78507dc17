/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";

const START = "systemctl start network-audit";

function view(level, icon, title, sentence, steps = []) {
    return { level, icon, title, sentence, remedies: steps };
}

const step = (text, command = "") => ({ text, command });

/**
 * What a state of the capture that is not "active" means: a title, a sentence, and what to do, in
 * the order in which it is most often the cause.
 */
export function remedies(state, { here, status, report }) {
    const trouble = status.trouble || (report && report.trouble) || {};
    const mount = step(
        _t("Odoo in a container: mount the folder (never the socket file)."),
        here.run_dir
    );
    const states = {
        odoo_away: () =>
            view(
                "warning",
                "fa-chain-broken",
                _t("Odoo does not answer"),
                _t("What is shown here is what it said last. It is asked again.")
            ),
        absent: () =>
            view(
                "danger",
                "fa-power-off",
                _t("Forensic capture: no daemon here"),
                _t(
                    "There is no socket of the daemon where Odoo looks for it. Nothing is recorded, as far as Odoo can tell."
                ),
                [
                    step(_t("Is the daemon installed and started on the host?"), START),
                    mount,
                    step(
                        _t("Another folder than this one: set it in Odoo's environment."),
                        "NETWORK_AUDIT_RUN_DIR"
                    ),
                ]
            ),
        stopped: () =>
            view(
                "danger",
                "fa-power-off",
                _t("Forensic capture: the daemon does not run"),
                _t(
                    "Its socket is there, and nobody listens: the daemon was stopped or has failed."
                ),
                [
                    step(_t("Look at what it said last."), "journalctl -u network-audit -n 50"),
                    step(_t("Start it."), START),
                ]
            ),
        denied: () =>
            view(
                "danger",
                "fa-lock",
                _t("Forensic capture: Odoo may not ask the daemon"),
                _t(
                    "The account that Odoo runs as may not open the daemon's socket: %s",
                    trouble.detail || ""
                ),
                [
                    step(
                        _t(
                            "The folder has to be open to all (0755), its sockets as well (0666): who may see what is decided by the daemon."
                        ),
                        here.run_dir
                    ),
                ]
            ),
        slow: () =>
            view(
                "warning",
                "fa-clock-o",
                _t("Forensic capture: the daemon does not answer in time"),
                _t("It may be starting, or be busy with a verification. It is asked again."),
                [step(_t("If this lasts, look at its log."), "journalctl -u network-audit -n 50")]
            ),
        foreign: () =>
            view(
                "danger",
                "fa-question-circle",
                _t("Forensic capture: another program answers"),
                _t(
                    "Whoever listens on the daemon's socket does not speak like it: %s",
                    trouble.detail || ""
                ),
                [step(_t("See who listens there."), "ss -xlp")]
            ),
        other_ledger: () =>
            view(
                "danger",
                "fa-key",
                _t("Forensic capture: another daemon answers"),
                _t(
                    "Its root key is %s, and this Odoo follows the daemon of %s. What it says is shown below; nothing of it is taken over into the Audit Log.",
                    (status.value && status.value.root_key) || "",
                    here.followed_key || ""
                ),
                [
                    step(_t("Is it another host's socket that is mounted here?"), here.run_dir),
                    step(
                        _t("Does the host know this key? It may have begun a new ledger."),
                        "auditor keys"
                    ),
                ]
            ),
        stranger: () =>
            view(
                "danger",
                "fa-user-secret",
                _t("Forensic capture: the daemon does not audit this Odoo"),
                _t("It answers, and does not know this process as one that it watches."),
                [
                    step(_t("Restart Odoo, so that it is seen from its beginning.")),
                    step(
                        _t(
                            "The daemon has to live in the host's process namespace: with containers, outside of them."
                        )
                    ),
                    step(_t("Is this Odoo within the daemon's scope?"), "auditor status"),
                ]
            ),
        old: () =>
            view(
                "warning",
                "fa-history",
                _t("The daemon is older than this app"),
                _t(
                    "It records, and cannot tell all that this page shows: %s",
                    trouble.detail || ""
                ),
                [
                    step(
                        _t("Update the daemon on the host, then restart it."),
                        "systemctl restart network-audit"
                    ),
                ]
            ),
        refused: () =>
            view("warning", "fa-ban", _t("The daemon refuses the question"), trouble.detail),
        failed: () =>
            view(
                "danger",
                "fa-exclamation-triangle",
                _t("The daemon cannot answer"),
                trouble.detail,
                [step(_t("Look at its log."), "journalctl -u network-audit -n 50")]
            ),
        auditing_off: () =>
            view(
                "warning",
                "fa-toggle-off",
                _t("Forensic capture: switched off for this Odoo"),
                _t(
                    "Somebody switched network auditing off, and that is sealed. The kernel goes on counting what is not recorded."
                ),
                [step(_t("Switch it on again under Network Audit → Configuration → Settings."))]
            ),
        no_hooks: () =>
            view(
                "danger",
                "fa-eye-slash",
                _t("Forensic capture: no hook is in the kernel"),
                _t("The daemon runs, and sees nothing."),
                [step(_t("See what this kernel lets it attach, and why not."), "auditor probe")]
            ),
        hook_off: () =>
            view(
                "warning",
                "fa-toggle-off",
                _t("Connections are recorded, modules are not named"),
                _t("The addon's hook is switched off in Odoo's environment."),
                [step(_t("Take the switch out, and restart Odoo."), "NETWORK_AUDIT=off")]
            ),
        hook_failed: () =>
            view(
                "warning",
                "fa-exclamation-triangle",
                _t("Connections are recorded, modules are not named as they should be"),
                _t(
                    "The addon could not be set up as a whole in this process: Odoo's log says why."
                ),
                [
                    step(_t("Load the addon with the server, before any request."), here.load),
                    step(_t("Restart Odoo.")),
                ]
            ),
        whole_host: () =>
            view(
                "warning",
                "fa-server",
                _t("This Odoo is not known as an instance"),
                _t(
                    "The daemon takes it for the host's administrator, because it runs as root or as the daemon's own account, and shows the whole host."
                ),
                [
                    step(_t("Is this Odoo within the daemon's scope?"), "auditor status"),
                    step(_t("Give Odoo an account of its own, that is neither of the two.")),
                ]
            ),
        nobody_named: () =>
            view(
                "warning",
                "fa-user-o",
                _t("Connections are recorded, modules are not named"),
                _t("The kernel sees this Odoo, and none of its processes hands over claims."),
                [
                    step(_t("Load the addon with the server, before any request."), here.load),
                    step(_t("Restart Odoo.")),
                    mount,
                ]
            ),
    };
    return (states[state] || states.failed)();
}
