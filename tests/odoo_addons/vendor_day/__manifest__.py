{
    'name': 'An ordinary day',
    'summary': 'Brings the modules along that an ordinary Odoo has; for tests only',
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['bus', 'iap', 'mail'],
    'installable': True,
}
