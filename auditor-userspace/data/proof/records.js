// The records in their order, and what they say about themselves.

const [GENESIS, EVENT, SEAL, LOSS, ROTATE, PRUNE, POLICY, CLOCK, RUN, EXPORT, RECOVER] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13,
];
const TYPES = new Map([
    [GENESIS, "GENESIS"],
    [EVENT, "EVENT"],
    [SEAL, "SEAL"],
    [LOSS, "LOSS"],
    [ROTATE, "ROTATE"],
    [PRUNE, "PRUNE"],
    [POLICY, "POLICY"],
    [CLOCK, "CLOCK"],
    [RUN, "RUN"],
    [EXPORT, "EXPORT"],
    [RECOVER, "RECOVER"],
]);
const OWN_STREAM = "94924f46b327cd51a03f6938bcb587f2";
/** What is no traffic, and may be in an instance's stream: type and class. */
const OF_INSTANCES = new Set([`${LOSS} 1`, `${POLICY} 1`, `${POLICY} 2`, `${POLICY} 3`]);
const NOBODY = 2n ** 64n - 1n;
const SECOND = 1_000_000_000n;

function parseEntry(bytes) {
    const reader = new Reader(bytes);
    const magic = textOf(reader.take(4));
    const entry = { type: reader.u8(), flags: reader.u8(), schema: reader.u16(), seq: reader.u64() };
    Object.assign(entry, { wall: reader.u64(), boot: reader.u64(), run: reader.u32(), epoch: reader.u32() });
    Object.assign(entry, { class: reader.u32(), length: reader.u32(), streamPrev: reader.u64(), streamN: reader.u64() });
    Object.assign(entry, { tag: hex(reader.take(16)), logTag: reader.take(16), prev: reader.take(32) });
    entry.commitment = reader.take(32);
    if (magic !== "NAL1" || bytes.length !== 160 || !TYPES.has(entry.type) || entry.flags > 3) {
        throw new Refused("an entry that this page does not know");
    }
    return entry;
}

/** The table of the streams, as a SEAL has its root. */
async function tableRoot(streams) {
    const range = new CompactRange();
    for (const [tag, [n, seq]] of [...streams].sort(([one], [other]) => (one < other ? -1 : 1))) {
        const line = new DataView(new ArrayBuffer(16));
        line.setBigUint64(0, n);
        line.setBigUint64(8, seq);
        const bytes = Uint8Array.from(tag.match(/../g), (digits) => parseInt(digits, 16));
        await range.append(await sha256(Uint8Array.of(0), bytes, new Uint8Array(line.buffer)));
    }
    return range.root();
}

class Records {
    constructor(identity, first, range, streams, tag) {
        Object.assign(this, { identity, first, range, streams, tag });
        this.all = [];
        this.before = null;
        this.prev = null;
        this.gaps = [];
        this.withheld = this.foreign = 0;
        this.events = 0;
        this.begin();
    }

    /** A run counts anew. */
    begin() {
        this.marks = new Map();
        this.waiting = [];
    }

    wrong(seq, sentence, question = "integrity") {
        return new Violation(question, `record ${seq}: ${sentence}`);
    }

    /** Where an epoch begins, its note has the root of the tree so far. */
    async epochBegins() {
        const note = this.identity.epochs.find(({ start }) => start === this.range.size);
        if (note && !equal(note.root, await this.range.root())) {
            throw this.wrong(this.range.size, `epoch ${note.epoch} begins at another root`);
        }
    }

    async skip(leaf) {
        await this.epochBegins();
        this.foreign += 1;
        this.prev = leaf;
        await this.range.append(leaf);
    }

    /** The next record: `salted` is its salt and body, or null if it is not handed out. */
    async take(bytes, leaf, salted, commitment) {
        const seq = this.range.size;
        const entry = parseEntry(bytes);
        if (entry.seq !== BigInt(seq)) {
            throw this.wrong(seq, `it is in truth record ${entry.seq}`);
        }
        if (salted ? salted.length - 16 !== entry.length || !equal(commitment, entry.commitment) : entry.type !== EVENT) {
            throw this.wrong(seq, "its body is not the one that was sealed");
        }
        if (!equal(entry.logTag, this.identity.logTag)) {
            throw this.wrong(seq, "it belongs to another ledger");
        }
        const genesis = seq ? null : await sha256(bytesOf("nal/v1/genesis\0"), this.identity.logTag);
        const prev = this.prev ?? genesis;
        if (prev && !equal(prev, entry.prev)) {
            throw this.wrong(seq, "the link to the record before it is wrong, or that was changed");
        }
        if (entry.epoch !== this.identity.epochOf(seq)) {
            throw this.wrong(seq, "it is not in its epoch");
        }
        await this.epochBegins();
        this.times(seq, entry);
        const table = entry.type === SEAL && !this.tag ? await tableRoot(this.streams) : null;
        this.stream(seq, entry);
        const body = salted && entry.schema === 1 ? parseBody(salted.subarray(16)) : null;
        this.withheld += salted ? 0 : 1;
        if (entry.type === SEAL && body && table && !equal(table, body.get(9))) {
            throw this.wrong(seq, "its table of streams is not that of the records");
        }
        this.says(seq, entry, body);
        this.all.push({ seq, entry, body, withheld: !salted });
        this.before = { seq, entry };
        this.prev = leaf;
        await this.range.append(leaf);
    }

