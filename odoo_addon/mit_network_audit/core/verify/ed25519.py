# Part of Network Audit. License LGPL-3.
"""Ed25519, by the ``openssl`` command. What that lets pass and a strict verifier does not is refused here."""

import concurrent.futures
import os
import subprocess
import tempfile

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
# The ordinates of the eight points of small order: two have order 4, one each 1 and 2, and the other four order 8.
OF_ORDER_8 = 55188659117513257062467267217118295137698188065244968500265048394206261417927
SMALL = {0, 1, P - 1, OF_ORDER_8, P - OF_ORDER_8}
SPKI = bytes.fromhex('302a300506032b6570032100')


def is_small_order(point):
    return (int.from_bytes(point, 'little') & ~(1 << 255)) % P in SMALL


def verify_strictly(public, message, signature):
    """Is this the signature of the message? Starts `openssl`."""
    if len(signature) != 64:
        return False
    point, scalar = signature[:32], int.from_bytes(signature[32:], 'little')
    canonical = (int.from_bytes(point, 'little') & ~(1 << 255)) < P and scalar < L
    if not canonical or is_small_order(public) or is_small_order(point):
        return False
    with tempfile.TemporaryDirectory() as folder:
        key, text, sig = (os.path.join(folder, name) for name in ('key', 'text', 'sig'))
        for path, content in ((key, SPKI + public), (text, message), (sig, signature)):
            with open(path, 'wb') as file:
                file.write(content)
        command = ['openssl', 'pkeyutl', '-verify', '-rawin', '-pubin', '-keyform', 'DER', '-inkey', key]
        result = subprocess.run(
            command + ['-in', text, '-sigfile', sig], capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    if result.returncode not in (0, 1):
        raise OSError(f'openssl cannot verify: {result.stderr.decode(errors="replace").strip()}')
    return result.returncode == 0


class Signatures:
    """Answers, kept: `openssl` takes one signature for each start, so as many run at a time as there are processors."""

    def __init__(self):
        self.known = {}

    def ahead(self, signatures):
        """Verifies what will be asked about."""
        wanted = [signature for signature in dict.fromkeys(signatures) if signature not in self.known]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            self.known.update(zip(wanted, pool.map(lambda signature: verify_strictly(*signature), wanted), strict=True))

    def __call__(self, *signature):
        if signature not in self.known:
            self.known[signature] = verify_strictly(*signature)
        return self.known[signature]


verify_signature = SIGNATURES = Signatures()
