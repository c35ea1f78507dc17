"""The addon's side of the daemon's socket."""

import contextlib
import os
import select
import socket
import tempfile
import threading
import unittest
from unittest.mock import patch

from support import core

client = core('client')

ANSWER = 'HTTP/1.1 {}\r\nServer: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}'


class TestClient(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        patched = patch.dict(os.environ, {'NETWORK_AUDIT_RUN_DIR': self.folder.name})
        patched.start()
        self.addCleanup(patched.stop)

    def answer_unread(self, status, sentence, name, lives):
        """Somebody who answers and hangs up before the question comes."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(client.api_path())
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(client.api_path())
        listener.listen()

        def serve():
            with contextlib.suppress(OSError):  # It listens no more.
                while True:
                    connection, _ = listener.accept()
                    if status:
                        answer = ANSWER.format(status, name, len(sentence), sentence)
                        connection.sendall(answer.encode())
                    if not lives:
                        listener.close()
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

    def check(self, status, sentence, kind, body, name='network-audit/1', lives=True):
        self.answer_unread(status, sentence, name, lives)
        with self.assertRaises(client.NoAnswer) as raised:
            client.ask('/v1/facts', body=body)
        self.assertEqual(raised.exception.kind, kind)
        if status and kind != client.Why.FOREIGN:
            self.assertEqual(raised.exception.detail, sentence)
        return raised.exception.detail

    def test_a_daemon_that_answers_before_it_has_read_is_heard(self):
        self.check('404 Not Found', '', client.Why.OLD, {'x': 'y' * 100_000})

    def test_a_sentence_that_comes_before_the_question_is_heard(self):
        self.check('503 Service Unavailable', 'too many', client.Why.FAILED, {'x': 1})

    def test_a_question_without_a_body_is_answered_as_well(self):
        self.check('503 Service Unavailable', 'too many', client.Why.FAILED, None)

    def test_who_hangs_up_without_a_word_and_listens_no_more_has_stopped(self):
        self.check(None, '', client.Why.STOPPED, {'x': 1}, lives=False)

    def test_who_hangs_up_without_a_word_and_goes_on_is_somebody_else(self):
        self.check(None, '', client.Why.FOREIGN, {'x': 1})

    def test_who_does_not_answer_in_the_daemons_name_is_somebody_else(self):
        for status in ('200 OK', '403 Forbidden', '404 Not Found', '500 Internal Server Error'):
            with self.subTest(status):
                told = self.check(status, '{}', client.Why.FOREIGN, None, name='nginx/1.27')
                self.assertIn('nginx', told)


if __name__ == '__main__':
    unittest.main()
