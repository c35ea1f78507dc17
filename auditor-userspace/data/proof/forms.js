// Part of Network Audit. License Apache-2.0.
// Bytes, and what has one form only. Everything here refuses by throwing.

class Refused extends Error {}

/** What contradicts the evidence, and which of the six questions it answers. */
class Violation extends Error {
    constructor(question, sentence) {
        super(sentence);
        this.question = question;
    }
}

/** It cannot be judged: an unknown key, or a newer version. */
class Unknown extends Error {}

const bytesOf = (text) => new TextEncoder().encode(text);

const textOf = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const equal = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

function joined(...parts) {
    const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
        whole.set(part, at);
        at += part.length;
    }
    return whole;
}

/** Base64 in its one form. */
function unbase64(text) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4) {
        throw new Refused("not base64");
    }
    const decoded = atob(text);
    if (btoa(decoded) !== text) {
        throw new Refused("base64 that is not in its one form");
    }
    return Uint8Array.from(decoded, (char) => char.charCodeAt(0));
}

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

/** An unsigned number in its one form. A tree that a page can hold is smaller than 2^53. */
function decimal(text) {
    const value = Number(text);
    if (!/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(value)) {
        throw new Refused("a number that is not in its one form");
    }
    return value;
}

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

/** Hashes of 32 bytes each. */
function hashList(bytes) {
    if (bytes.length % 32) {
        throw new Refused("not whole hashes");
    }
    return Array.from({ length: bytes.length / 32 }, (_, at) => bytes.subarray(32 * at, 32 * at + 32));
}

/** Takes numbers and bytes off the front. */
class Reader {
    constructor(bytes) {
        this.bytes = bytes;
        this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        this.at = 0;
    }
    get rest() {
        return this.bytes.length - this.at;
    }
    take(length) {
        if (length > this.rest) {
            throw new Refused("cut off");
        }
        this.at += length;
        return this.bytes.subarray(this.at - length, this.at);
    }
    u8() {
        return this.take(1)[0];
    }
    u16() {
        return this.view.getUint16(this.take(2) && this.at - 2);
    }
    u32() {
        return this.view.getUint32(this.take(4) && this.at - 4);
    }
    u64() {
        return this.view.getBigUint64(this.take(8) && this.at - 8);
    }
}

/** One value of deterministic CBOR: numbers are BigInt, maps are Map by key. */
function cbor(reader) {
    const first = reader.u8();
    const major = first >> 5;
    if (major === 7) {
        const simple = { 20: false, 21: true, 22: null }[first & 31];
        if (simple === undefined) {
            throw new Refused("a value that no body has");
        }
        return simple;
    }
    let argument = BigInt(first & 31);
    if (argument > 23n) {
        const form = Number(argument) - 24;
        if (form > 3) {
            throw new Refused("not deterministic CBOR");
        }
        argument = reader.take(1 << form).reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
        if (argument < [24n, 0x100n, 0x10000n, 0x100000000n][form]) {
            throw new Refused("not deterministic CBOR");
        }
    }
    if (major === 0) {
        return argument;
    }
    // Whatever has so many elements has at least as many bytes.
    if (argument > BigInt(reader.rest)) {
        throw new Refused("cut off");
    }
    const count = Number(argument);
    switch (major) {
        case 2:
            return reader.take(count);
        case 3:
            return textOf(reader.take(count));
        case 4:
            return Array.from({ length: count }, () => cbor(reader));
        case 5:
            return new Map(Array.from({ length: count }, () => [Number(cbor(reader)), cbor(reader)]));
        default:
            throw new Refused("a value that no body has");
    }
}

/** A body: one map, and nothing after it. */
function parseBody(bytes) {
    const reader = new Reader(bytes);
    const body = cbor(reader);
    if (reader.rest || !(body instanceof Map)) {
        throw new Refused("not a body");
    }
    return body;
}
