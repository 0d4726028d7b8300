"""The word that a bridge and a kernel share: which request an interrupt is for."""

import os

from sandbox_image.glovebox_interrupts import Interrupts


def test_what_one_process_notes_another_takes_once() -> None:
    interrupts = Interrupts()
    pid = os.fork()
    if pid == 0:
        interrupts.note(2**40 + 3)
        os._exit(0)
    os.waitpid(pid, 0)
    assert interrupts.take() == 2**40 + 3
    assert interrupts.take() == 0
