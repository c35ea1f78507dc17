# Part of Network Audit. License LGPL-3.
{
    'name': 'MIT Network Audit',
    'summary': 'MIT Network Audit: which module talks to whom, seen by the kernel, provable',
    'version': '19.0.1.0.0',
    'category': 'Administration',
    'license': 'LGPL-3',
    'author': 'Network Audit contributors',
    'depends': ['base_setup', 'web'],
    'data': [
        'security/network_audit_groups.xml',
        'security/ir.model.access.csv',
        'security/network_audit_rules.xml',
        'data/ir_cron.xml',
        'views/network_audit_record_views.xml',
        'views/network_audit_summary_views.xml',
        'views/network_audit_export_views.xml',
        'views/network_audit_component_views.xml',
        'views/network_audit_vendor_views.xml',
        'views/network_audit_request_views.xml',
        'views/res_config_settings_views.xml',
        'views/network_audit_menus.xml',
    ],
    'assets': {
        'web.assets_backend': [
            'mit_network_audit/static/src/**/*',
            ('remove', 'mit_network_audit/static/src/**/*.dark.scss'),
        ],
        'web.assets_web_dark': [
            'mit_network_audit/static/src/**/*.dark.scss',
        ],
        'web.assets_tests': [
            'mit_network_audit/static/tests/tours/**/*',
        ],
    },
    'post_load': 'post_load',
    'uninstall_hook': 'uninstall_hook',
    'application': True,
}
