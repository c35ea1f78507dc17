# Part of Network Audit. License LGPL-3.
"""The handbook as pages that Odoo serves: docs/handbook/*.md, written into the addon.

    handbook.py write    writes static/handbook/*.html
    handbook.py check    says which page is not what its text says, and which link leads nowhere

Needs Python-Markdown: `cargo xtask format` has it, and writes.
"""

import html
import pathlib
import re
import sys

import markdown
import series

TEXTS = pathlib.Path(__file__).resolve().parents[1] / 'docs' / 'handbook'
INDEX = 'README'
PAGE = """<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Network Audit</title>
<link rel="stylesheet" href="handbook.css">
</head>
<body>
<nav aria-label="Handbook"><a href="index.html">Handbook</a></nav>
<main>
{body}
</main>
</body>
</html>
"""


def pages():
    """The text of each page by its file name."""
    return {f'{address(path.stem)}': page(path.read_text()) for path in sorted(TEXTS.glob('*.md'))}


def address(stem):
    return 'index.html' if stem == INDEX else f'{stem}.html'


def page(text):
    title = re.search(r'^# (.+)$', text, re.MULTILINE)[1]
    body = markdown.markdown(text, extensions=['tables', 'toc', 'sane_lists'])
    body = re.sub(r'href="([\w-]+)\.md(#[\w-]+)?"', _linked, body)
    # A wide table scrolls by itself, and can be reached by the keyboard.
    body = body.replace('<table>', '<div class="table" tabindex="0"><table>')
    return PAGE.format(title=html.escape(title), body=body.replace('</table>', '</table></div>'))


def _linked(match):
    return f'href="{address(match[1])}{match[2] or ""}"'


def folder():
    return series.source() / 'static' / 'handbook'


def write():
    folder().mkdir(exist_ok=True)
    wanted = pages()
    for path in folder().glob('*.html'):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder() / name).write_text(text)
    return []


def check():
    """A sentence for each fault."""
    wanted = pages()
    there = {path.name: path.read_text() for path in folder().glob('*.html')}
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            yield f'static/handbook/{name} is not what its text says: cargo xtask format'
    for name, text in wanted.items():
        for link in re.findall(r'href="([^"#]+)', text):
            if link not in wanted and link != 'handbook.css':
                yield f'{name} links to {link}, which is not there'
    linked = set(re.findall(r'href="([^"#]+)', wanted['index.html']))
    yield from (f'{name} is not in the contents' for name in sorted(wanted.keys() - linked))


if __name__ == '__main__':
    found = list({'write': write, 'check': check}[sys.argv[1]]())
    print('\n'.join(found), end='\n' if found else '')
    sys.exit(1 if found else 0)
