"""The same calls on a cluster: a scheduler and two worker processes, one of which dies."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from transfer_photos import HOW, SLOW, files, folder, network

import mini_nn
from mini_nn import features, transfer

joblib = pytest.importorskip("joblib", reason="the cluster needs the extras eval and scale")
distributed = pytest.importorskip("distributed", reason="the cluster needs the extra scale")
pytest.importorskip("sklearn", reason="features need the extra eval")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A client of a real scheduler with two worker processes."""
    import dask

    settings = {
        "distributed.worker.daemon": False,
        "temporary-directory": str(tmp_path_factory.mktemp("dask")),
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as two,
        distributed.Client(two) as client,
    ):
        yield client


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_features_on_a_cluster_survive_the_death_of_a_worker(cluster, tmp_path):
    """Same bytes, nothing lost, and the work was the cluster's."""
    paths, cache = files(folder(tmp_path / "photos", 16)), tmp_path / "cache"
    pids = cluster.run(os.getpid)
    assert len(pids) == 2
    killed = []

    def kill():
        while not list(cache.rglob("*.npz")):
            time.sleep(0.01)
        killed.append(len(list(cache.rglob("*.npz"))))
        os.kill(min(pids.values()), signal.SIGKILL)

    threading.Thread(target=kill, daemon=True).start()
    with joblib.parallel_config("dask"):
        rows = features.compute(network(), SLOW, paths, cache, workers=2, quiet=True)
    assert killed, "nobody was killed"
    assert np.array_equal(rows, features.compute(network(), HOW, paths, workers=1, quiet=True))
    assert len(list(cache.rglob("*.npz"))) > killed[0]
    cluster.wait_for_workers(2, timeout=300)
    assert set(cluster.run(os.getpid).values()) != set(pids.values())


def test_a_sweep_of_seeds_on_a_cluster_is_the_runs_one_by_one(cluster, tmp_path):
    photos = folder(tmp_path / "photos", 6)
    common = {"strategy": "A", "model": (network(), HOW), "quiet": True}
    with joblib.parallel_config("dask"):
        runs = transfer.sweep(photos, [{**common, "seed": s, "cache": tmp_path / "c"} for s in (0, 1)])
    for seed, one in enumerate(runs):
        alone = transfer.fit(photos, seed=seed, cache=tmp_path / "other", workers=1, **common)
        assert alone.paths == one.paths
        assert np.array_equal(alone.probabilities, one.probabilities)


def test_a_broken_photograph_is_named_by_a_cluster_too(cluster, tmp_path):
    paths = files(folder(tmp_path / "photos", 3))
    paths[4].write_bytes(b"no photograph")
    with joblib.parallel_config("dask"), pytest.raises(ValueError, match=str(paths[4])):
        features.compute(network(), HOW, paths, workers=2, quiet=True)


def test_workers_without_this_mini_nn_are_named(cluster, tmp_path, monkeypatch):
    """joblib would wait for them for ever."""
    paths = files(folder(tmp_path / "photos", 1))
    cluster.run(change_version, "0.0.1")
    try:
        with joblib.parallel_config("dask"):
            for call in features.compute, transfer.sweep:
                with pytest.raises(ValueError, match=r"the worker tcp://.* has no mini_nn .* \(0\.0\.1\)"):
                    call(*((network(), HOW, paths) if call is features.compute else (tmp_path, [{}])))
    finally:
        cluster.run(change_version, mini_nn.__version__)


def change_version(version):
    mini_nn.__version__ = version


def test_a_network_of_the_usual_size_reaches_a_cluster_without_a_warning(cluster, tmp_path):
    """Every task carries the network, 13 MB here: what a cluster stores itself is lost with the worker that has it."""
    from mini_nn import init, models

    rng = np.random.default_rng(0)
    model = init.initialize(models.build("efficientnet_lite0", 3), rng)
    paths = files(folder(tmp_path / "photos", 1))
    with joblib.parallel_config("dask"):
        rows = features.compute(model, HOW, paths, workers=2, quiet=True)
    assert np.array_equal(rows, features.compute(model, HOW, paths, workers=1, quiet=True))
