# Part of Network Audit. License LGPL-3.
{
    'name': 'MIT Network Audit',
    'summary': 'MIT Network Audit: says which module talks to whom, to an auditor that watches from the kernel',
    'version': '19.0.0.1.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base_setup', 'web'],
    'data': [],
    'post_load': 'post_load',
    'application': True,
    'installable': True,
}
