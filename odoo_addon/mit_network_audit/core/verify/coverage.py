# Part of Network Audit. License LGPL-3.
"""The marks of the kernel, against what is recorded."""

from .verdict import COVERAGE, NOT_PROVEN, PROVEN, Violation

GAPS = (
    'ring-full socket-table-full process-table-full not-running hook-detached undecodable hint-overrun disk-full '
    'uncommitted hint-failure unexplained claims-silenced'
).split()


class Coverage:
    """The marks of the kernel, against what is recorded."""

    def __init__(self, from_the_first):
        # Is it known where the counts of the run stood? Not where the records begin in the middle of one.
        self.known = from_the_first
        self.events, self.withheld, self.gaps = 0, 0, []
        self._begin(None)

    def _begin(self, run):
        self.run, self.started, self.stopped, self.captured = run, False, False, 0
        # By processor: the last number that a seal accounts for, and numbers and classes of the events since then.
        self.last, self.waiting, self.active = {}, {}, {}

    def gap(self, seq, sentence):
        self.gaps.append(f'record {seq}: {sentence}')

    def follow(self, seq, run):
        """A new run counts anew."""
        if run == self.run:
            return
        if self.run is not None:
            self.known = True
        if self.started and not self.stopped:
            self.gap(seq, f'run {self.run} ended without saying so')
        if waiting := sum(map(len, self.waiting.values())):
            self.gap(seq, f'{waiting} events of run {self.run} come after its last seal: what it lost is not known')
        self._begin(run)

    def starts(self, seq, body):
        if self.started:
            raise Violation(COVERAGE, f'record {seq}: the run begins twice', seq)
        self.started, self.stopped = True, False
        if body['previous'] != 'none':
            self.gap(seq, 'nobody was looking between two runs')

    def loss(self, seq, body):
        """What a LOSS record declares."""
        number = body.get('gap')
        if number is None:
            counted = f'{body["flows"]} flows and {body["calls"]} calls of {body["instance"]}'
            self.gap(seq, f'{counted} were counted and by policy not recorded')
        elif body['count'] != 0:
            word = GAPS[number - 1] if 0 < number <= len(GAPS) else 'unknown'
            count = 'an unknown number' if body['count'] is None else body['count']
            self.gap(seq, f'lost {count} ({word}): {body["detail"]}')

    def event(self, cls, cpu, kseq):
        self.events += 1
        if cpu is not None and kseq is not None:
            waiting = self.waiting.get(cpu)
            if waiting is None:
                waiting = self.waiting[cpu] = []
            waiting.append((kseq, cls))

    def without_body(self):
        self.events += 1
        self.withheld += 1

    def seal(self, seq, body):
        for hook in body['hooks']:
            if self.active.get(hook['name']) and not hook['active']:
                self.gap(seq, f'the hook {hook["name"]} is no longer attached')
            self.active[hook['name']] = hook['active']
        if not body['cpus']:
            return
        for mark in body['cpus']:
            self._mark(seq, *mark)
        if self.waiting:
            cpu = min(self.waiting)
            raise Violation(COVERAGE, f'record {seq}: events of processor {cpu} are not accounted for', seq)
        self.captured += sum(received for _, _, received, _ in body['cpus'])
        if self.known and self.captured != body['captured']:
            raise Violation(COVERAGE, f'record {seq}: the samples received do not add up', seq)
        self.captured, self.known = body['captured'], True

    def _mark(self, seq, cpu, last, received, lost):
        count = received + sum(number for _, number in lost)
        before = self.last.get(cpu, 0)
        if not self.known and not before:
            before = max(last - count, 0)
        elif last - before != count:
            raise Violation(COVERAGE, f'record {seq}: processor {cpu} numbered other samples than it accounts for', seq)
        waiting = self.waiting.pop(cpu, [])
        if len(set(waiting)) != len(waiting):
            raise Violation(COVERAGE, f'record {seq}: a sample of processor {cpu} is recorded twice', seq)
        if any(not before < kseq <= last for kseq, _ in waiting):
            raise Violation(COVERAGE, f'record {seq}: a sample of processor {cpu} is outside of its seal', seq)
        self.last[cpu] = last

    def answer(self):
        if self.withheld:
            return NOT_PROVEN, f'{self.withheld} events are there without their body: their numbers are not known'
        if self.gaps:
            return NOT_PROVEN, f'{len(self.gaps)} gaps, the first: {self.gaps[0]}'
        return PROVEN, f'{self.events} events; what the kernel numbered is recorded, and nothing is declared lost'
