"""The addon for each series of Odoo: what is written, and that what a series refuses is found.

    python3 -m unittest discover -s tests
"""

import pathlib
import sys
import tempfile
import unittest
from xml.etree import ElementTree

ADDONS = pathlib.Path(__file__).resolve().parents[1] / 'odoo_addon'
sys.path.insert(0, str(ADDONS))

import series  # noqa: E402
import series_checks  # noqa: E402

GROUPS, CRON = 'security/network_audit_groups.xml', 'data/ir_cron.xml'
LIST, MENUS = 'views/network_audit_record_views.xml', 'views/network_audit_menus.xml'
PYTHON, SCRIPT = 'models/network_audit_record.py', 'static/src/trust_report/trust_report.js'


class TestTrees(unittest.TestCase):
    def test_no_series_refuses_anything(self):
        self.assertEqual(series.check(), [])

    def test_each_tree_is_of_its_series(self):
        for one in series.SERIES:
            files = series.tree(one)
            self.assertTrue(series.manifest_of(files)['version'].startswith(f'{one}.'))

    def test_the_master_is_written_as_it_is(self):
        self.assertEqual(series.tree(series.MASTER), series.master())

    def test_the_groups_of_18_stand_in_the_category_of_their_privilege(self):
        root = ElementTree.fromstring(series.tree('18.0')[GROUPS])
        named = {it.get('id'): it for it in root.iter('record')}
        for group in ('group_audit', 'group_officer'):
            field = named[group].find('field[@name="category_id"]')
            self.assertEqual(field.get('ref'), 'module_category_network_audit')
        self.assertNotIn('privilege_network_audit', named)

    def test_every_list_of_17_is_a_tree(self):
        files = series.tree('17.0')
        views = [name for name in files if name.startswith('views/')]
        found = [it for name in views for it in ElementTree.fromstring(files[name]).iter('tree')]
        before = [it for name in views for it in ElementTree.fromstring(series.master()[name]).iter('list')]
        self.assertGreater(len(found), 3)
        self.assertEqual(len(found), len(before))

    def test_writing_removes_what_an_earlier_writing_left(self):
        with tempfile.TemporaryDirectory() as folder:
            (target,) = series.write(folder, ('17.0',))
            (target / 'gone.py').write_text('')
            list(series.write(folder, ('17.0',)))
            written = {it.relative_to(target).as_posix() for it in target.rglob('*') if it.is_file()}
            self.assertEqual(written, set(series.tree('17.0')))

    def test_a_folder_that_is_no_addon_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            mine = pathlib.Path(folder, '17.0', series.source().name, 'mine.txt')
            mine.parent.mkdir(parents=True)
            mine.write_text('')
            with self.assertRaises(SystemExit):
                list(series.write(folder, ('17.0',)))
            self.assertTrue(mine.exists())

    def test_archives_of_one_source_are_equal_to_the_byte(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            for first, second in zip(series.dist(one), series.dist(two)):
                self.assertEqual(first.read_bytes(), second.read_bytes())
                self.assertEqual(first.name, second.name)


def fault(name):
    """A test that a change of one file is found: the series, the file, the change, the words."""
    one, path, change, words = FAULTS[name]

    def test(self):
        files = dict(series.tree(one))
        before = files[path].decode()
        after = change(before)
        self.assertNotEqual(before, after, 'the change changes nothing')
        files[path] = after.encode()
        found = list(series_checks.faults(files, one))
        self.assertTrue(any(words in it for it in found), f'{words!r} is not among {found}')

    return test


def replaced(old, new):
    return lambda text: text.replace(old, new)


def ended_with(more):
    return lambda text: text + more


FAULTS = {
    'a_list_in_17': (
        '17.0',
        LIST,
        lambda text: text.replace('<tree', '<list').replace('</tree', '</list'),
        '<list> is refused by 17.0',
    ),
    'a_tree_in_18': (
        '18.0',
        LIST,
        lambda text: text.replace('<list', '<tree').replace('</list', '</tree'),
        '<tree> is refused by 18.0',
    ),
    'the_mode_list_in_17': ('17.0', LIST, replaced('>tree,form', '>list,form'), 'called tree in 17'),
    'the_mode_tree_in_19': ('19.0', LIST, replaced('>list,form', '>tree,form'), 'called list in 19.0'),
    'attrs': ('19.0', LIST, replaced('invisible="not handshake"', 'attrs="{}"'), 'attrs= is refused'),
    'an_inline_target': (
        '18.0',
        LIST,
        replaced('<field name="res_model">', '<field name="target">inline</field><field name="res_model">'),
        'inline',
    ),
    'a_privilege_in_18': (
        '18.0',
        GROUPS,
        replaced('</odoo>', '<record id="p" model="res.groups.privilege"/></odoo>'),
        'no privileges before 19',
    ),
    'a_category_of_a_group_in_19': (
        '19.0',
        GROUPS,
        replaced('<field name="privilege_id" ref="privilege_network_audit"/>', '<field name="category_id" ref="module_category_network_audit"/>'),
        'category_id is not a field of groups in 19.0',
    ),
    'a_cron_that_runs_once_in_17': ('17.0', CRON, replaced('>-1<', '>1<'), 'runs once'),
    'numbercall_in_18': (
        '18.0',
        CRON,
        replaced('<field name="state">', '<field name="numbercall">-1</field><field name="state">'),
        'numbercall and doall are gone',
    ),
    'the_groups_of_a_record': (
        '19.0',
        LIST,
        replaced('<field name="res_model">', '<field name="group_ids" eval="[]"/><field name="res_model">'),
        'was renamed in 19',
    ),
    'a_reference_to_nothing': ('19.0', MENUS, replaced('action="network_audit_record_action"', 'action="gone"'), 'gone is neither here'),
    'the_name_in_code': ('19.0', PYTHON, ended_with("NAME = 'mit_network_audit'\n"), 'spells the technical name'),
    'the_name_in_a_script': ('19.0', SCRIPT, ended_with('const name = "mit_network_audit";\n'), 'spells the technical name'),
    'a_script_without_a_header': ('17.0', SCRIPT, replaced('/** @odoo-module **/', ''), 'first line'),
    'a_service_that_is_gone': ('18.0', SCRIPT, ended_with('useService("rpc");\n'), 'rpc is no service'),
    'an_import_of_18': ('17.0', SCRIPT, ended_with('import { user } from "@web/core/user";\n'), '@web/core/user'),
    'something_minified': ('19.0', SCRIPT, ended_with('a' * 400 + '\n'), 'written by a person'),
    'sql_constraints': ('19.0', PYTHON, ended_with('\nclass A:\n    _sql_constraints = []\n'), '_sql_constraints'),
    'a_constraint': (
        '17.0',
        PYTHON,
        ended_with("\nclass A:\n    one = models.Constraint('UNIQUE (a)', 'b')\n"),
        'models.Constraint',
    ),
    'a_type_of_a_route': (
        '17.0',
        PYTHON,
        ended_with("\n@http.route('/a', type='jsonrpc')\ndef a(): pass\n"),
        'a constant by the version',
    ),
    'osv': ('19.0', PYTHON, ended_with('from odoo.osv import expression\n'), 'odoo.osv is not in every'),
    'read_group': ('19.0', PYTHON, ended_with('env.read_group([])\n'), '.read_group is not the same'),
    'translation_by_the_environment': ('17.0', PYTHON, ended_with("self.env._('a')\n"), 'env._ is not there in 17'),
    'the_old_cursor': ('19.0', PYTHON, ended_with('self._cr.commit()\n'), '._cr is not the same'),
    'a_module_that_17_has_not': (
        '17.0',
        '__manifest__.py',
        replaced("'depends': [", "'depends': ['rpc', "),
        'a module rpc',
    ),
}


class TestFaults(unittest.TestCase):
    """Each rule can fail."""

    def test_a_file_that_is_not_the_same_in_all_series(self):
        trees = {one: series.tree(one) for one in series.SERIES}
        trees['17.0'][PYTHON] += b'\n'
        self.assertEqual(list(series_checks.differences(trees)), [f'{PYTHON} is not the same in 19.0 and in 17.0'])

    def test_something_compiled(self):
        files = {**series.tree('19.0'), 'core/fast.so': b''}
        found = list(series_checks.faults(files, '19.0'))
        self.assertEqual(found, ['core/fast.so cannot be read before it is installed'])


for _name in FAULTS:
    setattr(TestFaults, f'test_{_name}', fault(_name))

if __name__ == '__main__':
    unittest.main()
