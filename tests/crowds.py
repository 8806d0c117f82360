"""Several Python threads that do something at once."""

import sys
import threading


def in_threads(work, number=4):
    """Run ``work(k)`` in several threads at once; what any of them raised is raised."""
    failed = []

    def guarded(k):
        try:
            work(k)
        except BaseException as error:
            failed.append(error)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(number)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    if failed:
        raise failed[0]