    times(seq, entry) {
        if (!this.before) {
            return;
        }
        const { seq: at, entry: last } = this.before;
        if (entry.run !== last.run) {
            this.begin();
        }
        const [adjacent, same] = [at + 1 === seq, entry.run === last.run];
        if (entry.run < last.run || (adjacent && entry.run > last.run + 1)) {
            throw this.wrong(seq, `run ${entry.run} follows run ${last.run}`);
        }
        const [wall, boot] = [entry.wall - last.wall, entry.boot - last.boot];
        if (same && boot < 0n) {
            throw this.wrong(seq, "the boot clock goes back within a run", "time");
        }
        const apart = wall < boot ? boot - wall : wall - boot;
        if (entry.type !== CLOCK && (wall < 0n || (adjacent && same && apart > SECOND + boot / 1000n))) {
            throw this.wrong(seq, "the wall clock was set, and no record says so", "time");
        }
    }

    stream(seq, entry) {
        const own = entry.tag === OWN_STREAM;
        const last = this.streams.get(entry.tag);
        const before = this.tag && entry.streamN > 0n && entry.streamPrev < BigInt(this.first);
        const follows = last
            ? entry.streamN === last[0] + 1n && entry.streamPrev === last[1]
            : before || (entry.streamN === 0n && entry.streamPrev === NOBODY);
        const none = /^0*$/.test(entry.tag);
        const isEvent = entry.type === EVENT;
        const fits = own ? !isEvent : isEvent || (!none && OF_INSTANCES.has(`${entry.type} ${entry.class}`));
        if (!fits || (this.tag && !own && entry.tag !== this.tag) || !follows) {
            throw this.wrong(seq, "it does not follow in its stream: records of it are missing");
        }
        if (!none) {
            this.streams.set(entry.tag, [entry.streamN, entry.seq]);
        }
    }

    says(seq, entry, body) {
        if (!body) {
            return;
        }
        const gap = (sentence) => this.gaps.push(`record ${seq}: ${sentence}`);
        if (entry.type === GENESIS && (seq || !equal(body.get(2), this.identity.root.key))) {
            throw this.wrong(seq, "GENESIS names other keys");
        }
        if (entry.type === LOSS) {
            gap(entry.class ? "flows that by policy are not recorded" : body.get(5));
        } else if (entry.type === PRUNE) {
            gap(`${body.get(4)} records were removed by policy`);
        } else if (entry.type === RUN && entry.class === 1 && body.get(7) !== "none") {
            gap("nobody was looking between two runs");
        } else if (entry.type === EVENT) {
            this.events += 1;
            this.waiting.push([body.get(2), body.get(3), entry.class]);
        } else if (entry.type === SEAL) {
            this.sealed(seq, body);
        }
    }

    /** For each processor: what it numbered is what was received or lost, and each event has a number of its own. */
    sealed(seq, body) {
        const wrong = (sentence) => this.wrong(seq, sentence, "coverage");
        const marks = body.get(6);
        for (const [cpu, last, received, lost] of marks) {
            const count = received + lost.reduce((sum, [, number]) => sum + number, 0n);
            const before = this.marks.get(cpu) ?? (this.first ? last - count : 0n);
            if (last - before !== count) {
                throw wrong(`processor ${cpu} numbered other samples than it accounts for`);
            }
            const own = this.waiting.filter(([at, kseq]) => at === cpu && kseq !== null);
            const distinct = new Set(own.map(([, kseq, kind]) => `${kseq} ${kind}`));
            if (distinct.size !== own.length || own.some(([, kseq]) => kseq <= before || kseq > last)) {
                throw wrong(`a sample of processor ${cpu} is outside of its seal, or is recorded twice`);
            }
            this.marks.set(cpu, last);
        }
        if (marks.length) {
            this.waiting = [];
        }
    }
}
