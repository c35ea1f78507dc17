// What the files of an export prove: six answers. `files` is a map from path to bytes.

const QUESTIONS = ["authenticity", "integrity", "head", "tail", "time", "coverage"];
const TILE = 256;

/** `x001/x234/067`, and `.p/W` for a tile that holds less than 256. */
function tileNumber(path) {
    return Number(path.replace(/\.p\/\d+$/, "").replace(/[x/]/g, ""));
}

/** The files below a folder, in the order of the tiles' numbers. */
function tiles(files, folder) {
    const paths = [...files.keys()].filter((path) => path.startsWith(`${folder}/`));
    const numbered = paths.map((path) => [tileNumber(path.slice(folder.length + 1)), files.get(path)]);
    return numbered.sort(([one], [other]) => one - other);
}

function parseTable(bytes) {
    const lines = textOf(bytes).split("\n").slice(0, -1);
    return new Map(lines.map((line) => {
        const [tag, n, seq] = line.split(" ");
        return [tag, [BigInt(n), BigInt(seq)]];
    }));
}

/** Salt and body of each record of a tile, or null. */
function parseBodies(bytes) {
    const [reader, found] = [new Reader(bytes), []];
    while (reader.rest) {
        const length = reader.u32();
        found.push(length >= 0xfffffffd ? null : reader.take(16 + length));
    }
    return found;
}

const commitment = (salted) => salted && sha256(bytesOf("nal/v1/body\0"), salted);

class Verification {
    constructor(files, pinned, progress) {
        Object.assign(this, { files, pinned, progress, answers: {}, finding: null, records: null });
        this.exported = null;
    }

    file(path) {
        const bytes = this.files.get(path);
        if (!bytes) {
            throw new Violation("integrity", `the file ${path} is missing`);
        }
        return bytes;
    }

    /** The verdict; whatever is found ends it. */
    async run() {
        try {
            this.checkpoint = parseCheckpoint(this.file("checkpoint"));
            this.identity = await Identity.follow(this.files, this.checkpoint.origin, this.pinned);
            await this.readRecords();
            await this.readProofs();
            await this.closeTree();
            this.judge();
        } catch (error) {
            this.end(error);
        }
        return this;
    }

    end(error) {
        this.finding = error.message;
        const question = error instanceof Violation ? error.question : "integrity";
        for (const each of QUESTIONS) {
            this.answers[each] = ["not proven", "the verification ended before its time"];
        }
        this.unknown = error instanceof Unknown;
        if (!this.unknown) {
            this.answers[question] = ["violated", error.message];
        }
    }

    async readRecords() {
        const excerpt = this.files.has("streams");
        const entries = tiles(this.files, excerpt ? "tile/0" : "tile/entries");
        const first = entries[0][0] * TILE;
        const range = new CompactRange(first, first ? hashList(this.file("left")) : []);
        const streams = first && !excerpt ? parseTable(this.file("table")) : new Map();
        const tag = excerpt ? await this.stream() : null;
        this.records = new Records(this.identity, first, range, streams, tag);
        for (const [place, [number, bytes]] of entries.entries()) {
            if (number * TILE !== this.records.range.size) {
                throw new Violation("integrity", "a tile is missing");
            }
            await (excerpt ? this.excerptTile(number, bytes) : this.stretchTile(number, bytes));
            this.progress(place + 1, entries.length);
        }
    }

    /** The tag of an excerpt's stream. */
    async stream() {
        const [kind, instance, key] = textOf(this.file("streams")).split("\n");
        if (kind !== "nal/v1/stream") {
            throw new Refused("the file streams is malformed");
        }
        this.instance = textOf(unbase64(instance));
        const bytes = Uint8Array.from(key.match(/../g), (digits) => parseInt(digits, 16));
        return hex((await sha256(bytesOf("nal/v1/stream\0"), bytes, bytesOf(this.instance))).subarray(0, 16));
    }

    async stretchTile(number, bytes) {
        const bodies = parseBodies(this.file(`bodies/${this.nameOf(number)}`));
        const count = bytes.length / 162;
        const entries = Array.from({ length: count }, (_, at) => bytes.subarray(162 * at, 162 * at + 162));
        if (!Number.isInteger(count) || bodies.length !== count || entries.some(([high, low]) => high || low !== 160)) {
            throw new Violation("integrity", `tile ${number} or its bodies are malformed`);
        }
        const leaves = await Promise.all(entries.map((entry) => leafHash(entry.subarray(2))));
        const commitments = await Promise.all(bodies.map(commitment));
        for (const [at, entry] of entries.entries()) {
            await this.take(entry.subarray(2), leaves[at], bodies[at], commitments[at]);
        }
    }

    async excerptTile(number, bytes) {
        const own = new Reader(this.files.get(`own/${this.nameOf(number)}`) ?? new Uint8Array());
        for (const [place, leaf] of hashList(bytes).entries()) {
            if (own.rest && own.bytes[own.at] === place) {
                own.u8();
                const entry = own.take(160);
                const salted = own.take(own.u32() + 16);
                if (!equal(await leafHash(entry), leaf)) {
                    throw new Violation("integrity", `record ${number * TILE + place} is not the leaf that its tile has`);
                }
                await this.take(entry, leaf, salted, await commitment(salted));
            } else {
                await this.records.skip(leaf);
            }
        }
        if (own.rest) {
            throw new Violation("integrity", `there is more in own/${this.nameOf(number)} than records of its tile`);
        }
    }

    nameOf(number) {
        const digits = String(number).padStart(Math.ceil(String(number).length / 3) * 3, "0").match(/.../g);
        return digits.map((part, at) => (at < digits.length - 1 ? `x${part}` : part)).join("/");
    }

