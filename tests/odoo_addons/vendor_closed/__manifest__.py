{
    'name': 'A vendor that shows nothing',
    'summary': 'Goes out by some channels; shipped in several ways, and for tests only',
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base', 'web'],
    'installable': True,
}
