import importlib.machinery
import marshal
import os
import pathlib
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import types
import unittest

from support import calls, core

opaque, origin, hints = core('opaque'), core('origin'), core('hints')
describe = origin.describing(origin.Host)

SOURCE = """
def go(function):
    return function()
"""


def here():
    return describe(sys._getframe(1))


class Shipped(unittest.TestCase):
    """One vendor's module, shipped in each of the ways that make it unreadable."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        source = self.folder / 'channels.py'
        source.write_text(SOURCE, encoding='utf-8')
        self.source = source

    def load(self, loader_class, path):
        name = 'odoo.addons.closed.channels'
        spec = importlib.machinery.ModuleSpec(name, loader_class(name, str(path)), origin=str(path))
        module = types.ModuleType(name)
        module.__spec__ = spec
        sys.modules[name] = module
        self.addCleanup(sys.modules.pop, name)
        spec.loader.exec_module(module)
        return module

    def check(self, module, reason, credited):
        self.assertEqual(opaque.opaque().get('closed'), reason)
        found = calls('web.controllers.main')(module.go, here)
        self.assertEqual((found.chain, found.channel), credited)

    def test_plain_source_is_no_secret(self):
        module = self.load(importlib.machinery.SourceFileLoader, self.source)
        self.check(module, None, (('closed', 'web'), 0))

    def test_bytecode_alone_is_credited_and_listed(self):
        compiled = self.folder / 'channels.pyc'
        py_compile.compile(str(self.source), str(compiled), doraise=True)
        self.source.unlink()
        module = self.load(importlib.machinery.SourcelessFileLoader, compiled)
        self.check(module, opaque.NO_SOURCE, (('closed', 'web'), 0))

    def test_marshalled_code_is_credited_and_listed(self):
        code = marshal.dumps(compile(SOURCE, '/build/of/the/vendor.py', 'exec'))
        self.source.write_text(f'import marshal\nexec(marshal.loads({code!r}))\n', encoding='utf-8')
        module = self.load(importlib.machinery.SourceFileLoader, self.source)
        self.check(module, opaque.NO_FILE, (('closed', 'web'), 0))

    def test_native_code_is_listed_and_suspected_where_only_plumbing_is_seen(self):
        library = self.native()
        name = 'odoo.addons.closed.native'
        spec = importlib.machinery.ModuleSpec(
            name, importlib.machinery.ExtensionFileLoader(name, str(library)), origin=str(library)
        )
        module = spec.loader.create_module(spec)
        module.__spec__ = spec
        sys.modules[name] = module
        self.addCleanup(sys.modules.pop, name)
        self.check(module, opaque.NATIVE, (('web', 'native:closed'), hints.AMBIGUOUS))
        found = calls('sale.models.x')(module.go, here)
        self.assertEqual((found.chain, found.channel), (('sale',), 0))

    def native(self):
        """A function in C that calls what it is given: without a frame, as compiled addons do."""
        compiler = shutil.which('cc') or shutil.which('gcc')
        headers = sysconfig.get_paths()['include']
        if not compiler or not os.path.exists(os.path.join(headers, 'Python.h')):
            self.skipTest(f'SKIPPED: because there is no C compiler, or no Python.h in {headers}')
        source, library = self.folder / 'native.c', self.folder / 'native.so'
        source.write_text(
            """
#include <Python.h>
static PyObject *go(PyObject *self, PyObject *function) { return PyObject_CallNoArgs(function); }
static PyMethodDef methods[] = {{"go", go, METH_O, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
""",
            encoding='utf-8',
        )
        subprocess.run(
            [compiler, '-shared', '-fPIC', '-I', headers, str(source), '-o', str(library)],
            check=True,
        )
        return library


class Natives(unittest.TestCase):
    def test_they_are_looked_for_again_when_more_modules_are_loaded(self):
        loaded = {}
        natives = opaque.Natives(loaded)
        self.assertEqual(natives(), ())
        for name in (
            'odoo.addons.b.x',
            'odoo.addons.a.x',
            'odoo.addons.mit_network_audit.x',
            'other',
        ):
            module = types.ModuleType(name)
            loader = importlib.machinery.ExtensionFileLoader(name, '/x.so')
            module.__spec__ = importlib.machinery.ModuleSpec(name, loader)
            loaded[name] = module
        self.assertEqual(natives(), ('a', 'b'))


if __name__ == '__main__':
    unittest.main()
