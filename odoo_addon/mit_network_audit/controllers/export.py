# Part of Network Audit. License LGPL-3.
from itertools import chain

from odoo import http
from odoo.exceptions import AccessError, MissingError
from odoo.http import content_disposition, request

from ..access import require
from ..core import client

# The daemon reads the whole period before the first byte comes: the list that is signed stands first.
FIRST_BYTE_SECONDS = 600


class Export(http.Controller):
    @http.route('/network_audit/export/<int:wizard_id>', type='http', auth='user', methods=['GET'])
    def export(self, wizard_id, **_query):
        """The archive, as it comes from the daemon: nothing of it is kept here."""
        try:
            require(request.env)
            # Somebody else's is none of this user's: a record of a transient model is its maker's.
            wizard = request.env['network.audit.export'].browse(wizard_id).exists()
            if not wizard:
                return _sentence('There is no such export: open the form again.', 404)
            question, name = wizard._question(), wizard._file_name()
        except (AccessError, MissingError) as error:
            return _sentence(str(error), 403)
        pieces = client.stream('/v1/export', body=question, seconds=FIRST_BYTE_SECONDS)
        try:
            first = next(pieces, b'')
        except client.NoAnswer as error:
            return _sentence(f'The daemon did not export: {error.detail or error.kind}', 503)
        headers = [
            ('Content-Type', 'application/octet-stream'),
            ('Content-Disposition', content_disposition(name)),
            ('X-Content-Type-Options', 'nosniff'),
            ('Cache-Control', 'no-store'),
        ]
        response = request.make_response(chain([first], pieces), headers)
        # Whoever goes away in the middle lets the daemon go as well.
        response.call_on_close(pieces.close)
        return response


def _sentence(text, status):
    headers = [('Content-Type', 'text/plain; charset=utf-8')]
    return request.make_response(text, headers, status=status)
