"""Makes an addon unreadable, as vendors do: `ship.py WAY FOLDER`, by the interpreter that is to run it.

`bytecode` leaves each module as a `.pyc` beside where its source was; `marshalled` as a line that runs code which is in no
file; `native` as a library that Cython (named by CYTHON) and a C compiler make. Manifests and packages' own files stay.
"""

import marshal
import os
import pathlib
import py_compile
import subprocess
import sys
import sysconfig


def bytecode(source):
    py_compile.compile(str(source), str(source.with_suffix('.pyc')), doraise=True, optimize=2)
    source.unlink()


def marshalled(source):
    code = marshal.dumps(compile(source.read_text('utf-8'), f'/build/{source.name}', 'exec', optimize=2))
    source.write_text(f'import marshal\n\nexec(marshal.loads({code!r}))\n', 'utf-8')


def native(source):
    c = source.with_suffix('.c')
    library = source.with_suffix(sysconfig.get_config_var('EXT_SUFFIX'))
    subprocess.run([os.environ['CYTHON'], '-3', str(source), '-o', str(c)], check=True)
    command = ['cc', '-shared', '-fPIC', '-O1', '-I', sysconfig.get_paths()['include'], str(c), '-o', str(library)]
    subprocess.run(command, check=True)
    c.unlink()
    source.unlink()


def main():
    way, folder = sys.argv[1:]
    for source in sorted(pathlib.Path(folder).rglob('*.py')):
        if not source.name.startswith('__'):
            globals()[way](source)


if __name__ == '__main__':
    main()
