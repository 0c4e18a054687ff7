"""Cross environments: an extension from its source distribution, for each architecture that images are made for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from board import cpio, crossenv, crossenv_python, host, model, pypi, requirements
from board.architecture import architecture
from board.build import build
from board.crossenv_root import sysroot
from board.elf import MAGIC
from board.host import Failure
from board.ours import Sources
from board.report import Report

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]
SOURCE = Path(__file__).resolve().parent / "fixture/extension"


def copied(folder: Path) -> Path:
    """The source distribution where its build may leave things."""
    return Path(shutil.copytree(SOURCE, folder / "source"))


@pytest.mark.parametrize("name", model.virtual())
def test_an_extension_is_built_for_the_board_s_processor(name: str, tmp_path: Path) -> None:
    board = model.load(name)
    env = crossenv.crossenv(board)

    found = crossenv.install(env, [str(copied(tmp_path))], tmp_path / "out")

    assert len(found) == 1
    data = found[0].read_bytes()
    assert data[:4] == MAGIC
    assert int.from_bytes(data[18:20], "little") == crossenv.MACHINES[board.architecture]
    assert f"cpython-{env.version.replace('.', '')}" in found[0].name


def test_an_extension_for_another_processor_is_refused(tmp_path: Path) -> None:
    env = crossenv.crossenv(model.load("qemu-arm64"))
    wrong = crossenv.Environment(env.path, env.version, crossenv.MACHINES["armhf"])

    with pytest.raises(Failure, match="is for the processor 183, not 40"):
        crossenv.install(wrong, [str(copied(tmp_path))], tmp_path / "out")


def test_what_a_board_requires_is_in_its_image_extensions_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    board = dataclasses.replace(model.load("qemu-arm64"), requirements=(str(copied(tmp_path)),))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    with Report("quiet") as report:
        image = build(board, reporter=report, output=tmp_path / "image")

    inside = cpio.read(host.run(["zstd", "-dqc", str(image.initramfs)], what="read the image"))
    modules = [path for path in inside if "sum_extension" in path]
    assert modules == ["/usr/lib/python3.13/sum_extension.cpython-313-aarch64-linux-gnu.so"]
    assert '"sum-extension"' in image.manifest.read_text()


def test_a_service_s_requirements_are_those_of_its_image(tmp_path: Path) -> None:
    services = tmp_path / "services"
    for name, text in (("svscan-log", ""), ("getty_tty", "one==1  # why\n\n"), ("web", "one==1\ntwo\n")):
        (services / name).mkdir(parents=True)
        (services / name / "run").write_text("#!/bin/sh\n")
        (services / name / "run").chmod(0o755)
        (services / name / "requirements.txt").write_text(text)
    board = model.load("qemu-arm64")
    profile = model.Profile(
        name="p", description="", early=("svscan-log", "getty_{console}"), services=("web",)
    )

    found = requirements.wanted(board, profile, Sources(services=services, ports=tmp_path))

    assert found == ["one==1", "two"]


def test_a_package_and_a_single_module_are_both_found_with_all_their_modules(tmp_path: Path) -> None:
    for path in (
        "pack/__init__.py",
        "pack/_fast.cpython-313-aarch64-linux-gnu.so",
        "pack/sub/deep.py",
        "single.py",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = {name: pypi.Distribution(name, "1", "ISC", tmp_path / name) for name in ("pack", "single")}

    assert sorted(requirements.modules(found)) == ["pack", "pack._fast", "pack.sub.deep", "single"]
    fast = pypi.find("pack._fast", found)
    assert fast
    assert fast.extension


def test_a_buildroot_output_without_python_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        crossenv.crossenv(model.load("qemu-arm64"), buildroot=tmp_path)

    assert "BR2_PACKAGE_PYTHON3=y" in caught.value.hint


class Output:
    """A Buildroot output directory as its python3 package leaves it, out of Debian's packages: no compiler outside of it is named."""

    TUPLE = "aarch64-buildroot-linux-gnu"

    def __init__(self, folder: Path) -> None:
        self.path, self.calls = folder / "output", folder / "calls"
        self.sysroot = self.path / "host" / self.TUPLE / "sysroot"
        self.bin = self.path / "host/bin"
        host.need(sorted(architecture("arm64").packages))
        root = sysroot("trixie", architecture("arm64"))
        # the libraries stay where Debian's compiler looks for them below a sysroot
        shutil.copytree(root / "usr", self.sysroot / "usr", symlinks=True, ignore=_unused)
        (self.sysroot / "lib").symlink_to("usr/lib")
        (self.path / "staging").symlink_to(self.sysroot)
        self._tools()
        self._settings()

    def _tools(self) -> None:
        """Wrappers that know their sysroot, under the target's name, as the toolchain package has them."""
        self.bin.mkdir()
        for tool, options in (("gcc", "--sysroot"), ("g++", "--sysroot"), ("ar", ""), ("strip", "")):
            program = self.bin / f"{self.TUPLE}-{tool}"
            given = f"{options}={self.sysroot}" if options else ""
            program.write_text(
                f'#!/bin/sh\necho "$0 $*" >>{self.calls}\nexec aarch64-linux-gnu-{tool} {given} "$@"\n'
            )
            program.chmod(0o755)

    def _settings(self) -> None:
        """What the target's Python was configured with: absolute paths of the wrappers, headers in one folder."""
        library = self.sysroot / "usr/lib/python3.13"
        name = "_sysconfigdata__linux_aarch64-linux-gnu.py"
        text = (library / name).read_text()
        for path in library.glob("_sysconfigdata*"):
            path.unlink()
        text = text.replace("aarch64-linux-gnu-gcc-ar", f"{self.bin}/{self.TUPLE}-ar")
        text = text.replace("aarch64-linux-gnu-g", f"{self.bin}/{self.TUPLE}-g")
        (library / name).write_text(text)
        headers = self.sysroot / "usr/include"
        place = headers / "python3.13/pyconfig.h"
        place.unlink()
        shutil.copy(headers / "aarch64-linux-gnu/python3.13/pyconfig.h", place)
        shutil.rmtree(headers / "aarch64-linux-gnu/python3.13")


def _unused(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"share", "src"} and folder.endswith("/usr")}


def test_an_extension_is_built_by_a_buildroot_output_s_own_compiler(tmp_path: Path) -> None:
    output = Output(tmp_path)
    env = crossenv.crossenv(model.load("qemu-arm64"), buildroot=output.path)
    try:
        found = crossenv.install(env, [str(copied(tmp_path))], tmp_path / "out")
    finally:
        host.remove(env.path)

    assert [path.name for path in found] == ["sum_extension.cpython-313-aarch64-linux-gnu.so"]
    assert int.from_bytes(found[0].read_bytes()[18:20], "little") == crossenv.MACHINES["arm64"]
    calls = output.calls.read_text().splitlines()
    assert any(f"{output.TUPLE}-gcc" in call and call.endswith(".o") for call in calls), "it compiled"
    assert any("-shared" in call for call in calls), "and linked"


def test_a_python_that_nobody_has_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        crossenv_python.builder("3.99", str(tmp_path))

    assert "python3.99" in caught.value.hint


def test_a_buildroot_output_s_python_is_the_target_s(tmp_path: Path) -> None:
    bin_ = tmp_path / "staging/usr/bin"
    bin_.mkdir(parents=True)
    (bin_ / "python3.13").touch()
    (bin_ / "python3.13-config").touch()

    assert crossenv.output_python(tmp_path) == bin_ / "python3.13"
