# Part of Network Audit. License LGPL-3.
{
    'name': 'MIT Network Audit',
    'summary': 'MIT Network Audit: tells an auditor in the kernel which module talks to whom',
    'version': '19.0.0.1.0',
    'category': 'Technical',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base_setup', 'web'],
    'post_load': 'post_load',
    'application': True,
}
