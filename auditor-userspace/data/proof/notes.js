// Signed notes, and whose keys they are signed by.

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
/** The ordinates of the points of small order: whoever has such a key has everybody's signature. */
const OF_ORDER_8 = 55188659117513257062467267217118295137698188065244968500265048394206261417927n;
const SMALL = [0n, 1n, P - 1n, OF_ORDER_8, P - OF_ORDER_8];

const little = (bytes) => bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
const ordinate = (point) => little(point) & (2n ** 255n - 1n);
const isSmall = (point) => SMALL.includes(ordinate(point) % P);

/** Ed25519, strictly: no key and no R of small order, R and S in their one form. */
async function verifies(key, text, signature) {
    const [point, scalar] = [signature.subarray(0, 32), signature.subarray(32)];
    if (signature.length !== 64 || isSmall(key) || isSmall(point) || ordinate(point) >= P || little(scalar) >= L) {
        return false;
    }
    const imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", imported, signature, bytesOf(text));
}

/** A key's one line: its name, its id, and the key. */
async function parseKey(line) {
    const found = /^([!-*,-~]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(line);
    const key = found && unbase64(found[3]);
    if (!key || key.length !== 33 || key[0] !== 1 || isSmall(key.subarray(1))) {
        throw new Refused("not a key");
    }
    const parsed = await named(found[1], key.subarray(1));
    if (parsed.id !== found[2]) {
        throw new Refused("a key whose id does not fit");
    }
    return parsed;
}

async function named(name, key) {
    const id = await sha256(bytesOf(name), bytesOf("\n"), Uint8Array.of(1), key);
    return { name, key, id: hex(id.subarray(0, 4)) };
}

const vkey = ({ name, id, key }) => `${name}+${id}+${base64(joined(Uint8Array.of(1), key))}`;

/** The text of a note, its lines, and signatures that nobody has checked yet. */
function parseNote(bytes) {
    const note = textOf(bytes);
    const split = note.lastIndexOf("\n\n");
    // eslint-disable-next-line no-control-regex
    if (bytes.length > 65536 || split < 0 || !note.endsWith("\n") || /[\x00-\x09\x0b-\x1f\x7f-\x9f]/.test(note)) {
        throw new Refused("not a signed note");
    }
    const text = note.slice(0, split + 1);
    const signatures = note.slice(split + 2, -1).split("\n").map((line) => {
        const found = /^— ([!-*,-~]{1,255}) ([A-Za-z0-9+/=]+)$/.exec(line);
        const data = found && unbase64(found[2]);
        if (!data || data.length < 5) {
            throw new Refused("a malformed signature");
        }
        return { name: found[1], id: hex(data.subarray(0, 4)), signature: data.subarray(4) };
    });
    return { text, lines: text.slice(0, -1).split("\n"), signatures };
}

/** A signature that is wrong says that somebody changed what it is over; one that is not there says nothing. */
async function checkSigned(what, note, key) {
    const found = note.signatures.filter(({ name, id }) => name === key.name && id === key.id);
    if (!found.length) {
        throw new Unknown(`${what} is not signed by ${key.name}`);
    }
    if (found.length > 1 || !(await verifies(key.key, note.text, found[0].signature))) {
        throw new Violation("authenticity", `${what}: the signature by ${key.name} is wrong`);
    }
}

function parseCheckpoint(bytes) {
    const note = parseNote(bytes);
    const [origin, size, root] = note.lines;
    if (note.lines.length !== 3 || note.signatures.length !== 2) {
        throw new Refused("not a checkpoint");
    }
    return { note, origin, size: decimal(size), root: unbase64(root) };
}

async function parseEpoch(bytes) {
    const note = parseNote(bytes);
    const [kind, origin, epoch, start, root, key, notBefore] = note.lines;
    if (kind !== "nal/v1/epoch" || note.lines.length !== 7 || note.signatures.length !== 2) {
        throw new Refused("not an epoch note");
    }
    const parsed = { note, origin, epoch: decimal(epoch), start: decimal(start), root: unbase64(root) };
    return { ...parsed, key: await parseKey(key), notBefore: decimal(notBefore) };
}

function parseEpochs(bytes) {
    const notes = textOf(bytes).split(/^(?=nal\/v1\/epoch\n)/m);
    return Promise.all(notes.map((note) => parseEpoch(bytesOf(note))));
}

/** The keys of a ledger, down from the root's. */
class Identity {
    static async follow(files, origin, pinned) {
        const identity = new Identity();
        const line = (path) => parseKey(textOf(files.get(path) ?? new Uint8Array()).replace(/\n$/, ""));
        const [root, node] = [await line("keys/root.vkey"), parseNote(files.get("node") ?? new Uint8Array())];
        const log = await parseKey(node.lines[2] ?? "");
        if (node.lines.length !== 3 || node.lines[0] !== "nal/v1/node" || root.name !== `${node.lines[1]}/root`) {
            throw new Refused("the node note does not fit");
        }
        if (pinned && !equal(pinned.key, root.key) && !equal(pinned.key, log.key)) {
            throw new Unknown("it is signed by another key than the one that you know");
        }
        await checkSigned("the node note", node, root);
        Object.assign(identity, { root, node: node.lines[1], log: null, epochs: [] });
        const notes = await parseEpochs(files.get("epochs") ?? new Uint8Array());
        for (let at = 0, ledger = 1; at < notes.length; ledger += 1) {
            const name = notes[at].origin;
            if (name !== `${identity.node}/${String(ledger).padStart(4, "0")}`) {
                throw new Violation("integrity", "the epoch notes are not in the order of the node's ledgers");
            }
            const end = notes.findIndex((note, other) => other > at && note.origin !== name);
            const own = notes.slice(at, end < 0 ? notes.length : end);
            identity.log = await named(name, log.key);
            await identity.ledger(own);
            at += own.length;
        }
        if (notes.at(-1)?.origin !== origin) {
            throw new Violation("integrity", "the last epoch note is not one of this ledger");
        }
        const tag = await sha256(bytesOf(`nal/v1/log\0${origin}\0`), root.key);
        identity.logTag = tag.subarray(0, 16);
        return identity;
    }

    /** The epochs of one ledger, after those of the one before. */
    async ledger(notes) {
        const before = this.epochs;
        for (const [number, note] of notes.entries()) {
            const what = `the note of epoch ${number}`;
            const first = before.length ? before.find(({ key }) => key.name === note.note.signatures[0].name)?.key : this.root;
            const signer = number ? notes[number - 1].key : first;
            if (note.epoch !== number) {
                throw new Violation("authenticity", `${what} is missing`);
            }
            if (!signer) {
                throw new Unknown(`${what} is signed by an unknown key`);
            }
            await checkSigned(what, note.note, signer);
            await checkSigned(what, note.note, this.log);
            if (number ? note.start <= notes[number - 1].start : note.start) {
                throw new Unknown(`${what} begins before the epoch before it ends`);
            }
        }
        this.epochs = notes;
    }

    /** The epoch that a record of this number is in. */
    epochOf(seq) {
        return this.epochs.findLastIndex(({ start }) => start <= seq);
    }

    async checkCheckpoint(checkpoint) {
        const what = `the checkpoint of size ${checkpoint.size}`;
        const epoch = this.epochs[this.epochOf(checkpoint.size - 1)];
        if (!epoch || checkpoint.origin !== this.log.name) {
            throw new Violation("integrity", `${what} is about another ledger`);
        }
        await checkSigned(what, checkpoint.note, this.log);
        await checkSigned(what, checkpoint.note, epoch.key);
    }
}
