"""What windows of events must hold, computed in Python from the rules of event time and from nothing of Millrace: the oracle of the crash tests.

Two ways. `tumbling`, `hopping` and `sessions` need only the set of events: they are right whenever no document can be late, whatever the order it
arrives in. `Exact` takes one partition's events in their order, and says which of them are late.

An event is (milliseconds, key, number). All comparisons are on integer milliseconds.
"""
import collections


def summary(numbers):
    """What the tests' `$group` makes of a window's numbers."""
    return {"n": len(numbers), "total": sum(numbers), "mean": sum(numbers) / len(numbers), "least": min(numbers), "most": max(numbers)}


def starts(at, interval, hop):
    """The windows that an event belongs to: every multiple of the hop in (at - interval, at]."""
    start = at // hop * hop
    while start > at - interval:
        yield start
        start -= hop


def hopping(events, interval, hop):
    """(key, start, end) → summary."""
    windows = collections.defaultdict(list)
    for at, key, number in events:
        for start in starts(at, interval, hop):
            windows[key, start, start + interval].append(number)
    return {window: summary(numbers) for window, numbers in windows.items()}


def tumbling(events, interval):
    return hopping(events, interval, interval)


def sessions(events, gap):
    """Events of one key belong together while each is less than `gap` after the one before."""
    by_key = collections.defaultdict(list)
    for at, key, number in events:
        by_key[key].append((at, number))
    found = {}
    for key, members in by_key.items():
        members.sort()
        session = [members[0]]
        for member in members[1:] + [None]:
            if member is None or member[0] - session[-1][0] >= gap:
                found[key, session[0][0], session[-1][0] + gap] = summary([number for _, number in session])
                session = []
            session.append(member)
    return found


class Exact:
    """One partition, document by document: lateness is decided with the watermark as it was, then the watermark moves, then windows close."""

    def __init__(self, lateness):
        self.lateness = lateness
        self.watermark = None
        self.results = {}
        self.late = []  # what was handed over as `name`

    def move(self, at):
        """A document that no window holds, because a filter took it, moves the time all the same."""
        self.watermark = at if self.watermark is None else max(self.watermark, at)
        self.close()


class ExactHopping(Exact):
    def __init__(self, interval, hop, lateness):
        super().__init__(lateness)
        self.interval, self.hop = interval, hop
        self.open = collections.defaultdict(list)  # (end, start) → [(key, number)]

    def add(self, at, key, number, name):
        windows = [(start + self.interval, start) for start in starts(at, self.interval, self.hop)]
        if self.watermark is not None:
            windows = [window for window in windows if window[0] > self.watermark - self.lateness]
        for window in windows:
            self.open[window].append((key, number))
        if not windows:
            self.late.append(name)
        self.move(at)

    def close(self):
        for window in sorted(self.open):
            if window[0] > self.watermark - self.lateness:
                break
            end, start = window
            numbers = collections.defaultdict(list)
            for key, number in self.open.pop(window):
                numbers[key].append(number)
            for key, members in numbers.items():
                self.results[key, start, end] = summary(members)


class ExactSessions(Exact):
    def __init__(self, gap, lateness):
        super().__init__(lateness)
        self.gap = gap
        self.open = collections.defaultdict(list)  # key → [[least, most, numbers]]

    def add(self, at, key, number, name):
        joined = [s for s in self.open[key] if s[0] - self.gap < at < s[1] + self.gap]
        if joined or self.watermark is None or at >= self.watermark:
            merged = [min([at] + [s[0] for s in joined]), max([at] + [s[1] for s in joined]), [n for s in joined for n in s[2]] + [number]]
            self.open[key] = [s for s in self.open[key] if s not in joined] + [merged]
        else:
            self.late.append(name)
        self.move(at)

    def close(self):
        for key, opened in self.open.items():
            for session in [s for s in opened if self.watermark >= s[1] + self.gap + self.lateness]:
                opened.remove(session)
                self.results[key, session[0], session[1] + self.gap] = summary(session[2])
