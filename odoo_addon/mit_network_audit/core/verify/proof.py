# Part of Network Audit. License LGPL-3.
"""The proof of one record."""

from .entry import ENTRY_LEN, TYPES, commit, parse_row
from .forms import Refused, number, unbase64
from .identity import judged
from .notes import parse_checkpoint
from .origin import parse_origin
from .tree import leaf_hash, root_from_inclusion
from .verdict import EXIT_PROVEN, EXIT_TAMPERED, EXIT_UNKNOWN, Unknown, Violation

MAX_PROOF = 2 << 20


def parse_proof(data):
    """Index, row, hashes and checkpoint of a proof."""
    if len(data) > MAX_PROOF:
        raise Refused('the proof is too long')
    try:
        text, _, note = bytes(data).decode().partition('\n\n')
    except UnicodeDecodeError as error:
        raise Refused('the proof is not text') from error
    kind, extra, index, *hashes = text.split('\n') if text.count('\n') > 1 else ['', '', '']
    if kind != 'c2sp.org/tlog-proof@v1' or not extra.startswith('extra ') or not index.startswith('index '):
        raise Refused('this is no proof')
    hashes = [unbase64(line) for line in hashes]
    if len(hashes) > 63 or any(len(node) != 32 for node in hashes):
        raise Refused('the proof has too many hashes, or one that is none')
    return {
        'row': unbase64(extra[6:]),
        'index': number(index[6:]),
        'hashes': hashes,
        'checkpoint': parse_checkpoint(note.encode()),
        'note': note.encode(),
    }


def proven_row(proof):
    """Entry and body of the record that a proof is about, if it leads to the root of its checkpoint."""
    entry, salt, body = parse_row(proof['row'])
    checkpoint = proof['checkpoint']
    if entry['seq'] != proof['index'] or commit(salt, body) != entry['body_commit']:
        raise Refused('the record is not the one that it says it is')
    leaf = leaf_hash(proof['row'][:ENTRY_LEN])
    if root_from_inclusion(proof['index'], checkpoint['size'], leaf, proof['hashes']) != checkpoint['root']:
        raise Refused('the proof leads to another root than that of its checkpoint')
    return entry, body


def verify_proof(data, pinned):
    """Exit code, word and sentence about the proof of one record. Whose epoch it was signed in shows an export only."""
    try:
        proof = parse_proof(data)
        origin = proof['checkpoint']['origin']
        if pinned.name not in (origin, parse_origin(origin)[0]):
            raise Unknown('the key is not that of the proof\'s log: use the log\'s key')
        judged('the checkpoint', proof['checkpoint']['note'].verify, pinned.renamed(origin))
        entry, _ = proven_row(proof)
    except Unknown as error:
        return EXIT_UNKNOWN, 'cannot be verified', str(error)
    except (Violation, Refused) as error:
        return EXIT_TAMPERED, 'tampered', str(error)
    record = f'record {entry["seq"]} ({TYPES[entry["type"]]}) of {origin}'
    return EXIT_PROVEN, 'proven', f'{record} is in the tree of size {proof["checkpoint"]["size"]} that the log signed'
