// The page: reads what it carries, verifies it here, and shows it. It asks no network.

const SHOWN = 500;
const WORDS = {
    proven: ["Proven", "All that was required is proven."],
    gaps: ["Genuine, with gaps", "Everything that is here is as it was sealed. Not everything is here, or known to be."],
    violated: ["Violated", "What is here contradicts itself or its signatures: it was changed, or parts of it are missing."],
    unknown: ["Not verified", "What is here fits together. Whose it is cannot be said without a key that you know by another way."],
};

const at = (id) => document.getElementById(id);

function element(name, text, className) {
    const made = document.createElement(name);
    made.textContent = text ?? "";
    if (className) {
        made.className = className;
    }
    return made;
}

const time = (ns) => new Date(Number(ns / 1000000n)).toISOString().replace("T", " ").replace("Z", " UTC");

function address(bytes, port) {
    if (bytes.length === 4) {
        return `${bytes.join(".")}:${port}`;
    }
    const words = Array.from({ length: 8 }, (_, word) => ((bytes[2 * word] << 8) | bytes[2 * word + 1]).toString(16));
    return `[${words.join(":")}]:${port}`;
}

const bytesCount = (value) => (value === null || value === undefined ? "-" : String(value));

const GUARDED = new Map([
    [1n, "a raw socket"],
    [2n, "a packet socket"],
    [3n, "a descriptor taken out"],
    [4n, "a hold as a debugger has it"],
]);

const SENTENCES = {
    "2 1": (body) => {
        const [process, whose] = [body.get(11), body.get(12)];
        const way = body.get(4) ? "from" : "to";
        const module = whose.get(2) ?? "no module named";
        return `flow ${way} ${address(body.get(6), body.get(7))} by ${process.get(4) ?? "?"}/${process.get(1)} (${module})`;
    },
    "2 2": (body) => `flow ${body.get(4)} ended: sent ${bytesCount(body.get(7))}, received ${bytesCount(body.get(8))} bytes`,
    "2 3": (body) => `flow ${body.get(4)} goes on: sent ${bytesCount(body.get(7))}, received ${bytesCount(body.get(8))} bytes`,
    "2 4": (body) => `call ${body.get(6)} ${body.get(7) ?? ""} by ${body.get(8).get(2) ?? "no module named"}`,
    "2 5": (body) => `process ${body.get(5).get(4) ?? "?"}/${body.get(5).get(1)}: change ${body.get(4)}`,
    "2 6": (body) => {
        const [target, process] = [body.get(10), body.get(11)];
        const whom = target ? ` of ${target.get(4) ?? "?"}/${target.get(1)}` : "";
        return `guarded: ${GUARDED.get(body.get(4)) ?? "?"}${whom} by ${process.get(4) ?? "?"}/${process.get(1)}`;
    },
    "1 0": (body) => `the ledger begins, version ${body.get(1)}`,
    "3 0": (body) => `seal: ${body.get(4)} samples since the run began`,
    "4 0": (body) => `lost: ${body.get(5)}`,
    "5 0": (body) => `epoch ${body.get(1)} follows (${body.get(3)})`,
    "6 0": (body) => `${body.get(4)} records removed, asked by ${body.get(9)}`,
    "8 0": (body) => `clock set from ${time(body.get(1))} to ${time(body.get(2))}`,
    "9 1": (body) => `run starts: version ${body.get(1)}, Linux ${body.get(2)}`,
    "9 2": (body) => `run stops: ${body.get(1)}`,
    "11 0": (body) => `export of records ${body.get(3)} to ${body.get(4)}, asked by ${body.get(6)}`,
};

function sentence({ entry, body, withheld }) {
    if (!body) {
        return withheld ? "not handed out" : "of a newer version";
    }
    return SENTENCES[`${entry.type} ${entry.class}`]?.(body) ?? "";
}

function row(record) {
    const made = document.createElement("tr");
    made.append(element("td", record.seq), element("td", time(record.entry.wall)));
    made.append(element("td", TYPES.get(record.entry.type)), element("td", sentence(record)));
    return made;
}

function showRecords(records) {
    const more = at("more");
    let shown = 0;
    const next = () => {
        at("records").append(...records.slice(shown, shown + SHOWN).map(row));
        shown += SHOWN;
        more.hidden = shown >= records.length;
        more.textContent = `Show more of ${records.length} records`;
    };
    at("records").replaceChildren();
    more.onclick = next;
    next();
}

function facts(verification) {
    const { checkpoint, records, identity, exported, instance } = verification;
    const found = [["Ledger", checkpoint?.origin], ["Root key", identity && vkey(identity.root)]];
    if (!verification.finding) {
        const [first, last] = [records.all[0], records.all.at(-1)];
        found.push(["Records", `${records.first} to ${verification.last}, of ${checkpoint.size}`]);
        found.push(["From", time(first.entry.wall)], ["Until", time(last.entry.wall)]);
        found.push(["Instance", instance ?? "all"], ["Sealed root", hex(checkpoint.root)]);
        found.push(["Made for", exported.get(6)], ["Export", hex(exported.get(1))]);
        found.push(["Nonce", exported.get(2) ? hex(exported.get(2)) : "none"]);
    }
    return found.filter(([, value]) => value !== undefined && value !== null && value !== false);
}

function show(verification) {
    const [title, meaning] = WORDS[verification.verdict];
    document.body.dataset.verdict = verification.verdict;
    at("verdict").textContent = title;
    at("meaning").textContent = verification.finding ? `${meaning} (${verification.finding})` : meaning;
    at("answers").replaceChildren(...QUESTIONS.map((question) => {
        const [standing, why] = verification.answers[question];
        const made = document.createElement("tr");
        made.append(element("th", question), element("td", standing, standing.replace(" ", "-")), element("td", why));
        return made;
    }));
    at("facts").replaceChildren(...facts(verification).flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
    showRecords(verification.records?.all ?? []);
    at("gaps").replaceChildren(...(verification.records?.gaps ?? []).slice(0, SHOWN).map((gap) => element("li", gap)));
}

async function verifyAll() {
    document.body.dataset.verdict = "";
    at("verdict").textContent = "Verifying …";
    const carried = JSON.parse(at("files").textContent);
    const files = new Map(Object.entries(carried).map(([path, content]) => [path, unbase64(content)]));
    const typed = at("key").value.trim();
    let pinned = null;
    try {
        pinned = typed ? await parseKey(typed) : null;
        at("key-error").textContent = "";
    } catch {
        at("key-error").textContent = "This is not a key: it is one line, with two + in it.";
    }
    const progress = (done, all) => {
        at("meaning").textContent = `${done} of ${all} tiles of 256 records`;
    };
    show(await new Verification(files, pinned, progress).run());
}

if (!globalThis.crypto?.subtle) {
    at("verdict").textContent = "This browser verifies nothing here";
    at("meaning").textContent = "Open the file from a disk or over HTTPS, in a browser that knows Ed25519.";
} else {
    at("key").value = decodeURIComponent(location.hash.replace(/^#key=/, ""));
    at("pin").onsubmit = (event) => {
        event.preventDefault();
        verifyAll();
    };
    await verifyAll();
}
