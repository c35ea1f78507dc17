"""The addon's side of the daemon's socket."""

import os
import select
import socket
import tempfile
import threading
import unittest
from unittest.mock import patch

from support import core

client = core('client')

ANSWER = 'HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}'


class TestClient(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patched = patch.dict(os.environ, {'NETWORK_AUDIT_RUN_DIR': self.folder.name})
        patched.start()
        self.addCleanup(patched.stop)

    def answer_unread(self, status, sentence):
        """Somebody who answers and hangs up before the question comes."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(client.api_path())
        listener.listen()

        def serve():
            connection, _ = listener.accept()
            if status:
                connection.sendall(ANSWER.format(status, len(sentence), sentence).encode())
            connection.close()

        threading.Thread(target=serve, daemon=True).start()
        connect = client._LocalConnection.connect

        def connect_and_wait(connection):
            connect(connection)
            poll = select.poll()
            poll.register(connection.sock.fileno(), select.POLLHUP)
            assert poll.poll(5000), 'it hangs up'

        patched = patch.object(client._LocalConnection, 'connect', connect_and_wait)
        patched.start()
        self.addCleanup(patched.stop)

    def check(self, status, sentence, kind, body):
        self.answer_unread(status, sentence)
        with self.assertRaises(client.NoAnswer) as raised:
            client.ask('/v1/facts', body=body)
        self.assertEqual(raised.exception.kind, kind)
        if status:
            self.assertEqual(raised.exception.detail, sentence)

    def test_a_daemon_that_answers_before_it_has_read_is_heard(self):
        self.check('404 Not Found', '', client.Why.OLD, {'x': 'y' * 100_000})

    def test_a_sentence_that_comes_before_the_question_is_heard(self):
        self.check('503 Service Unavailable', 'too many', client.Why.FAILED, {'x': 1})

    def test_a_question_without_a_body_is_answered_as_well(self):
        self.check('503 Service Unavailable', 'too many', client.Why.FAILED, None)

    def test_who_hangs_up_without_a_word_has_stopped(self):
        self.check(None, '', client.Why.STOPPED, {'x': 1})


if __name__ == '__main__':
    unittest.main()
