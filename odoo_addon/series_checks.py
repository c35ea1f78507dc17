# Part of Network Audit. License LGPL-3.
"""What a series of Odoo would refuse, or would silently do otherwise, found without that Odoo.

Each rule stands for a difference that was met by running the series; `faults` gives a sentence for
each place that breaks one. The files come as `series.tree` makes them.
"""

import ast
import csv
import io
import re
from xml.etree import ElementTree

from series import MANIFEST, MASTER, SERIES, manifest_of

# What is the same bytes in each series.
SAME = (
    '.py',
    '.js',
    '.scss',
    '.css',
    '.csv',
    '.po',
    '.pot',
    '.sql',
    '.png',
    '.svg',
    '.html',
    '.md',
    '.rst',
)
# Nothing that a person cannot read before installing it.
UNREADABLE = (
    '.so',
    '.pyd',
    '.dll',
    '.dylib',
    '.pyc',
    '.pyo',
    '.wasm',
    '.min.js',
    '.min.css',
    '.map',
)
LONGEST_LINE = 160

# XML: names that Odoo itself has in every series.
OUTSIDE = {
    'base.group_user',
    'base.group_system',
    'base.res_config_settings_view_form',
    'base.model_res_config_settings',
}
# Bundles that exist, or are ignored, in each series.
BUNDLES = {'web.assets_backend', 'web.assets_web_dark', 'web.assets_tests', 'web.assets_unit_tests'}
# Modules that exist in each series; `rpc` is 19's.
DEPENDS = {'base', 'base_setup', 'web', 'bus', 'mail'}

# JavaScript: what can be imported in each series.
IMPORTS = {
    '@odoo/owl',
    '@web/core/assets',
    '@web/core/browser/browser',
    '@web/core/confirmation_dialog/confirmation_dialog',
    '@web/core/dialog/dialog',
    '@web/core/l10n/dates',
    '@web/core/l10n/localization',
    '@web/core/l10n/translation',
    '@web/core/registry',
    '@web/core/utils/hooks',
    '@web/search/layout',
    '@web/views/fields/standard_field_props',
    '@web/webclient/actions/action_service',
}
# Services that are no services any more since 18.
SERVICES_GONE = ('rpc', 'user')

# Python: names that one series has and another has not, and what to write.
ATTRIBUTES = {
    '_cr': 'env.cr',
    '_uid': 'env.uid',
    '_context': 'env.context',
    'get_misc': 'the environment, or a file of our own',
    'get_module_resource': 'odoo.tools.misc.file_path',
    'get_manifest': 'ir.module.module',
    'read_group': '_read_group',
    'formatted_read_group': '_read_group',
    'check_access': 'has_group',
    'has_access': 'has_group',
    'check_access_rights': 'has_group',
    'check_access_rule': 'has_group',
    'private': 'a leading underscore',
    'readonly': 'nothing',
}
# Only where they hang on these names; on others they may be anything.
ATTRIBUTES_OF = {
    '_cr': ('self',),
    '_uid': ('self',),
    '_context': ('self',),
    'private': ('api',),
    'readonly': ('api',),
}
MODULES = {
    'odoo.osv': 'plain lists as domains',
    'odoo.conf': 'odoo.tools.config',
    'odoo.modules.get_manifest': 'ir.module.module',
}
BOTH = 'write both, by hasattr(models, "Constraint")'
KEYWORDS = {'group_operator', 'aggregator', 'captcha', 'save_session'}
ROUTE_TYPES = ('json', 'jsonrpc')
# Fields that were renamed, so that nobody names them: `groups=` on a menu item works in all.
GROUP_FIELDS = ('groups_id', 'group_ids')


def faults(files, series):
    """A sentence for each place that this series refuses or reads otherwise."""
    yield from _manifest(files, series)
    for name, content in files.items():
        if name.endswith(UNREADABLE):
            yield f'{name} cannot be read before it is installed'
        if name.endswith('.py') and name != MANIFEST:
            yield from (f'{name}: {fault}' for fault in python(content.decode()))
        if name.endswith('.js'):
            yield from (f'{name}: {fault}' for fault in javascript(content.decode()))
        if name.endswith(('.py', '.js', '.scss')):
            yield from (f'{name}: {fault}' for fault in _legible(content.decode()))
        if name.startswith('static/') and name.endswith('.xml'):
            yield from (f'{name}: {fault}' for fault in template(content.decode()))
    yield from _data_files(files, series)
    yield from _own_name(files)


