# Part of Network Audit. License LGPL-3.
"""Six answers, and what they come to."""

import json

from .forms import sha256

MAX_GAPS = 100
QUESTIONS = AUTHENTICITY, INTEGRITY, HEAD, TAIL, TIME, COVERAGE = (
    'authenticity',
    'integrity',
    'head',
    'tail',
    'time',
    'coverage',
)
PROVEN, NOT_PROVEN, VIOLATED = 'proven', 'not proven', 'violated'
EXIT_PROVEN, EXIT_IO, EXIT_USAGE, EXIT_TAMPERED, EXIT_GAPS, EXIT_UNKNOWN = range(6)


class Violation(Exception):
    """The evidence contradicts itself, or its signatures."""

    def __init__(self, question, sentence, record=None):
        super().__init__(sentence)
        self.question, self.record = question, record


class Unknown(Exception):
    """It cannot be judged: an unknown key, or a newer format."""


class Verdict:
    """Six answers, and what they come to."""

    def __init__(self, origin=''):
        self.origin = origin
        self.answers = {question: (NOT_PROVEN, 'the verification ended before its time') for question in QUESTIONS}
        self.required = {question: question not in (TAIL, TIME) for question in QUESTIONS}
        self.finding = None
        self.records, self.size, self.root, self.sealed_wall_ns, self.unsealed = 0, 0, sha256(), 0, 0
        self.gaps = []

    def say(self, question, standing, sentence):
        self.answers[question] = (standing, sentence)

    def end(self, finding):
        """What was found ends it: all that is not contradicted is open."""
        self.finding = finding
        for question in QUESTIONS:
            if self.answers[question][0] != VIOLATED:
                self.say(question, NOT_PROVEN, 'the verification ended before its time')
        if isinstance(finding, Violation):
            self.say(finding.question, VIOLATED, str(finding))

    @property
    def exit(self):
        standings = {question: standing for question, (standing, _) in self.answers.items()}
        if VIOLATED in standings.values():
            return EXIT_TAMPERED
        if isinstance(self.finding, Unknown):
            return EXIT_UNKNOWN
        if any(standings[question] != PROVEN for question in QUESTIONS if self.required[question]):
            return EXIT_GAPS
        return EXIT_PROVEN

    @property
    def summary(self):
        so_far = f'{self.records} records, sealed up to size {self.size}'
        if self.exit == EXIT_TAMPERED:
            found = [sentence for standing, sentence in self.answers.values() if standing == VIOLATED]
            return f'tampered: {self.finding or found[0]}'
        if self.exit == EXIT_UNKNOWN:
            return f'cannot be verified: {self.finding}'
        return ('proven: ' if self.exit == EXIT_PROVEN else 'intact, with gaps: ') + so_far

    def to_text(self):
        lines = [f'{self.origin}: {self.summary}']
        lines += [f'  {question:<12} {standing:<10}  {text}' for question, (standing, text) in self.answers.items()]
        lines += [f'  gap: {gap}' for gap in self.gaps[:20]]
        if len(self.gaps) > 20:
            lines.append(f'  … and {len(self.gaps) - 20} more gaps')
        return '\n'.join(lines)

    def to_json(self):
        finding = None
        if isinstance(self.finding, Unknown):
            finding = {'kind': 'unknown', 'sentence': str(self.finding)}
        elif self.finding:
            finding = {'kind': 'violated', 'question': self.finding.question, 'record': self.finding.record}
            finding['sentence'] = str(self.finding)
        answers = {
            question: {'standing': standing, 'sentence': sentence, 'required': self.required[question]}
            for question, (standing, sentence) in self.answers.items()
        }
        found = {'origin': self.origin, 'exit': self.exit, 'summary': self.summary}
        found |= {'answers': answers, 'finding': finding}
        found |= {'records': self.records, 'size': self.size, 'root': self.root.hex()}
        found |= {'sealed_wall_ns': self.sealed_wall_ns, 'unsealed': self.unsealed}
        found |= {'gaps': self.gaps[:MAX_GAPS], 'gap_count': len(self.gaps)}
        return json.dumps(found, ensure_ascii=False, separators=(',', ':'))