    async take(entry, leaf, salted, committed) {
        await this.records.take(entry, leaf, salted, committed);
        const { entry: taken, body } = this.records.all.at(-1);
        if (taken.type === EXPORT && body) {
            this.exported = body;
        }
        if (taken.type === SEAL && body?.get(13)) {
            const checkpoint = parseCheckpoint(this.file(`checkpoints/${this.records.range.size}`));
            await this.held(checkpoint, this.records.range);
        }
    }

    /** A checkpoint against the records so far. */
    async held(checkpoint, range) {
        if (checkpoint.size !== range.size || !equal(checkpoint.root, await range.root())) {
            const sentence = `the records up to ${range.size - 1} are not those of the tree that was signed`;
            throw new Violation("integrity", sentence);
        }
        await this.identity.checkCheckpoint(checkpoint);
    }

    /** Records outside of the stretch, each proven by itself. */
    async readProofs() {
        this.outside = [];
        for (const path of [...this.files.keys()].filter((name) => name.startsWith("proofs/"))) {
            const [head, note] = textOf(this.files.get(path)).split(/\n\n(.*)/s);
            const [kind, extra, index, ...proof] = head.split("\n");
            const row = unbase64(extra.replace(/^extra /, ""));
            const seq = decimal(index.replace(/^index /, ""));
            const entry = parseEntry(row.subarray(0, 160));
            const salted = row.subarray(160);
            const leaf = await leafHash(row.subarray(0, 160));
            const root = await rootFromInclusion(seq, this.checkpoint.size, leaf, proof.map(unbase64));
            const fits = equal(await commitment(salted), entry.commitment) && equal(entry.logTag, this.identity.logTag);
            const same = note === textOf(this.file("checkpoint")) && kind === "c2sp.org/tlog-proof@v1";
            if (!fits || !same || entry.seq !== BigInt(seq) || !equal(root, this.checkpoint.root)) {
                throw new Violation("integrity", `${path} does not prove what its name says`);
            }
            this.outside.push({ seq, entry, body: parseBody(salted.subarray(16)) });
        }
        this.exported ??= this.outside.find(({ entry }) => entry.type === EXPORT)?.body ?? null;
    }

    /** With what lies right of the stretch the tree is the one that was signed. */
    async closeTree() {
        const { range, all } = this.records;
        this.last = range.size - 1;
        const lastSeal = this.outside.find(({ seq }) => seq + 1 === this.checkpoint.size) ?? all.at(-1);
        if (all.at(-1)?.entry.type !== SEAL || all.at(-1).seq !== this.last || lastSeal.entry.type !== SEAL) {
            throw new Violation("integrity", "the last record is not a SEAL");
        }
        for (const hash of this.last + 1 < this.checkpoint.size ? hashList(this.file("right")) : []) {
            let leaves = 1;
            while (range.size % (2 * leaves) === 0 && range.size + 2 * leaves <= this.checkpoint.size) {
                leaves *= 2;
            }
            await range.append(hash, leaves);
        }
        await this.held(this.checkpoint, range);
        this.sealed = lastSeal;
        if (!this.exported) {
            throw new Violation("tail", "no record says that this export was made");
        }
    }

    judge() {
        const { records, identity } = this;
        const say = (question, standing, sentence) => {
            this.answers[question] = [standing, sentence];
        };
        const key = vkey(identity.root);
        say("authenticity", this.pinned ? "proven" : "not proven", this.pinned
            ? "signed by the log's key and its epoch's, down from the key that you know"
            : `signed down from the root key ${key}: compare it with the one that you know by another way`);
        const withheld = records.withheld ? `, ${records.withheld} of them without their body` : "";
        const foreign = records.foreign ? `; ${records.foreign} others by their leaf hash only` : "";
        say("integrity", "proven", `${records.all.length} records${withheld}: every link, leaf and body fits what was signed${foreign}`);
        this.judgeHead(say);
        say("tail", "not proven", `complete up to size ${this.checkpoint.size}; later is unproven`);
        say("time", "not proven", "times are the host's own word, no witness confirms them; they are in order");
        if (records.withheld) {
            say("coverage", "not proven", `${records.withheld} events are here without their body`);
        } else if (records.gaps.length) {
            say("coverage", "not proven", `${records.gaps.length} gaps, the first: ${records.gaps[0]}`);
        } else {
            say("coverage", "proven", `${records.events} events; what the kernel numbered is recorded, and nothing is declared lost`);
        }
    }

    judgeHead(say) {
        const first = this.records.first;
        const kept = this.sealed.body.get(3);
        if (!first) {
            say("head", "proven", "it begins with its first record");
        } else if (BigInt(first) !== kept) {
            say("head", "not proven", `a slice from record ${first} on: what comes before was not asked for`);
        } else {
            const removed = [...this.outside, ...this.records.all].some(({ entry }) => entry.type === PRUNE);
            say("head", removed ? "not proven" : "violated", removed
                ? `it begins with record ${first}: a record says that what was before was removed; by which policy, this page does not judge`
                : `the records before ${first} are missing, and no record says that they were removed`);
        }
    }

    /** One word for all of it. */
    get verdict() {
        const standings = QUESTIONS.map((question) => this.answers[question][0]);
        const required = ["integrity", "head", "coverage"].every((question) => this.answers[question][0] === "proven");
        if (standings.includes("violated")) {
            return "violated";
        }
        return this.unknown || !this.pinned ? "unknown" : required ? "proven" : "gaps";
    }
}
