"""A disk that is full: a sentence that names the file, the old checkpoint, and on again later."""

import contextlib
import functools
import subprocess
import sys

import pytest

import cnnzoo
from cnnzoo.cli.verify_resume import compare_runs
from cnnzoo.files import atomic_write, is_leftover
from cnnzoo.train import Callback
from cnnzoo.train.checkpoint import load_checkpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts and limits as Linux does")
quiet = functools.partial(cnnzoo.Trainer, progress=False)
SETTINGS = {"epochs": 4, "batch_size": 96, "optimizer": "adamw"}
MIB = 1 << 20


class Disk:
    """A folder on a disk of four MiB."""

    def __init__(self, folder):
        self.folder = folder

    @contextlib.contextmanager
    def full(self):
        ballast = self.folder / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        ballast.unlink()


class Limit:
    """A folder on a disk where no file can get longer than 1000 bytes when it is "full"."""

    def __init__(self, folder):
        self.folder = folder

    @contextlib.contextmanager
    def full(self):
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request, tmp_path):
    if request.param == "limit":
        yield Limit(tmp_path)
        return
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    yield Disk(place)
    subprocess.run(["umount", str(place)], check=True)


class FullAfter(Callback):
    """Fill the disk after an epoch."""

    def __init__(self, disk, epoch, until):
        self.disk, self.epoch, self.until = disk, epoch, until

    def on_epoch_start(self, trainer, steps):
        if trainer.epoch == self.epoch:
            self.until.enter_context(self.disk.full())


def test_a_full_disk_is_said_and_the_run_goes_on_later(disk, digits, make_model, tmp_path):
    whole, run = tmp_path / "whole", disk.folder / "run"
    never = FullAfter(disk, -1, contextlib.ExitStack())  # the receipt names it in both
    quiet(make_model(), out=whole, callbacks=[never], **SETTINGS).fit(*digits)
    with contextlib.ExitStack() as until:
        trainer = quiet(make_model(), out=run, callbacks=[FullAfter(disk, 2, until)], **SETTINGS)
        with pytest.raises(
            cnnzoo.CnnzooError,
            match=f"Cannot write {run / 'checkpoint.pt'}: (No space left|File too large).*is intact"
            f".*cnnzoo train --resume {run}",
        ):
            trainer.fit(*digits)
        assert load_checkpoint(run / "checkpoint.pt")["epoch"] == 2
        assert not [path for path in run.iterdir() if is_leftover(path)]
    cnnzoo.Trainer.resume(run, progress=False).fit(*digits)
    assert compare_runs(whole, run) is None


def test_a_disk_that_is_full_from_the_start(disk, digits, make_model):
    run = disk.folder / "run"
    with disk.full(), pytest.raises(cnnzoo.CnnzooError, match=r"Cannot (write|make).*"):
        quiet(make_model(), out=run, **SETTINGS).fit(*digits)
    quiet(make_model(), out=run, **SETTINGS).fit(*digits)  # nothing in the way


def test_writers_in_native_code_are_understood(disk, make_model):
    place = disk.folder / "model.safetensors"
    cnnzoo.save_model(place, make_model())
    before = place.read_bytes()
    larger = make_model("lenet5")
    message = f"Cannot write {place}: .*is intact"
    with disk.full(), pytest.raises(cnnzoo.CnnzooError, match=message):
        cnnzoo.save_model(place, larger)
    assert place.read_bytes() == before


def test_another_error_is_left_alone(tmp_path):
    with pytest.raises(KeyError), atomic_write(tmp_path / "file"):
        raise KeyError("mine")
    assert list(tmp_path.iterdir()) == []
