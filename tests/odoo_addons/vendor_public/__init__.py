"""Odoo has no setting for where VIES is: here it is on loopback."""

import json
import os

import stdnum.eu.vat

SERVERS = json.loads(os.environ.get('VENDOR_DEMO_SERVERS', '{}'))
if 'soap' in SERVERS:
    stdnum.eu.vat.vies_wsdl = f'http://127.0.0.1:{SERVERS["soap"]}/checkVatService.wsdl'
