"""The table at the end of `make reference`: how far every network is from a published one."""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before anything imports keras

import compare


def pytest_sessionstart():
    try:
        import torch
    except ModuleNotFoundError:
        return
    torch.set_num_threads(1)  # its threads wait by spinning, and the other core has work


def pytest_terminal_summary(terminalreporter):
    """One line a network, reference, program and size; the two backends beside each other."""
    lines = {}
    for row in compare.table:
        lines.setdefault((row.case, row.program), {})[row.backend] = row
    if not lines:
        return
    terminalreporter.section(
        "our networks beside published ones: |ours - theirs| / |theirs|, numpy and numba"
    )
    line = "{:<18} {:<34} {:<9} {:<21} {:<16} {:<16} {:<16} {}".format
    heads = ("network", "reference", "size", "program", "forward", "gradients", "worst tensor", "limits")
    terminalreporter.write_line(line(*heads))
    for (case, program), rows in lines.items():
        both = [[getattr(row, key) for row in rows.values()] for key in ("forward", "gradients", "tensor")]
        numbers = (" ".join(f"{value:.1e}" for value in pair) for pair in both)
        forward, gradients = (f"{limit:.0e}" for limit in compare.LIMITS[program.split()[0]])
        limits = f"{forward} {gradients if compare.judged(case, program) else '(kinks)'}"
        size = " x ".join(map(str, case.size))
        terminalreporter.write_line(line(case.network, case.reference, size, program, *numbers, limits))
