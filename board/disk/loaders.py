"""What is on the boot partition, loader by loader: path to content. Pure: kernels and firmware are handed in as bytes.

`a` and `b` are the slots of loaders that have two; a new disk has the first one only, and three tries for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from board.host import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TRIES = 3
FIT = "slot_{}.itb"  # of each slot
README = """What is put here is taken over at the next start and then removed:

hostname          the machine's name
authorized_keys   who may log in as root by ssh
network/*.ipconf  interfaces, network/*.fwconf the firewall (docs/networking.md)
wifi              ssid=..., psk=..., country=..

A file with a mistake is left alone; errors.txt then says what is wrong.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a boot partition is made of."""

    kernel: bytes
    initramfs: bytes
    arguments: str  # of the kernel
    device_tree: bytes = b""  # empty: the firmware has one
    fit: bytes = b""  # kernel and initramfs as one FIT image, for the loader that wants it
    script: bytes = b""  # boot.scr, for that one too
    version: str = "1"


def extlinux(content: Content) -> dict[str, bytes]:
    """Return the files of U-Boot's (and syslinux's) extlinux.conf."""
    lines = ["DEFAULT initfs", "TIMEOUT 1", "LABEL initfs", "  LINUX /vmlinuz", "  INITRD /initrd.zst"]
    files = {"vmlinuz": content.kernel, "initrd.zst": content.initramfs}
    if content.device_tree:
        lines.append("  FDT /board.dtb")
        files["board.dtb"] = content.device_tree
    lines.append(f"  APPEND {content.arguments}")
    return {**files, "extlinux/extlinux.conf": text(lines)}


def syslinux(content: Content) -> dict[str, bytes]:
    """Return the files of syslinux, for a PC without UEFI that has a serial console."""
    lines = ["SERIAL 0 115200", "DEFAULT initfs", "PROMPT 0", "LABEL initfs", "  LINUX /vmlinuz",
             "  INITRD /initrd.zst", f"  APPEND {content.arguments}"]  # fmt: skip
    return {"vmlinuz": content.kernel, "initrd.zst": content.initramfs, "syslinux.cfg": text(lines)}


def fit(content: Content) -> dict[str, bytes]:
    """Return the files of a U-Boot that runs boot.scr and starts FIT images."""
    return {"boot.scr": content.script, FIT.format("a"): content.fit, "slots.env": slots("a", a=str(TRIES))}


def systemd_boot(content: Content) -> dict[str, bytes]:
    """Return the files of systemd-boot, which counts a slot's tries in the name of its entry."""
    return {
        "loader/loader.conf": b"timeout 0\n",
        f"loader/entries/a+{TRIES}.conf": entry("a", content.version, content.arguments),
        "linux-a": content.kernel,
        "initrd-a.zst": content.initramfs,
    }


LOADERS: dict[str, Callable[[Content], dict[str, bytes]]] = {
    "extlinux": extlinux,
    "fit": fit,
    "syslinux": syslinux,
    "systemd-boot": systemd_boot,
}


def files(loader: str, content: Content) -> Mapping[str, bytes]:
    """Return the boot partition's files. Raises Failure: there is no such loader."""
    if loader not in LOADERS:
        known = " ".join(sorted(LOADERS))
        raise Failure(
            f"start a kernel by {loader!r}", "there is no such loader", f"known: {known}", usage=True
        )
    return {**LOADERS[loader](content), "initfs/readme.txt": README.encode()}


def entry(slot: str, version: str, arguments: str) -> bytes:
    """Return a slot's entry for systemd-boot. Equal sort keys have the higher version tried first (Boot Loader Specification)."""
    return text(
        [f"title initfs, slot {slot}", "sort-key initfs", f"version {version}", f"linux /linux-{slot}",
         f"initrd /initrd-{slot}.zst", f"options {arguments} initfs.slot={slot}"]
    )  # fmt: skip


def slots(order: str, *, a: str = "0", b: str = "0") -> bytes:
    """Return slots.env: the slots in the order they are tried, and for each the tries left, or `good`.

    It fills one sector, so that a slot's state changes by one write of the disk.
    """
    return text([f"order={order}", f"a_left={a}", f"b_left={b}"]).ljust(512, b"\n")


def text(lines: list[str]) -> bytes:
    """Return lines as a file."""
    return "".join(f"{line}\n" for line in lines).encode()


def boot_command(arguments: str) -> str:
    """Return the script that chooses a slot for U-Boot.

    A slot that is not marked good yet has its tries counted before each; one that U-Boot cannot start (no file, a wrong
    hash) is passed over at once. When no slot has a try left, each is tried whatever its count: a machine that starts
    a bad system can still be updated, one that stops here cannot. The kernel's arguments come with the slot, so that an update
    can change them; those here are for one that has none.
    """
    return f"""setenv order a b
setenv a_left {TRIES}
setenv b_left {TRIES}
setenv where ${{devtype}} ${{devnum}}:${{distro_bootpart}}
setenv bootargs_common {arguments}
setenv start 'if load ${{where}} ${{fit_addr}} slot_${{slot}}.itb; then setenv bootargs ${{bootargs_common}}; \
source ${{fit_addr}}:arguments; setenv bootargs ${{bootargs}} initfs.slot=${{slot}}; \
bootm ${{fit_addr}}#conf-1 ${{fit_addr}}#conf-1 ${{fdtcontroladdr}}; fi'
setenv fit_addr 0x48000000
if load ${{where}} ${{scriptaddr}} slots.env; then env import -t ${{scriptaddr}} ${{filesize}} order a_left b_left; fi
for s in ${{order}}; do
  setenv slot ${{s}}
  if test ${{slot}} = a; then setenv left ${{a_left}}; else setenv left ${{b_left}}; fi
  if test "${{left}}" = good; then
    run start
  elif test "${{left}}" -gt 0; then
    setexpr left ${{left}} - 1
    setenv ${{slot}}_left ${{left}}
    mw.b ${{scriptaddr}} 0 200
    env export -t ${{scriptaddr}} order a_left b_left
    fatwrite ${{where}} ${{scriptaddr}} slots.env 200
    run start
  fi
done
for s in ${{order}}; do
  setenv slot ${{s}}
  run start
done
reset
"""


def fit_source(kernel: str, initramfs: str, arguments: str) -> str:
    """Return the source of a FIT image for mkimage(1) from three files: the kernel gzipped, each with a checksum that U-Boot compares.

    ARGUMENTS is a script of U-Boot's that sets `bootargs`.
    """
    return f"""/dts-v1/;
/ {{
  description = "initfs";
  #address-cells = <1>;
  images {{
    kernel {{
      data = /incbin/("{kernel}");
      type = "kernel"; arch = "arm64"; os = "linux"; compression = "gzip";
      load = <0x42000000>; entry = <0x42000000>;
      hash-1 {{ algo = "sha256"; }};
    }};
    ramdisk {{
      data = /incbin/("{initramfs}");
      type = "ramdisk"; arch = "arm64"; os = "linux"; compression = "none";
      hash-1 {{ algo = "sha256"; }};
    }};
    arguments {{
      data = /incbin/("{arguments}");
      type = "script"; compression = "none";
      hash-1 {{ algo = "sha256"; }};
    }};
  }};
  configurations {{
    default = "conf-1";
    conf-1 {{ kernel = "kernel"; ramdisk = "ramdisk"; }};
  }};
}};
"""
