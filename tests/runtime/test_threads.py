"""The limit on threads of BLAS and torch holds as long as any solve runs, and not longer."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, threading
import torch
torch.set_num_threads(2)
from threadpoolctl import threadpool_info
from qpi_core.runtime.threads import one_thread

def counts():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

seen = {"before": counts()}
entered, leave = threading.Event(), threading.Event()

def solve():
    with one_thread():
        seen["torch in the other"] = torch.get_num_threads()
        entered.set()
        leave.wait(10)

other = threading.Thread(target=solve)
with one_thread():
    other.start()
    entered.wait(10)
    seen["both inside"], seen["torch inside"] = counts(), torch.get_num_threads()
seen["one left"] = counts()
leave.set()
other.join()
seen["both left"] = counts()

def later():
    seen["torch later"] = torch.get_num_threads()

with one_thread():
    pass
seen["torch after"] = torch.get_num_threads()
new = threading.Thread(target=later)
new.start()
new.join()
try:
    with one_thread():
        raise RuntimeError
except RuntimeError:
    seen["after an error"] = counts()
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_limit_ends_with_the_last_that_needs_it():
    # A process of its own: here a machine with a single core has two threads too, and nothing else has set a limit.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    if not seen["before"] or min(seen["before"]) < 2:
        pytest.skip("this BLAS lets nobody see its threads")
    assert set(seen["both inside"]) == set(seen["one left"]) == {1}
    assert seen["both left"] == seen["after an error"] == seen["before"]


@pytest.mark.slow
def test_torch_has_its_threads_back_once_nobody_solves():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["torch inside"] == seen["torch in the other"] == 1
    assert seen["torch after"] == seen["torch later"] == 2


LATE_SCRIPT = """
import threading, time
from qpi_core.runtime.threads import one_thread

def late():
    time.sleep(0.3)
    with one_thread():
        print("solved")

def unfinished():
    with one_thread():
        yield

started = unfinished()
if {hold}:
    next(started)
threading.Thread(target=late).start()
"""


@pytest.mark.parametrize("hold", [True, False])
def test_a_solve_at_the_end_of_the_process_is_no_error(hold):
    done = subprocess.run([sys.executable, "-c", LATE_SCRIPT.format(hold=hold)], capture_output=True, text=True, check=True)
    assert done.stdout == "solved\n" and done.stderr == ""
