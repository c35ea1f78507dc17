# Part of Network Audit. License LGPL-3.
"""The command line."""

import json
import os
import sys

from .export import verify_export
from .files import Archive, Folder
from .forms import Refused, unhex
from .note import MAX_NOTE, Key
from .notes import parse_checkpoint
from .proof import MAX_PROOF, verify_proof
from .verdict import EXIT_IO, EXIT_PROVEN, EXIT_TAMPERED, EXIT_USAGE

USAGE = """verify: verifies an export or a proof of Network Audit, offline

usage: python3 -m verify --key VKEY [options] EXPORT.nalx    an export, as a file or a folder
       python3 -m verify --key VKEY [options] N.tlog-proof   the proof of one record

  --key VKEY         the root's key or the log's, known by another way than from what is verified
  --nonce HEX        the nonce that was given to the one who made the export
  --last-seen FILE   the checkpoint of this ledger that was seen last
  --json             one JSON object

exit: 0 all that was required is proven · 1 could not run · 2 used wrongly · 3 tampered
      4 intact, but with gaps or a part unproven · 5 cannot be verified (unknown key, newer version)"""


class Usage(Exception):
    """What was typed cannot be meant."""


def arguments(given):
    found, given = {'key': None, 'nonce': None, 'last_seen': None, 'json': False, 'path': None}, list(given)
    while given:
        argument = given.pop(0)
        if argument in ('--key', '--nonce', '--last-seen'):
            if not given:
                raise Usage(f'{argument} needs a value')
            value = given.pop(0)
            try:
                if argument == '--key':
                    found['key'] = Key.parse(value)
                elif argument == '--nonce':
                    found['nonce'] = unhex(value.lower())
                else:
                    with open(value, 'rb') as file:
                        found['last_seen'] = parse_checkpoint(file.read(MAX_NOTE + 1))
            except (Refused, OSError) as error:
                raise Usage(f'{argument}: {error}') from error
        elif argument == '--json':
            found['json'] = True
        elif argument.startswith('--'):
            raise Usage(f'there is no option {argument}')
        elif found['path'] is None:
            found['path'] = argument
        else:
            raise Usage('only one export or proof at a time')
    if found['path'] is None:
        raise Usage('which export or proof?')
    if found['key'] is None:
        raise Usage('--key is needed: what is not held against a known key proves nothing')
    return found


def say(json_wanted, code, word, sentence):
    print(json.dumps({'exit': code, 'summary': word, 'sentence': sentence}) if json_wanted else f'{word}: {sentence}')
    return code


def command(asked):
    """Does what was typed, and returns the exit code."""
    if asked['path'].endswith('.tlog-proof'):
        with open(asked['path'], 'rb') as file:
            return say(asked['json'], *verify_proof(file.read(MAX_PROOF + 1), asked['key']))
    if os.path.isdir(asked['path']):
        verdict = verify_export(Folder(asked['path']), asked['key'], asked['nonce'], asked['last_seen'])
    else:
        with open(asked['path'], 'rb') as file:
            try:
                archive = Archive(file)
            except Refused as error:
                return say(asked['json'], EXIT_TAMPERED, 'tampered', str(error))
            verdict = verify_export(archive, asked['key'], asked['nonce'], asked['last_seen'])
    print(verdict.to_json() if asked['json'] else verdict.to_text())
    return verdict.exit


def main(given):
    if '--help' in given or '-h' in given:
        print(USAGE)
        return EXIT_PROVEN
    try:
        asked = arguments(given)
    except Usage as error:
        print(f'verify: {error}\n\n{USAGE}', file=sys.stderr)
        return EXIT_USAGE
    try:
        return command(asked)
    except OSError as error:
        print(f'verify: {asked["path"]}: {error}', file=sys.stderr)
        return EXIT_IO