def differences(trees):
    """What has to be the same in all series, and is not."""
    names = {one: set(files) for one, files in trees.items()}
    for one in SERIES:
        for name in sorted(names[MASTER] ^ names[one]):
            yield f'{name} is in {MASTER} or in {one}, and not in both'
        for name in sorted(names[MASTER] & names[one]):
            is_same = trees[MASTER][name] == trees[one][name]
            if name != MANIFEST and name.endswith(SAME) and not is_same:
                yield f'{name} is not the same in {MASTER} and in {one}'
            if name.startswith('static/') and not is_same:
                yield f'{name} is not the same in {MASTER} and in {one}'


def _manifest(files, series):
    manifest = manifest_of(files)
    if not re.fullmatch(rf'{re.escape(series)}\.\d+\.\d+\.\d+', manifest['version']):
        yield f'{MANIFEST}: the version {manifest["version"]} is not one of {series}'
    for name in (*manifest['data'], *manifest.get('demo', ())):
        if name not in files:
            yield f'{MANIFEST}: {name} is not there'
    for name in sorted(set(manifest['depends']) - DEPENDS):
        yield f'{MANIFEST}: not every series has a module {name}'
    for name in sorted(set(manifest['assets']) - BUNDLES):
        yield f'{MANIFEST}: not every series has a bundle {name}'
    if 'static/description/icon.png' not in files:
        yield 'static/description/icon.png is missing: the settings page asks for it'


def python(text):
    """Names, decorators and keywords that not every series has."""
    found = ast.parse(text)
    for node in ast.walk(found):
        yield from _imports(node)
        yield from _attribute(node)
        yield from _class(node)
        yield from _call(node)


def _imports(node):
    names = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module, *(f'{node.module}.{alias.name}' for alias in node.names)]
    for name in names:
        for gone, instead in MODULES.items():
            if name == gone or name.startswith(f'{gone}.'):
                yield f'line {node.lineno}: {name} is not in every series: {instead}'
        if name in ('odoo.registry', 'odoo.fields.Domain', 'odoo.Domain'):
            yield f'line {node.lineno}: {name} is not in every series'


def _attribute(node):
    if not isinstance(node, ast.Attribute) or node.attr not in ATTRIBUTES:
        return
    of = ATTRIBUTES_OF.get(node.attr)
    if of is None or (isinstance(node.value, ast.Name) and node.value.id in of):
        instead = ATTRIBUTES[node.attr]
        yield f'line {node.lineno}: .{node.attr} is not the same in every series: {instead}'


def _class(node):
    if not isinstance(node, ast.ClassDef):
        return
    for item in node.body:
        targets = getattr(item, 'targets', ())
        if any(
            isinstance(target, ast.Name) and target.id == '_sql_constraints' for target in targets
        ):
            yield f'line {item.lineno}: _sql_constraints are ignored since 19: {BOTH}'
        value = getattr(item, 'value', None)
        if isinstance(value, ast.Call) and ast.unparse(value.func) == 'models.Constraint':
            yield f'line {item.lineno}: models.Constraint is not there before 19: {BOTH}'


def _call(node):
    if not isinstance(node, ast.Call):
        return
    function = ast.unparse(node.func)
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS:
            yield f'line {node.lineno}: {keyword.arg}= is not in every series'
        is_route = function.rpartition('.')[2] == 'route' and keyword.arg == 'type'
        if is_route and getattr(keyword.value, 'value', None) in ROUTE_TYPES:
            yield f'line {node.lineno}: "json" until 18, "jsonrpc" since: a constant by the version'
    if function.endswith('env._'):
        yield f'line {node.lineno}: env._ is not there in 17: from odoo import _'


def javascript(text):
    """The header, imports and services."""
    if not text.startswith('/** @odoo-module **/'):
        yield '17 needs /** @odoo-module **/ as the first line'
    for name in re.findall(r'(?:\bfrom|^import)\s+"([^"]+)"', text, re.M):
        if not name.startswith('.') and name not in IMPORTS:
            yield f'not every series has {name}'
    for name in re.findall(r'useService\("(\w+)"\)', text):
        if name in SERVICES_GONE:
            yield f'{name} is no service any more since 18'


def template(text):
    """Of OWL's templates: what its 2.2 does not know."""
    for element in ElementTree.fromstring(text).iter():
        for name in element.keys():
            if name.endswith('.translate'):
                yield f'{name} is not known in 17'


def _legible(text):
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            yield f'line {number} has {len(line)} characters: is that written by a person?'


