from __future__ import annotations

import dataclasses
import itertools

import pytest

from board import model
from qemu import machine

MODELLED = [name for name in model.names() if model.load(name).qemu.emulator]
OPTIONS = machine.Options(kernel="/b/vmlinuz", initramfs="/b/initramfs", run="/r")


def after(words: list[str], option: str) -> list[str]:
    """All values of an option."""
    return [value for word, value in itertools.pairwise(words) if word == option]


@pytest.mark.parametrize("name", MODELLED)
def test_every_board_starts_its_own_emulator_and_machine_with_the_image(name: str) -> None:
    board = model.load(name)

    words = machine.argv(board, OPTIONS)

    assert words[0] == board.qemu.emulator
    assert after(words, "-machine") == [board.qemu.machine]
    assert (after(words, "-kernel"), after(words, "-initrd")) == (["/b/vmlinuz"], ["/b/initramfs"])
    assert after(words, "-m") == [str(board.qemu.memory)]
    assert "-no-reboot" in words
    assert all(word for word in words), "an empty word would be an empty option"


@pytest.mark.parametrize("name", MODELLED)
def test_every_board_knows_the_packages_of_its_emulator(name: str) -> None:
    assert model.load(name).qemu.emulator in machine.PACKAGES


def test_the_console_of_the_board_is_the_last_and_only_one() -> None:
    board = model.load("qemu-arm64")

    words = after(machine.argv(board, dataclasses.replace(OPTIONS, append="extra=1")), "-append")[0].split()

    assert [word for word in words if word.startswith("console=")] == ["console=ttyAMA0,115200"]
    assert words[-1] == "extra=1"


def test_memory_can_be_set_for_one_run() -> None:
    words = machine.argv(model.load("qemu-arm64"), dataclasses.replace(OPTIONS, memory=96))

    assert after(words, "-m") == ["96"]


def test_forwards_are_bound_to_the_loopback_address_only() -> None:
    forwards = (machine.Forward(host=8080, guest=80), machine.Forward(host=0, guest=22))

    netdev = after(
        machine.argv(model.load("qemu-arm64"), dataclasses.replace(OPTIONS, forwards=forwards)), "-netdev"
    )

    assert netdev == ["user,id=net0,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:0-:22"]


def test_each_port_has_its_name_and_its_socket() -> None:
    words = machine.argv(model.load("qemu-arm64"), OPTIONS)

    assert "virtserialport,bus=ports.0,chardev=events,name=initfs.events" in after(words, "-device")
    assert "virtserialport,bus=ports.0,chardev=agent,name=initfs.agent" in after(words, "-device")
    assert "socket,id=events,path=/r/events" in after(words, "-chardev")


def test_a_board_without_ports_gets_none() -> None:
    board = dataclasses.replace(model.load("qemu-arm64"), ports=False)

    assert not [word for word in machine.argv(board, OPTIONS) if "virtserialport" in word]


def test_disks_are_snapshots_and_a_comma_in_a_path_is_no_option() -> None:
    words = machine.argv(model.load("qemu-arm64"), dataclasses.replace(OPTIONS, disks=("/a,b/disk",)))

    assert after(words, "-drive") == ["if=none,id=disk0,format=raw,snapshot=on,file=/a,,b/disk"]


def test_on_a_terminal_the_monitor_is_behind_the_console_and_ctrl_c_is_the_guests() -> None:
    words = machine.argv(model.load("qemu-arm64"), dataclasses.replace(OPTIONS, terminal=True))

    assert "stdio,id=console,mux=on,signal=off" in after(words, "-chardev")
    assert "chardev=console,mode=readline" in after(words, "-mon")


def test_emulation_is_the_fallback_of_kvm() -> None:
    words = machine.argv(model.load("qemu-x86_64"), dataclasses.replace(OPTIONS, kvm=True))

    assert after(words, "-accel") == ["kvm", "tcg"]


def test_a_forward_is_read_from_text() -> None:
    assert machine.forward("8080:80") == machine.Forward(host=8080, guest=80)


@pytest.mark.parametrize("text", ["", "80", ":80", "80:", "a:b", "1:0", "1:65536", "-1:80", "1:2:3"])
def test_a_forward_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"HOST:GUEST|65535"):
        machine.forward(text)


def test_riscv_has_a_package_of_its_own_since_debian_13() -> None:
    assert machine.packages("qemu-system-riscv64", 12) == ("qemu-system-misc", "opensbi")
    assert machine.packages("qemu-system-riscv64", 13) == ("qemu-system-riscv", "opensbi")


def test_cables_stand_for_qemu_s_own_network_and_each_card_has_a_slot() -> None:
    wires = (
        machine.Wire(local="/c/1a", remote="/c/1b", mac="52:54:00:07:01:01"),
        machine.Wire(local="/c/2a", remote="/c/2b", mac="52:54:00:07:02:01", unplugged=True),
    )
    words = machine.argv(model.load("qemu-x86_64"), dataclasses.replace(OPTIONS, wires=wires))

    assert [text.partition(",")[0] for text in after(words, "-netdev")] == ["dgram", "dgram"]
    assert "local.path=/c/1a" in after(words, "-netdev")[0]
    assert [text for text in after(words, "-device") if "netdev=" in text] == [
        "virtio-net-pci,netdev=net0,id=nic0,bus=slot0,mac=52:54:00:07:01:01,romfile="
    ]
    assert len([text for text in after(words, "-device") if text.startswith("pcie-root-port")]) == 2
