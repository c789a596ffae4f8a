"""How long something takes, whatever else the machine and this process have to do."""

import time


def quickest(action, tries=5):
    """Seconds of the processor for `action()` at its best: a collection of garbage may fall into any one try."""
    seconds = []
    for _ in range(tries):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)