def _data_files(files, series):
    manifest = manifest_of(files)
    own, used = set(), []
    for name in manifest['data']:
        if name.endswith('.csv') and name in files:
            rows = csv.DictReader(io.StringIO(files[name].decode()))
            for row in rows:
                own.add(row['id'])
                used += [(name, row[key]) for key in row if key.endswith(':id') and row[key]]
        if not name.endswith('.xml') or name not in files:
            continue
        root = ElementTree.fromstring(files[name])
        yield from (f'{name}: {fault}' for fault in data(root, series))
        own.update(
            it.get('id') for it in root.iter() if it.tag in ('record', 'menuitem', 'template')
        )
        used += [(name, reference) for reference in _references(root)]
    own |= {f'model_{model.replace(".", "_")}' for model in _models(files)}
    module = manifest_module(files)
    for name, reference in used:
        reference = reference.removeprefix(f'{module}.')
        if reference not in own and reference not in OUTSIDE:
            yield f'{name}: {reference} is neither here nor known to be in every series'


def _references(root):
    for element in root.iter():
        for name in ('ref', 'action', 'parent', 'inherit_id'):
            if element.get(name) and '(' not in element.get(name):
                yield element.get(name)
        if element.get('groups'):
            yield from (name.lstrip('!') for name in element.get('groups').split(','))
        yield from re.findall(r"ref\('([^']+)'\)", element.get('eval') or '')


def _models(files):
    for name, content in files.items():
        if name.startswith(('models/', 'wizard/')) and name.endswith('.py'):
            yield from re.findall(r"^    _name = '([^']+)'", content.decode(), re.M)


def data(root, series):
    """Records and views of one data file."""
    for record in root.iter('record'):
        named = {field.get('name'): field for field in record.findall('field')}
        where = record.get('id')
        for name in GROUP_FIELDS:
            if name in named:
                yield f'{where}: {name} was renamed in 19: say groups= on a menu item'
        yield from (f'{where}: {fault}' for fault in _record(record.get('model'), named, series))
        if record.get('model') == 'ir.ui.view' and 'arch' in named:
            yield from (f'{where}: {fault}' for fault in view(named['arch'], series))


def _record(model, named, series):
    has_privileges = series == MASTER
    if model == 'res.groups.privilege' and not has_privileges:
        yield 'there are no privileges before 19'
    if model == 'res.groups':
        refused = ('category_id', 'users') if has_privileges else ('privilege_id', 'user_ids')
        yield from (
            f'{name} is not a field of groups in {series}' for name in refused if name in named
        )
    if model == 'ir.cron':
        if series == '17.0' and getattr(named.get('numbercall'), 'text', None) != '-1':
            yield 'in 17 a cron without numbercall -1 runs once'
        if series != '17.0' and {'numbercall', 'doall'} & set(named):
            yield f'numbercall and doall are gone in {series}'
    if model == 'ir.actions.act_window' and 'target' in named and named['target'].text == 'inline':
        yield 'target "inline" is refused by 19'
    if model == 'ir.actions.act_window' and series != '17.0' and 'tree' in _modes(named):
        yield f'a list is called list in {series}'
    if model == 'ir.actions.act_window' and series == '17.0' and 'list' in _modes(named):
        yield 'a list is called tree in 17'


def _modes(named):
    return (named['view_mode'].text or '').split(',') if 'view_mode' in named else ()


def view(arch, series):
    """The words of a view that a series refuses."""
    refused = 'list' if series == '17.0' else 'tree'
    for element in arch.iter():
        if element.tag == refused:
            yield f'<{refused}> is refused by {series}'
        for name in ('attrs', 'states'):
            if name in element.keys():
                yield f'{name}= is refused by each series: write the expression'
        if element.get('t-name') == ('card' if series == '17.0' else 'kanban-box'):
            yield f'{element.get("t-name")} is not the template of a card in {series}'
        if element.tag == 'chatter' or element.get('class') == 'oe_chatter':
            yield 'the chatter is written in two ways: leave it out'
        for name in ('expr',):
            if re.search(rf'(^|/){refused}\b', element.get(name) or ''):
                yield f'{element.get(name)} finds nothing in {series}'


def manifest_module(files):
    """The technical name, from the one place of the code that spells it."""
    return re.search(r"^OWN = '(\w+)'$", files['core/frames.py'].decode(), re.M)[1]


# Where Odoo wants the name itself: neither a variable nor a relative path is possible there.
SPELLED = {
    MANIFEST: 4,  # patterns of assets
    'views/network_audit_menus.xml': 2,  # the icon, and where the handbook is served
    'views/res_config_settings_views.xml': 2,  # the block's name, and the context that opens it
}


def _own_name(files):
    """The code spells its own technical name once: one place cannot be forgotten."""
    module = manifest_module(files)
    for name, content in files.items():
        if not name.endswith(('.py', '.js', '.xml', '.scss', '.csv', '.sql')):
            continue
        count = content.decode().count(module)
        allowed = 1 if name == 'core/frames.py' else SPELLED.get(name, 0)
        if count != allowed:
            yield f'{name} spells the technical name {count} times, and {allowed} are needed'
