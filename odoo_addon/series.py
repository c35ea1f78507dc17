#!/usr/bin/env python3
# Part of Network Audit. License LGPL-3.
"""Writes the addon for each series of Odoo out of the one tree that is kept here, which is 19.0's.

    python3 odoo_addon/series.py write FOLDER    FOLDER/17.0/…, FOLDER/18.0/…, FOLDER/19.0/…
    python3 odoo_addon/series.py dist FOLDER     an archive for each series, and their SHA-256
    python3 odoo_addon/series.py check           looks at each tree for what its series would refuse
    python3 odoo_addon/series.py readme          writes the addon's README.rst out of its fragments

Python, JavaScript, styles and templates are the same bytes in all three. What differs is what Odoo
itself renamed, in data files alone: each step below is one such renaming. The standard library is
enough, so that nobody needs Rust to install an addon.
"""

import argparse
import ast
import hashlib
import pathlib
import re
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SERIES = ('17.0', '18.0', '19.0')
MASTER = '19.0'
MANIFEST = '__manifest__.py'
# Left behind: what Python makes by itself, and what editors leave.
IGNORED = ('__pycache__',)
IGNORED_ENDINGS = ('.pyc', '.orig', '.rej', '~')
# The oldest moment that an archive can name: archives of one source are equal, to the byte.
MOMENT = (1980, 1, 1, 0, 0, 0)


def source():
    """The folder of the one addon that is kept here."""
    (manifest,) = HERE.glob(f'*/{MANIFEST}')
    return manifest.parent


def master(folder=None):
    """The files of the tree as it is kept: their contents by their path."""
    folder = folder or source()
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
        and not set(path.relative_to(folder).parts) & set(IGNORED)
        and not path.name.endswith(IGNORED_ENDINGS)
    }


def manifest_of(files):
    """The manifest, which Odoo reads as one literal as well."""
    return ast.literal_eval(files[MANIFEST].decode())


def tree(series, files=None):
    """The files for one series."""
    files = master() if files is None else files
    manifest = manifest_of(files)
    data = {
        name for name in (*manifest['data'], *manifest.get('demo', ())) if name.endswith('.xml')
    }
    made = {}
    for name, content in files.items():
        if name == MANIFEST:
            content = _with_version(content.decode(), series).encode()
        elif name in data:
            content = _data(content.decode(), series).encode()
        made[name] = content
    return made


def _with_version(text, series):
    return re.sub(rf"('version': ')({re.escape(MASTER)})\.", rf'\g<1>{series}.', text)


def _data(text, series):
    for step in STEPS[series]:
        text = step(text)
    return text


def _groups_without_privileges(text):
    """Until 18, a group stands in its category itself: 19 put a privilege between the two."""
    categories = {}
    privilege = re.compile(
        r'\n[ \t]*<record id="([^"]+)" model="res\.groups\.privilege">(.*?)</record>', re.S
    )

    def taken_out(match):
        category = re.search(r'<field name="category_id" ref="([^"]+)"/>', match[2])
        categories[match[1]] = category[1]
        return ''

    def in_its_category(match):
        return f'<field name="category_id" ref="{categories[match[1]]}"/>'

    text = privilege.sub(taken_out, text)
    return re.sub(r'<field name="privilege_id" ref="([^"]+)"/>', in_its_category, text)


def _lists_as_trees(text):
    """Until 17, a list's root was called a tree, and so was its mode in an action."""
    text = re.sub(r'<(/?)list\b', r'<\1tree', text)
    return re.sub(
        r'(<field name="view_mode">)([^<]*)(</field>)',
        lambda match: match[1] + re.sub(r'\blist\b', 'tree', match[2]) + match[3],
        text,
    )


def _crons_that_go_on(text):
    """Until 17, a cron ran once unless it was told otherwise."""
    return re.sub(
        r'([ \t]*)(<field name="interval_type">[^<]*</field>)',
        r'\1\2\n\1<field name="numbercall">-1</field>\n\1<field name="doall" eval="False"/>',
        text,
    )


STEPS = {
    '17.0': (_groups_without_privileges, _lists_as_trees, _crons_that_go_on),
    '18.0': (_groups_without_privileges,),
    '19.0': (),
}


def write(folder, series=SERIES):
    """Writes the trees below a folder, and says where."""
    name = source().name
    for one in series:
        target = pathlib.Path(folder) / one / name
        files = tree(one)
        _remove_others(target, files)
        for path, content in files.items():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            (target / path).write_bytes(content)
        yield target


def _remove_others(target, files):
    """What an earlier writing left there, and only below the addon's own folder."""
    if target.exists() and not (target / MANIFEST).is_file():
        sys.exit(f'{target} is there and is no addon: name another folder')
    for path in target.rglob('*'):
        if path.is_file() and path.relative_to(target).as_posix() not in files:
            path.unlink()


def dist(folder, series=SERIES):
    """Writes an archive for each series and `SHA256SUMS`, and says where."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name, sums = source().name, []
    for one in series:
        files = tree(one)
        path = folder / f'{name}-{manifest_of(files)["version"]}.zip'
        archive(path, name, files)
        sums.append(f'{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n')
        yield path
    path = folder / 'SHA256SUMS'
    path.write_text(''.join(sums))
    yield path


def archive(path, name, files):
    """One archive, equal for equal files: sorted, dated alike, and not compressed.

    What deflate makes of the same bytes differs between versions of zlib, so nothing is deflated.
    """
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as file:
        for inner in sorted(files):
            entry = zipfile.ZipInfo(f'{name}/{inner}', MOMENT)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            file.writestr(entry, files[inner])


# The fragments, in the order in which OCA has them, and what stands above each.
FRAGMENTS = (
    ('DESCRIPTION', None),
    ('INSTALL', 'Installation'),
    ('CONFIGURE', 'Configuration'),
    ('USAGE', 'Usage'),
    ('ROADMAP', 'Known issues'),
    ('CONTRIBUTORS', 'Contributors'),
)
README = 'README.rst'


def readme(files):
    """What an addon says of itself, out of its fragments."""
    manifest = manifest_of(files)
    parts = [_titled(manifest['name'], '=')]
    for name, title in FRAGMENTS:
        fragment = files[f'readme/{name}.rst'].decode()
        parts.append((_titled(title, '-') if title else '') + fragment)
    return '\n'.join(parts)


def _titled(title, line):
    return f'{title}\n{line * len(title)}\n\n'


def check():
    """The faults of all trees, a line for each."""
    import series_checks  # Beside this file: needed by nobody who only wants a tree.

    made = {one: tree(one) for one in SERIES}
    faults = [f'{one}: {fault}' for one in SERIES for fault in series_checks.faults(made[one], one)]
    if made[MASTER].get(README) != readme(made[MASTER]).encode():
        faults.append(f'{README} is not what its fragments say: write it anew (series.py readme)')
    return faults + list(series_checks.differences(made))


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tasks = parser.add_subparsers(dest='task', required=True)
    for task in ('write', 'dist'):
        tasks.add_parser(task).add_argument('folder')
    tasks.add_parser('check')
    tasks.add_parser('readme')
    chosen = parser.parse_args(arguments)
    if chosen.task == 'check':
        faults = check()
        print('\n'.join(faults) or f'{", ".join(SERIES)}: no fault')
        return 1 if faults else 0
    if chosen.task == 'readme':
        (source() / README).write_text(readme(master()))
        return 0
    for path in {'write': write, 'dist': dist}[chosen.task](chosen.folder):
        print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main())
