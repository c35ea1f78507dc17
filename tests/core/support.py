"""What the core's tests stand on: the core under its real name, and code that plays addons."""

import importlib
import pathlib
import sys
import types

ADDON = pathlib.Path(__file__).parents[2] / 'odoo_addon' / 'mit_network_audit'


def _package(name, path):
    module = types.ModuleType(name)
    module.__path__ = [str(path)] if path else []
    sys.modules[name] = module


# Empty packages stand where Odoo would be: the core finds nothing in them to import.
_package('odoo', None)
_package('odoo.addons', None)
_package('odoo.addons.mit_network_audit', ADDON)


def core(name):
    return importlib.import_module('odoo.addons.mit_network_audit.core.' + name)


def addon(module, source, **names):
    """Runs `source` as a module of an addon (`vendor.models.x`); returns its globals."""
    loaded = types.ModuleType('odoo.addons.' + module)
    sys.modules[loaded.__name__] = loaded
    vars(loaded).update(names)
    exec(compile(source, f'/srv/addons/{module.replace(".", "/")}.py', 'exec'), vars(loaded))
    return vars(loaded)


def calls(module, names='function, *args, **kwargs'):
    """A function of an addon that calls what it is given."""
    return addon(module, f'def go({names}):\n    return function(*args, **kwargs)\n')['go']
