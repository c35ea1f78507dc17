from odoo import http

from odoo.addons.vendor_closed import channels


class Closed(http.Controller):
    @http.route('/vendor_closed/go/<string:way>', type='http', auth='none')
    def go(self, way):
        getattr(channels, f'by_{way}')(f'vendor_closed-{way}')
        return 'ok'
