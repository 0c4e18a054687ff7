"""fw: bring the network into the wanted state, once (`services/fw/README.md`, `docs/networking.md`).

First the firewall, then the difference between what files ask for and what the kernel has, then the small files of the resolver.
It looks again until nothing differs: removing one thing may take another along in the kernel.
"""

from __future__ import annotations

import os

from initfs import files, options, say
from initfs.network import desired, firewall, netfiles, sources
from initfs.network import plan as planning
from initfs.network.model import Link
from initfs.supervise import client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initfs.network.model import Actual, Operation, State
    from initfs.network.netlink import Kernel
    from initfs.network.sources import Sources

USAGE = "fw [-n] [-s servicedir] [-a applied] [-e etc] directory... | fw -l"
LONG = {"dry-run": "n", "list": "l"}
APPLIED = "/run/initfs/fw-applied"
ROUNDS = 3
PROMOTE = "/proc/sys/net/ipv4/conf/all/promote_secondaries"
HEARD = {"on": "2", "off": "0"}  # accept_ra: 2 is also for a machine that routes


def main(argv: list[str]) -> int:
    given, directories = options.parse(argv[1:], "nls:a:e:", USAGE, LONG)
    found = dict(given)
    if "l" in found:
        print(firewall.show(), end="")
        return say.OK
    if not directories:
        raise say.usage(USAGE)
    if "s" in found:
        client.send(found["s"], "o")  # before anything is read: what changes later is another run's
    applied = found.get("a", APPLIED)
    read = sources.read(directories)
    from initfs.network.netlink import Kernel

    with Kernel() as kernel:
        if "n" in found:
            return _show(read, kernel, applied)
        os.makedirs(applied, exist_ok=True)
        if not _firewall(read, applied):  # no interface comes up without the firewall that it is to have
            _record(read, applied, {block.interface for block in read.all_blocks}, set())
            return say.TEMPORARY
        failed, waiting = _bring_about(read, kernel)
    _write_files(read, found.get("e", "/etc"), found.get("s", ""))
    _record(read, applied, failed, waiting)
    if failed:
        return say.TEMPORARY
    files.write(f"{applied}/up", b"")
    return say.OK if read.good else say.USAGE


def _show(read: Sources, kernel: Kernel, applied: str) -> int:
    """--dry-run: what would be done, and nothing else."""
    rules = firewall.wanted(read, applied)
    if rules is not None and not firewall.current(rules, applied):
        print("nft -f - <<'END'", rules + "END", sep="\n")
    actual, wanted = _state(read, kernel)
    for operation in planning.plan(wanted, actual):
        print("ip", operation)
    for name in planning.absent(wanted, actual):
        print("# waits for", name)
    return say.OK if read.good else say.USAGE


def _firewall(read: Sources, applied: str) -> bool:
    """Have the rules in force before any interface comes up; False when that failed."""
    if read.firewall is None and not read.firewall_refused:
        firewall.remove(applied)
    rules = firewall.wanted(read, applied)
    try:
        good = rules is None or firewall.current(rules, applied) or firewall.load(rules, applied)
    except say.Fatal as fatal:  # whoever waits for this run is to hear of its end all the same
        say.warning(str(fatal))
        good = False
    if read.firewall is not None:
        firewall.forward(read.firewall.routes)
    if good and not os.path.exists(f"{applied}/{firewall.READY}"):
        files.create(f"{applied}/{firewall.READY}")
    return good


def _state(read: Sources, kernel: Kernel) -> tuple[Actual, State]:
    actual = kernel.actual()
    prefer = read.firewall.prefer if read.firewall else ()
    return actual, desired.state(read.all_blocks, dict(actual.indexes), prefer)


def _bring_about(read: Sources, kernel: Kernel) -> tuple[set[str], set[str]]:
    """Obey the plan until it is empty. Returns the interfaces that do not have all that was wanted: those where something
    failed, and those that are not there, which is no failure: they come with an event of their own.
    """
    firewall.setting(PROMOTE, "1")  # else the first address of a subnet takes all others with it
    failed: set[str] = set()
    waiting: set[str] = set()
    for _ in range(ROUNDS):
        actual, wanted = _state(read, kernel)
        waiting = set(planning.absent(wanted, actual))
        operations = planning.plan(wanted, actual)
        _hear(read)
        failed = {_interface(operation) for operation in operations if not _obeyed(kernel, operation)}
        if not operations or failed:
            break
    for name in sorted(waiting):
        say.info(f"{name} is not there: what is wanted of it waits")
    return failed, waiting


def _hear(read: Sources) -> None:
    for block in read.all_blocks:
        path = f"/proc/sys/net/ipv6/conf/{block.interface}/accept_ra"
        if block.ra and os.path.exists(path):
            firewall.setting(path, HEARD[block.ra])


def _obeyed(kernel: Kernel, operation: Operation) -> bool:
    try:
        kernel.obey(operation)
    except OSError as error:
        say.warning(f"unable to do `ip {operation}`: {say.reason(error)}")
        return False
    say.info(f"ip {operation}")
    return True


def _interface(operation: Operation) -> str:
    subject = operation.subject
    return subject.name if isinstance(subject, Link) else str(getattr(subject, "interface", "rules"))


def _write_files(read: Sources, etc: str, service: str) -> None:
    """The resolver's files. With a cache beside us the resolver asks it, and it asks the servers."""
    blocks = desired.effective(read.all_blocks)
    cache = f"{os.path.dirname(os.path.abspath(service))}/dnsmasq" if service else ""
    cached = bool(cache) and os.path.exists(f"{cache}/run")
    _replace(f"{etc}/resolv.conf", netfiles.resolver(blocks, cached=cached))
    _replace(f"{etc}/hosts", netfiles.hosts(blocks, os.uname().nodename))
    if _replace(f"{etc}/dnsmasq_servers.conf", netfiles.dnsmasq(blocks)) and cached:
        try:
            client.send(cache, "h")
        except say.Fatal as fatal:
            say.info(str(fatal))


def _replace(path: str, content: str) -> bool:
    """Replace a file, or what a link leads to, by rename, if it changes. True when it did."""
    real = os.path.realpath(path)
    data = os.fsencode(content)
    if files.read(real, size=sources.FILE_SIZE) == data:
        return False
    return files.tried(f"write {real}", lambda: files.write(real, data))


def _commented(text: str) -> str:
    return "".join(f"#{line}\n" for line in text.removesuffix("\n").split("\n"))


def _record(read: Sources, applied: str, failed: set[str], waiting: set[str]) -> None:
    """Keep the text of each file that was brought about wholly: who waits for a lease compares. Of one that was refused, or where
    something failed, the text is kept behind a # in each line; of one that waits there is none.
    """
    told = {name: _commented(text) for name, text in read.refused.items()}
    for name, text in read.texts.items():
        interfaces = {block.interface for block in read.blocks[name]}
        if not interfaces & waiting:
            told[name] = _commented(text) if interfaces & failed else text
    for name, text in told.items():
        _replace(f"{applied}/{name}", text)
    for name in os.listdir(applied):
        if name.endswith(sources.NETWORK) and name not in told:
            files.remove(f"{applied}/{name}")
