{
    'name': 'Another demonstration vendor',
    'summary': 'Uses the connection that the demonstration vendor opened: for tests only',
    'version': '19.0.1.0.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['vendor_demo'],
    'data': ['security/ir.model.access.csv'],
    'installable': True,
}
