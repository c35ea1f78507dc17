// The tree of RFC 6962.

const leafHash = (entry) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left, right) => sha256(Uint8Array.of(1), left, right);

/** The right edge of a tree: roots of perfect subtrees, largest first. Sizes are below 2^53. */
class CompactRange {
    constructor(size = 0, hashes = []) {
        this.size = size;
        this.hashes = hashes;
        const bits = size.toString(2).replaceAll("0", "").length;
        if (hashes.length !== bits) {
            throw new Refused("the edge does not fit its size");
        }
    }

    /** Appends the root of a perfect subtree of this many leaves. */
    async append(hash, leaves = 1) {
        let node = hash;
        for (let rest = this.size / leaves; rest % 2 === 1; rest = (rest - 1) / 2) {
            node = await nodeHash(this.hashes.pop(), node);
        }
        this.hashes.push(node);
        this.size += leaves;
    }

    async root() {
        let root = this.hashes.at(-1) ?? (await sha256());
        for (const left of this.hashes.slice(0, -1).reverse()) {
            root = await nodeHash(left, root);
        }
        return root;
    }
}

/** The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2). */
async function rootFromInclusion(index, size, leaf, proof) {
    if (index >= size) {
        throw new Refused("a place outside of the tree");
    }
    let [place, last, root] = [index, size - 1, leaf];
    const half = (number) => Math.floor(number / 2);
    for (const sibling of proof) {
        if (last === 0) {
            throw new Refused("the proof is too long");
        }
        if (place % 2 || place === last) {
            root = await nodeHash(sibling, root);
            while (place % 2 === 0 && place) {
                [place, last] = [half(place), half(last)];
            }
        } else {
            root = await nodeHash(root, sibling);
        }
        [place, last] = [half(place), half(last)];
    }
    if (last) {
        throw new Refused("the proof is too short");
    }
    return root;
}
