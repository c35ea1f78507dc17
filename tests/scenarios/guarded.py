"""What no ordinary Odoo does, done inside of one."""

import socket
import struct

from attacks import caller

# An echo request, with its checksum.
ECHO = struct.pack('>BBHHH', 8, 0, 0xF7FF, 0, 0)
# For local experiments: nobody listens for it.
ETHERTYPE = 0x88B5


class Guarded:
    """Each method is something that is an alarm, or looks like it."""

    def raw_socket(self, module):
        """Sends an echo request to loopback by itself."""

        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
                raw.sendto(ECHO, ('127.0.0.1', 0))

        caller(module)(send)

    def packet_socket(self, module):
        """Puts frames on loopback by itself."""

        def send():
            with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as packets:
                for _ in range(3):
                    packets.sendto(bytes(40), ('lo', ETHERTYPE))

        caller(module)(send)

    def looks_around(self):
        """As programs do that list interfaces, look up names, and speak to neighbours."""
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
            netlink.bind((0, 0))
        socket.getaddrinfo('localhost', 80)
        socket.if_nameindex()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
            pass
