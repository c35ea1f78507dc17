"""A process that verifies one export after the other, as the Rust tests ask it to.

A request is a line of JSON, then as many bytes as it says: ``{"key": vkey, "nonce": hex or null, "last_seen": note or
null}`` with ``"archive": length``, or with ``"files": [[path, length], …]``. The answer is the verdict, a line of JSON;
what must not happen at all is answered by ``{"panic": …}``.
"""

import io
import json
import sys
import traceback

from support import core

export, files, forms, note, notes = (core('verify.' + name) for name in ('export', 'files', 'forms', 'note', 'notes'))


class Memory:
    def __init__(self, contents):
        self.contents = contents
        self.lengths = {path: len(content) for path, content in contents.items()}

    def read(self, path, limit):
        return self.contents[path][:limit]


def judge(request, content):
    if 'archive' in request:
        try:
            found = files.Archive(io.BytesIO(content))
        except forms.Refused as error:
            return json.dumps({'exit': 3, 'summary': f'tampered: {error}', 'answers': {}, 'finding': None})
    else:
        at, contents = 0, {}
        for path, length in request['files']:
            contents[path] = content[at : at + length]
            at += length
        found = Memory(contents)
    nonce, seen = request['nonce'], request['last_seen']
    verdict = export.verify_export(
        found,
        note.Key.parse(request['key']),
        nonce if nonce is None else bytes.fromhex(nonce),
        seen and notes.parse_checkpoint(seen.encode()),
    )
    return verdict.to_json()


def main():
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        length = request['archive'] if 'archive' in request else sum(length for _, length in request['files'])
        content = sys.stdin.buffer.read(length)
        try:
            answer = judge(request, content)
        except Exception:
            answer = json.dumps({'panic': traceback.format_exc()})
        print(answer, flush=True)


if __name__ == '__main__':
    main()
