/** @odoo-module **/
import { browser } from "@web/core/browser/browser";
import { onMounted, onWillUnmount } from "@odoo/owl";

const QUICK = 1500;
const CALM = 15000;
// The page's own questions are operations as well: nobody who looks away makes many of them.
const CALM_AFTER = 10 * 60 * 1000;
const SIGNS_OF_LIFE = ["pointermove", "keydown", "scroll", "focus"];

/**
 * Calls `refresh` again and again: quickly while somebody is there, calmly later, not at all while
 * the page is hidden.
 */
export function usePolling(refresh) {
    let timer = null;
    let isThere = true;
    let seenAt = Date.now();

    const isCalm = () => Date.now() - seenAt > CALM_AFTER;
    const schedule = () => {
        browser.clearTimeout(timer);
        if (isThere) {
            timer = browser.setTimeout(turn, isCalm() ? CALM : QUICK);
        }
    };
    const turn = async () => {
        if (document.visibilityState !== "hidden") {
            await refresh();
        }
        schedule();
    };
    const seen = () => {
        const wasCalm = isCalm();
        seenAt = Date.now();
        if (wasCalm) {
            schedule();
        }
    };
    const shown = () => {
        if (document.visibilityState !== "hidden") {
            seen();
            browser.clearTimeout(timer);
            turn();
        }
    };

    onMounted(() => {
        SIGNS_OF_LIFE.forEach((name) => window.addEventListener(name, seen, { passive: true }));
        document.addEventListener("visibilitychange", shown);
        schedule();
    });
    onWillUnmount(() => {
        SIGNS_OF_LIFE.forEach((name) => window.removeEventListener(name, seen));
        document.removeEventListener("visibilitychange", shown);
        browser.clearTimeout(timer);
        isThere = false;
    });
}
