{
    'name': 'Demonstration vendor',
    'summary': 'Goes out by every channel, to servers on loopback: for demonstrations only',
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base', 'web'],
    'data': [
        'security/ir.model.access.csv',
        'data/ir_actions_server.xml',
        'data/ir_cron.xml',
        'views/vendor_demo_views.xml',
    ],
    'application': True,
    'installable': True,
}
