{
    'name': 'A vendor under load',
    'summary': 'Goes out by a mix of channels; copied under several names, and for tests only',
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base', 'web'],
    'installable': True,
}
