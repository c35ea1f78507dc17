{
    'name': 'Public addons',
    'summary': "Has public addons, and some of Odoo's own, installed together: for tests only",
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': [
        'auto_backup',
        'base_vat',
        'fastapi',
        'fs_storage',
        'mail',
        'partner_autocomplete',
        'queue_job',
        'webservice',
    ],
    'installable': True,
}
