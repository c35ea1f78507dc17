# Part of Network Audit. License LGPL-3.
"""The addon's words in other languages.

    translations.py merge FOLDER    takes the template over into each translation beside it
    translations.py check FOLDER    says what is missing, doubtful or cannot be filled in

Needs polib, which Odoo has: run it with Odoo's Python. `cargo xtask addon translate` does.
"""

import pathlib
import re
import sys

import polib

# What is filled in: %s, %(name)s, and what JavaScript's and QWeb's sentences have.
PLACES = re.compile(r'%(?:\(\w+\))?[sdif]|\$\{[^}]*\}|<[^>]+>')


def read(folder):
    """The template, and each translation by its path."""
    (template,) = folder.glob('*.pot')
    return polib.pofile(str(template), wrapwidth=78), {
        path: polib.pofile(str(path), wrapwidth=78) for path in sorted(folder.glob('*.po'))
    }


def merge(folder):
    """Sentences that are gone are dropped; new ones are added, and are empty."""
    template, translations = read(folder)
    for path, translation in translations.items():
        translation.merge(template)
        for entry in translation.obsolete_entries():
            translation.remove(entry)
        translation.save(str(path))
        print(f'{path.name}: {len(translation.untranslated_entries())} sentences are missing')
    return []


def check(folder):
    """A sentence for each fault."""
    template, translations = read(folder)
    wanted = {entry.msgid for entry in template}
    for path, translation in translations.items():
        known = {entry.msgid: entry for entry in translation if not entry.obsolete}
        yield from (f'{path.name}: has no {msgid!r}' for msgid in sorted(wanted - set(known)))
        for msgid, entry in known.items():
            yield from (f'{path.name}: {fault}: {msgid!r}' for fault in faults(entry))


def faults(entry):
    if entry.fuzzy:
        yield 'is only a guess'
    if not entry.msgstr:
        yield 'is not translated'
    elif sorted(PLACES.findall(entry.msgid)) != sorted(PLACES.findall(entry.msgstr)):
        yield 'has other places to be filled in'
    elif entry.msgid[:1].isspace() != entry.msgstr[:1].isspace():
        yield 'begins otherwise'


if __name__ == '__main__':
    task, place = sys.argv[1:]
    found = list({'merge': merge, 'check': check}[task](pathlib.Path(place)))
    print('\n'.join(found), end='\n' if found else '')
    sys.exit(1 if found else 0)
