from odoo import SUPERUSER_ID, http
from odoo.http import request


class VendorDemo(http.Controller):
    @http.route('/vendor_demo/press', type='http', auth='none')
    def press(self, channel='requests', operation=None, **_unused):
        """Goes out by a channel, without a login: this module is for demonstrations only."""
        model = request.env(user=SUPERUSER_ID)['vendor.demo']
        return request.make_json_response(
            {'channel': channel, 'operation': model.run_channel(channel, operation)}
        )

    @http.route('/vendor_demo/plant', type='http', auth='none')
    def plant(self, seed):
        """Goes out with secrets in all places."""
        return request.make_json_response(request.env(user=SUPERUSER_ID)['vendor.demo'].plant_markers(seed))

    @http.route('/vendor_demo/hello/<string:name>', type='http', auth='none')
    def hello(self, name):
        """Goes nowhere: something to ask for from outside."""
        return request.make_json_response({'hello': name})
